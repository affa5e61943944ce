"""Entries as rows of a database, each joined with one of its signatures, and how entries come out of them.

Rows are what a store on a database reads; that many of them can be checked together without making entries of them
(`auditseal.core.plain_run`) is why they are known here. Source: `docs/spec/sqlite.md`, `docs/spec/postgresql.md`.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.entry import Columns, StoredEntry, StoredSignature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

StoredRow = tuple[
    str, int, str, str, str, str | None, bytes, bytes, bytes,  # the entry
    Any, Any, Any, Any, Any, Any,  # the signature
    object,  # the identity
]  # fmt: skip
"""The values of `ENTRY_COLUMNS` and of `SIGNATURE_COLUMNS` (None where there is no signature), right or wrong, and the
identity of the entry's own row, which two rows at one place do not share."""

ENTRY_COLUMNS: Final = ("stream", "seq", "id", "time", "type", "actor", "body", "prev_hash", "hash")
SIGNATURE_COLUMNS: Final = ("signer", "algorithm", "signature", "entry_hash", "request_id", "signed_at")
SEQ: Final = 1
TYPE: Final = 4
HASH: Final = 8
SIGNER: Final = 9
_ENTRY_HASH: Final = 12
REQUEST_ID: Final = 13
_IDENTITY: Final = 15

_PLACE: Final = itemgetter(0, SEQ)


def entries_of(rows: Iterable[StoredRow]) -> Iterator[StoredEntry]:
    """The entries of rows in which those of one place follow each other, and among them those of one entry.

    Several entries at one place (somebody tampered) each get the signatures made for their hash; what was made for
    none of them goes to all, and fails there.
    """
    for _, group in groupby(rows, key=_PLACE):
        here = list(group)
        first = here[0]
        if len(here) == 1:
            yield _entry(first, () if first[SIGNER] is None else (_signature(first),))
        elif all(row[_IDENTITY] == first[_IDENTITY] for row in here):
            yield _entry(first, tuple(map(_signature, here)))
        else:
            yield from _entries_at_one_place(here)


def whole_places(lists: Iterable[list[StoredRow]]) -> Iterator[list[StoredRow]]:
    """The same rows, cut so that no list ends between two rows of one place.

    Args:
        lists: the rows of one stream in the order of `entries_of`; none is empty.
    """
    held: list[StoredRow] = []
    for fetched in lists:
        rows = [*held, *fetched]
        end = len(rows)
        while end and rows[end - 1][SEQ] == rows[-1][SEQ]:
            end -= 1
        held = rows[end:]
        if end:
            yield rows[:end]
    if held:
        yield held


def stretches(rows: Sequence[StoredRow], alone: frozenset[str]) -> Iterator[Sequence[StoredRow]]:
    """The rows in stretches that were signed, or not, by one signer each; no place is cut.

    Args:
        rows: of one stream, in the order of `entries_of`.
        alone: the types of which each entry gets a stretch of its own.
    """
    first, last_seq, last_kind = 0, None, None
    for number, row in enumerate(rows):
        seq, kind = row[SEQ], _ALONE if row[TYPE] in alone else row[SIGNER]
        if (kind != last_kind or kind is _ALONE) and seq != last_seq and number:
            yield rows[first:number]
            first = number
        last_seq, last_kind = seq, kind
    yield rows[first:]


_ALONE: Final = object()


def _entries_at_one_place(rows: list[StoredRow]) -> Iterator[StoredEntry]:
    hashes = {row[HASH] for row in rows}
    for _, group in groupby(rows, key=itemgetter(_IDENTITY)):
        own = list(group)
        signatures = tuple(
            _signature(row)
            for row in own
            if row[SIGNER] is not None and (row[_ENTRY_HASH] == row[HASH] or row[_ENTRY_HASH] not in hashes)
        )
        yield _entry(own[0], signatures)


def _entry(row: StoredRow, signatures: tuple[StoredSignature, ...]) -> StoredEntry:
    return StoredEntry(
        stream=row[0],
        seq=row[SEQ],
        columns=Columns(id=row[2], time=row[3], type=row[TYPE], actor=row[5]),
        body=row[6],
        prev_hash=row[7],
        hash=row[HASH],
        signatures=signatures,
    )


def _signature(row: StoredRow) -> StoredSignature:
    return StoredSignature(
        signer=row[SIGNER],
        algorithm=row[10],
        signature=row[11],
        entry_hash=row[_ENTRY_HASH],
        request_id=row[REQUEST_ID],
        signed_at=row[14],
    )
