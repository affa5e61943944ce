"""Entries as the data of one binary COPY: at half of what writing them to the driver row by row costs.

Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auditseal.core.entry import Entry

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_TRAILER: Final = b"\xff\xff"
_NINE_VALUES: Final = b"\x00\x09"
_NULL: Final = b"\xff\xff\xff\xff"
_length = Struct("!i").pack
_int8 = Struct("!q").pack


def copy_data(entries: Iterable[Entry]) -> bytes:
    """What COPY FROM STDIN (FORMAT BINARY) reads into `ENTRY_COLUMNS`."""
    return b"".join([_HEADER, *map(_row, entries), _TRAILER])


def _row(entry: Entry) -> bytes:
    stream, seq, id_, time, type_, actor, body, prev_hash, hash_ = entry
    values = (
        stream.encode(),
        _int8(seq),
        id_.encode(),
        time.encode(),
        type_.encode(),
        None if actor is None else actor.encode(),
        body,
        prev_hash,
        hash_,
    )
    return _NINE_VALUES + b"".join([_NULL if value is None else _length(len(value)) + value for value in values])
