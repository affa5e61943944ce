"""Reading entries out of SQLite as they stand, whatever somebody did to them.

Source: `docs/spec/sqlite.md`.
"""

from __future__ import annotations

from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.entry import Columns, StoredEntry, StoredSignature

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

ENTRY_COLUMNS: Final = "e.stream, e.seq, e.id, e.time, e.type, e.actor, e.body, e.prev_hash, e.hash"
_SIGNATURE_COLUMNS: Final = (
    "s.signer, s.algorithm, s.signature, s.entry_hash, s.request_id, s.signed_at, s.rowid, e.rowid"
)
JOINED: Final = (
    f"SELECT {ENTRY_COLUMNS}, {_SIGNATURE_COLUMNS} FROM entries e "
    "LEFT JOIN signatures s ON s.stream = e.stream AND s.seq = e.seq "
)
IN_ORDER: Final = " ORDER BY e.stream, e.seq, e.rowid, s.rowid"

_SLICE: Final = 256
"""How many rows are fetched at a time: row by row costs twice as much."""
_PLACE: Final = itemgetter(0, 1)
_SIGNER, _ENTRY_HASH, _ROWID = 9, 12, 16


def entries_of(cursor: sqlite3.Cursor) -> Iterator[StoredEntry]:
    """The entries of rows of `JOINED` in the order of `IN_ORDER`.

    Several entries at one place (somebody tampered) each get the signatures made for their hash; what was made for
    none of them goes to all, and fails there.
    """
    rows_in_slices = iter(lambda: cursor.fetchmany(_SLICE), [])
    for _, group in groupby(chain.from_iterable(rows_in_slices), key=_PLACE):
        rows = list(group)
        first = rows[0]
        if len(rows) == 1:
            yield _entry(first, () if first[_SIGNER] is None else (_signature(first),))
        elif all(row[_ROWID] == first[_ROWID] for row in rows):
            yield _entry(first, tuple(map(_signature, rows)))
        else:
            yield from _entries_at_one_place(rows)


def _entries_at_one_place(rows: list[Any]) -> Iterator[StoredEntry]:
    hashes = {row[8] for row in rows}
    for _, group in groupby(rows, key=itemgetter(_ROWID)):
        own = list(group)
        signatures = tuple(
            _signature(row)
            for row in own
            if row[_SIGNER] is not None and (row[_ENTRY_HASH] == row[8] or row[_ENTRY_HASH] not in hashes)
        )
        yield _entry(own[0], signatures)


def _entry(row: Any, signatures: tuple[StoredSignature, ...]) -> StoredEntry:
    return StoredEntry(
        stream=row[0],
        seq=row[1],
        columns=Columns(id=row[2], time=row[3], type=row[4], actor=row[5]),
        body=row[6],
        prev_hash=row[7],
        hash=row[8],
        signatures=signatures,
    )


def _signature(row: Any) -> StoredSignature:
    return StoredSignature(
        signer=row[9],
        algorithm=row[10],
        signature=row[11],
        entry_hash=row[12],
        request_id=row[13],
        signed_at=row[14],
    )
