"""Drafts, signatures and appends for tests of stores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.draft import Draft, Limits, make_draft
from auditseal.core.entry import Entry, StoredEntry, StoredSignature
from auditseal.core.event import Event
from auditseal.core.times import Micros
from auditseal.ports import NewSignature, Store
from auditseal.service.ids import new_id
from support.chains import START


def draft(
    number: int = 0,
    *,
    stream: str = "default",
    id_: str | None = None,
    payload: dict[str, Any] | None = None,
    type_: str = "test.event",
    actor: str | None = "actor-1",
) -> Draft:
    """A draft; without an id of the caller's it gets one that no store can have."""
    event = Event(type=type_, actor=actor, stream=stream, id=id_, payload={"n": number} if payload is None else payload)
    return make_draft(event, new_id=new_id(), limits=Limits())


def event_id(number: int) -> str:
    """The id of event so-and-so, as a caller would give it."""
    return str(UUID(int=(7 << 76) | (2 << 62) | number))


def append(store: Store, drafts: Sequence[Draft], *, at: int = 0) -> list[Entry]:
    """Appends drafts, all of them new, so many seconds after the start."""
    appended = store.append(drafts, lambda: Micros(START + at * 1_000_000))
    assert all(item.new is not None and item.found is None for item in appended)
    return [item.new for item in appended if item.new is not None]


def fill(store: Store, count: int, *, stream: str = "default", at: int = 0) -> list[Entry]:
    """Appends so many events, an append each, a second apart."""
    return [append(store, [draft(number, stream=stream)], at=at + number)[0] for number in range(count)]


def signature_for(entry: Entry | StoredEntry, *, signer: str = "signer-1", text: bytes = b"signature") -> NewSignature:
    """Something to store as a signature; stores do not check them."""
    return NewSignature(
        stream=entry.stream,
        seq=entry.seq,
        signature=StoredSignature(
            signer=signer,
            algorithm=AlgorithmId.ED25519,
            signature=text,
            entry_hash=entry.hash,
            request_id=f"request-{entry.seq}",
            signed_at="2026-07-01T00:00:00.000000Z",
        ),
    )


def places(entries: Iterable[StoredEntry | Entry]) -> list[tuple[str, int]]:
    """(stream, seq) of each."""
    return [(entry.stream, entry.seq) for entry in entries]


def check_chains(entries: Iterable[StoredEntry]) -> dict[str, int]:
    """Counts entries by stream; fails on a gap, a fork, a repeated id or a wrong hash. With hashlib alone."""
    tips: dict[str, tuple[int, bytes]] = {}
    ids: set[tuple[str, str | None]] = set()
    counts: dict[str, int] = {}
    for entry in entries:
        seq, tip = tips.get(entry.stream, (-1, b""))
        assert (entry.seq, entry.prev_hash) == (seq + 1, tip), f"{entry.stream} #{entry.seq} does not follow #{seq}"
        assert hashlib.sha256(entry.body + entry.prev_hash).digest() == entry.hash
        assert entry.columns is not None
        assert (entry.stream, entry.columns.id) not in ids
        ids.add((entry.stream, entry.columns.id))
        tips[entry.stream] = entry.seq, entry.hash
        counts[entry.stream] = entry.seq + 1
    return counts
