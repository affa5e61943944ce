"""Logs whose signatures have request ids, made without a KMS: the account of signatures never checks a signature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from auditseal.core.chain import Head, extend
from auditseal.core.draft import Limits, make_draft
from auditseal.core.entry import Columns, StoredEntry, StoredSignature
from auditseal.core.event import Event, StreamName
from auditseal.core.times import Micros, format_time
from support.trail import uuid_of

SIGNER = "audit-2026"


class ListSource:
    """Entries in memory as a `Source`."""

    address = "memory"

    def __init__(self, entries: Sequence[StoredEntry]) -> None:
        self.entries = list(entries)

    def walk(self, streams: Sequence[str] | None = None) -> Iterator[StoredEntry]:
        yield from (entry for entry in self.entries if streams is None or entry.stream in streams)

    def count(self, streams: Sequence[str] | None = None) -> int:
        return len(list(self.walk(streams)))

    def close(self) -> None:
        pass


def stored(stream: str, seq: int, at: int, *, request_id: str | None = None, signer: str = SIGNER) -> StoredEntry:
    """An entry that says it was signed a second after it was made; chained to nothing."""
    event = Event(type="agent.spawned", payload={"n": seq}, stream=stream)
    draft = make_draft(event, new_id=uuid_of(seq, 3), limits=Limits())
    head = Head(stream=StreamName(stream), seq=seq - 1, hash=b"\x00" * 32 if seq else b"")
    (entry,) = extend(head, [draft], Micros(at * 1_000_000))
    signature = StoredSignature(
        signer=signer,
        algorithm="ed25519",
        signature=b"\x00" * 64,
        request_id=request_id or uuid_of(seq, 1),
        signed_at=format_time(Micros((at + 1) * 1_000_000)),
    )
    return StoredEntry(
        stream=stream,
        seq=seq,
        body=entry.body,
        prev_hash=entry.prev_hash,
        hash=entry.hash,
        columns=Columns(id=entry.id, time=entry.time, type=entry.type, actor=entry.actor),
        signatures=(signature,),
    )


def with_signature(entry: StoredEntry, **changes: object) -> StoredEntry:
    """The entry with members of its signature changed."""
    return replace(entry, signatures=(replace(entry.signatures[0], **changes),))
