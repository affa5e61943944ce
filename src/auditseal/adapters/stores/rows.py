"""Between entries and the rows of a database: what stores on SQL databases share. It knows no driver.

Source: `docs/spec/sqlite.md`, `docs/spec/postgresql.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditseal.core.chain import extend
from auditseal.ports import Appended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from auditseal.core.chain import Head
    from auditseal.core.draft import Draft
    from auditseal.core.entry import Entry, StoredEntry
    from auditseal.core.event import StreamName
    from auditseal.core.times import Micros
    from auditseal.ports import EntryFilter, NewSignature


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
    if not found and all(draft.id_is_new for draft in drafts) and len({draft.stream for draft in drafts}) == 1:
        entries = extend(head_of(drafts[0].stream), drafts, now)  # as below, at half of the cost
        return entries, list(map(Appended, entries))
    fresh: dict[StreamName, dict[str, Draft]] = {}
    for draft in drafts:
        if (draft.stream, draft.id) not in found:
            fresh.setdefault(draft.stream, {}).setdefault(draft.id, draft)
    entries = [entry for stream, ones in fresh.items() for entry in extend(head_of(stream), ones.values(), now)]
    made = {(entry.stream, entry.id): entry for entry in entries}
    keys = [(draft.stream, draft.id) for draft in drafts]
    return entries, [Appended(made.get(key), found.get(key)) for key in keys]
