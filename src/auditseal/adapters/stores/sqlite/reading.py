"""Reading entries out of SQLite as they stand, whatever somebody did to them.

Source: `docs/spec/sqlite.md`.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from auditseal.adapters.stores import rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from auditseal.core.entry import StoredEntry

JOINED: Final = (
    f"SELECT {', '.join(f'e.{name}' for name in rows.ENTRY_COLUMNS)}, "
    f"{', '.join(f's.{name}' for name in rows.SIGNATURE_COLUMNS)}, e.rowid FROM entries e "
    "LEFT JOIN signatures s ON s.stream = e.stream AND s.seq = e.seq "
)
IN_ORDER: Final = " ORDER BY e.stream, e.seq, e.rowid, s.rowid"

_SLICE: Final = 256
"""How many rows are fetched at a time: row by row costs twice as much."""


def entries_of(cursor: sqlite3.Cursor) -> Iterator[StoredEntry]:
    """The entries of rows of `JOINED` in the order of `IN_ORDER`."""
    return rows.entries_of(chain.from_iterable(iter(lambda: cursor.fetchmany(_SLICE), [])))
