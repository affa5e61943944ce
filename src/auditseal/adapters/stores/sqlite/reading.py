"""Reading entries out of SQLite as they stand, whatever somebody did to them.

Source: `docs/spec/sqlite.md`.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from auditseal.core import stored_rows
from auditseal.core.stored_rows import ENTRY_COLUMNS, SIGNATURE_COLUMNS, whole_places

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from auditseal.core.entry import StoredEntry
    from auditseal.core.stored_rows import StoredRow
    from auditseal.ports import Part

JOINED: Final = (
    f"SELECT {', '.join(f'e.{name}' for name in ENTRY_COLUMNS)}, "
    f"{', '.join(f's.{name}' for name in SIGNATURE_COLUMNS)}, e.rowid FROM entries e "
    "LEFT JOIN signatures s ON s.stream = e.stream AND s.seq = e.seq "
)
IN_ORDER: Final = " ORDER BY e.stream, e.seq, e.rowid, s.signer, s.rowid"
"""As the indexes have them, so that nothing is sorted."""
_UNJOINED: Final = f"SELECT {', '.join(ENTRY_COLUMNS)}, {'NULL, ' * len(SIGNATURE_COLUMNS)}rowid FROM entries e "
_IN_PART: Final = "WHERE e.stream = ? AND e.seq BETWEEN ? AND ?"
_SIGNED_IN_PART: Final = f"SELECT 1 FROM signatures e {_IN_PART} LIMIT 1"

_SLICE: Final = 256
"""How many rows are fetched at a time: row by row costs twice as much."""


def entries_of(cursor: sqlite3.Cursor) -> Iterator[StoredEntry]:
    """The entries of rows of `JOINED` in the order of `IN_ORDER`."""
    return stored_rows.entries_of(chain.from_iterable(_slices(cursor)))


def rows_of_part(connection: sqlite3.Connection, part: Part) -> Iterator[list[StoredRow]]:
    """The rows of a part (`RowSource.rows`); without looking for signatures one by one where it has none."""
    if connection.execute(_SIGNED_IN_PART, part).fetchone() is None:
        cursor = connection.execute(f"{_UNJOINED}{_IN_PART} ORDER BY e.seq, e.rowid", part)
    else:
        cursor = connection.execute(f"{JOINED}{_IN_PART}{IN_ORDER}", part)
    return whole_places(_slices(cursor))


def entries_of_part(connection: sqlite3.Connection, part: Part) -> Iterator[StoredEntry]:
    """The entries of a part (`PartedSource.read_part`)."""
    return entries_of(connection.execute(f"{JOINED}{_IN_PART}{IN_ORDER}", part))


def _slices(cursor: sqlite3.Cursor) -> Iterator[list[StoredRow]]:
    return iter(lambda: cursor.fetchmany(_SLICE), [])
