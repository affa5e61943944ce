"""Between entries and the rows of a database: what stores on SQL databases share. It knows no driver.

Source: `docs/spec/sqlite.md`, `docs/spec/postgresql.md`.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.chain import extend
from auditseal.core.entry import Columns, StoredEntry, StoredSignature
from auditseal.ports import Appended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from auditseal.core.chain import Head
    from auditseal.core.entry import Entry
    from auditseal.core.event import Draft, Micros, StreamName
    from auditseal.ports import EntryFilter, NewSignature

ENTRY_COLUMNS: Final = ("stream", "seq", "id", "time", "type", "actor", "body", "prev_hash", "hash")
SIGNATURE_COLUMNS: Final = ("signer", "algorithm", "signature", "entry_hash", "request_id", "signed_at")
"""A row that is read has these, then its own identity, which two rows at one place do not share."""
_PLACE: Final = itemgetter(0, 1)
_HASH, _SIGNER, _ENTRY_HASH, _IDENTITY = 8, 9, 12, 15


def entries_of(rows: Iterable[Any]) -> Iterator[StoredEntry]:
    """The entries of rows joined with their signatures, the rows of one place together, those of one entry too.

    Several entries at one place (somebody tampered) each get the signatures made for their hash; what was made for
    none of them goes to all, and fails there.
    """
    for _, group in groupby(rows, key=_PLACE):
        here = list(group)
        first = here[0]
        if len(here) == 1:
            yield _entry(first, () if first[_SIGNER] is None else (_signature(first),))
        elif all(row[_IDENTITY] == first[_IDENTITY] for row in here):
            yield _entry(first, tuple(map(_signature, here)))
        else:
            yield from _entries_at_one_place(here)


def _entries_at_one_place(rows: list[Any]) -> Iterator[StoredEntry]:
    hashes = {row[_HASH] for row in rows}
    for _, group in groupby(rows, key=itemgetter(_IDENTITY)):
        own = list(group)
        signatures = tuple(
            _signature(row)
            for row in own
            if row[_SIGNER] is not None and (row[_ENTRY_HASH] == row[_HASH] or row[_ENTRY_HASH] not in hashes)
        )
        yield _entry(own[0], signatures)


def _entry(row: Any, signatures: tuple[StoredSignature, ...]) -> StoredEntry:
    return StoredEntry(
        stream=row[0],
        seq=row[1],
        columns=Columns(id=row[2], time=row[3], type=row[4], actor=row[5]),
        body=row[6],
        prev_hash=row[7],
        hash=row[_HASH],
        signatures=signatures,
    )


def _signature(row: Any) -> StoredSignature:
    return StoredSignature(
        signer=row[_SIGNER],
        algorithm=row[10],
        signature=row[11],
        entry_hash=row[_ENTRY_HASH],
        request_id=row[13],
        signed_at=row[14],
    )


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """The values of `ENTRY_COLUMNS`."""
    return (
        entry.stream,
        entry.seq,
        entry.id,
        entry.time,
        entry.type,
        entry.actor,
        entry.body,
        entry.prev_hash,
        entry.hash,
    )


def signature_row(new: NewSignature) -> tuple[Any, ...]:
    """stream, seq, entry_hash, signer, algorithm, signature, request_id, signed_at."""
    signature = new.signature
    return (
        new.stream,
        new.seq,
        signature.entry_hash,
        signature.signer,
        signature.algorithm,
        signature.signature,
        signature.request_id,
        signature.signed_at,
    )


def conditions(which: EntryFilter, mark: str) -> tuple[list[str], list[Any]]:
    """(SQL tests on the entry `e`, their values).

    Args:
        which: the filter.
        mark: what stands for a value in the driver's statements.
    """
    tests = {
        "e.stream =": which.stream,
        "e.type =": which.type,
        "e.actor =": which.actor,
        "e.time >=": which.since,
        "e.time <": which.until,
        "e.seq >=": which.first_seq,
        "e.seq <=": which.last_seq,
        "e.id =": which.id,
    }
    asked = {f"{test} {mark}": value for test, value in tests.items() if value is not None}
    return list(asked), list(asked.values())


def ids_by_stream(drafts: Sequence[Draft], *, all_of_them: bool = False) -> dict[str, list[str]]:
    """The ids to look up before an append: those that callers gave, or all where an attempt may have succeeded."""
    asked: dict[str, list[str]] = {}
    for draft in drafts:
        if all_of_them or not draft.id_is_new:
            asked.setdefault(draft.stream, []).append(draft.id)
    return asked


def by_id(entries: Iterable[StoredEntry]) -> dict[tuple[str, str], StoredEntry]:
    """The entries by stream and the id in their column."""
    return {
        (entry.stream, entry.columns.id): entry
        for entry in entries
        if entry.columns is not None and entry.columns.id is not None
    }


def chain(
    drafts: Sequence[Draft],
    found: Mapping[tuple[str, str], StoredEntry],
    head_of: Callable[[StreamName], Head],
    now: Micros,
) -> tuple[list[Entry], list[Appended]]:
    """(the new entries, each stream's in order; what became of each draft).

    Args:
        drafts: of any streams; under one id twice, they are one entry.
        found: what stands in the log already.
        head_of: a stream's last entry, locked.
        now: the clock.
    """
    fresh: dict[StreamName, dict[str, Draft]] = {}
    for draft in drafts:
        if (draft.stream, draft.id) not in found:
            fresh.setdefault(draft.stream, {}).setdefault(draft.id, draft)
    entries = [entry for stream, ones in fresh.items() for entry in extend(head_of(stream), ones.values(), now)]
    made = {(entry.stream, entry.id): entry for entry in entries}
    keys = [(draft.stream, draft.id) for draft in drafts]
    return entries, [Appended(made.get(key), found.get(key)) for key in keys]
