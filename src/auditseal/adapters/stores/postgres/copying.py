"""Entries and signatures as the data of one binary COPY: at half of what writing them to the driver row by row costs.

Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auditseal.core.entry import Entry
    from auditseal.ports import NewSignature

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_count = Struct("!h").pack
_length = Struct("!i").pack
_int8 = Struct("!q").pack
_NINE_VALUES: Final = _count(9)
_OF_EIGHT_BYTES: Final = _length(8)


def entries_data(entries: Iterable[Entry]) -> bytes:
    """What `COPY_ENTRIES` reads."""
    return b"".join([_HEADER, *map(_entry, entries), _TRAILER])


def signatures_data(signatures: Iterable[NewSignature]) -> bytes:
    """What `COPY_SIGNATURES` reads."""
    return b"".join([_HEADER, *map(_signature, signatures), _TRAILER])


def _entry(entry: Entry) -> bytes:
    stream, seq, id_, time, type_, actor, body, prev_hash, hash_ = entry
    id_bytes = id_.encode()
    return b"".join(
        (
            _NINE_VALUES,
            _repeated(stream),
            _OF_EIGHT_BYTES,
            _int8(seq),
            _length(len(id_bytes)),
            id_bytes,
            _repeated(time),
            _repeated(type_),
            _repeated(actor),
            _length(len(body)),
            body,
            _length(len(prev_hash)),
            prev_hash,
            _length(len(hash_)),
            hash_,
        )
    )


@lru_cache(maxsize=1024)
def _repeated(text: str | None) -> bytes:
    """A value that many rows in a row have in common, with its length."""
    return _NULL if text is None else _sized(text.encode())


def _signature(new: NewSignature) -> bytes:
    stream, seq, made = new
    return _row(
        stream.encode(),
        _int8(seq),
        made.entry_hash,
        made.signer.encode(),
        made.algorithm.encode(),
        made.signature,
        _text(made.request_id),
        _text(made.signed_at),
    )


def _row(*values: bytes | None) -> bytes:
    return _count(len(values)) + b"".join([_NULL if value is None else _sized(value) for value in values])


def _sized(value: bytes) -> bytes:
    return _length(len(value)) + value


def _text(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
