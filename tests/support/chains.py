"""Signed chains made with the core alone; for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.chain import Head, extend
from auditseal.core.draft import Limits, make_draft
from auditseal.core.entry import Columns, Entry, StoredEntry, StoredSignature
from auditseal.core.event import Event, StreamName
from auditseal.core.times import Micros
from support.keys import sign

START = Micros(1_782_864_000_000_000)
"""2026-07-01T00:00:00Z."""


def make_entries(count: int, *, stream: str = "default", payloads: Sequence[dict[str, Any]] = ()) -> list[Entry]:
    """A chain from seq 0 on, an entry a second."""
    head = Head(stream=StreamName(stream))
    entries = []
    for number in range(count):
        payload = payloads[number] if payloads else {"n": number}
        event = Event(type="test.event", actor=f"actor-{number}", payload=payload, stream=stream)
        draft = make_draft(event, new_id=str(UUID(int=(7 << 76) | (2 << 62) | number)), limits=Limits())
        entries += extend(head, [draft], Micros(START + number * 1_000_000))
        head = Head(stream=head.stream, seq=number, hash=entries[-1].hash, time=entries[-1].time)
    return entries


def stored(entry: Entry, algorithm: AlgorithmId | None = AlgorithmId.ED25519) -> StoredEntry:
    """The entry as a store gives it, signed by `support.keys.signer(algorithm)`, or not signed."""
    signatures = ()
    if algorithm is not None:
        signatures = (
            StoredSignature(
                signer=f"signer-{algorithm}",
                algorithm=str(algorithm),
                signature=sign(algorithm, entry.hash),
                entry_hash=entry.hash,
            ),
        )
    return StoredEntry(
        stream=entry.stream,
        seq=entry.seq,
        body=entry.body,
        prev_hash=entry.prev_hash,
        hash=entry.hash,
        columns=Columns(id=entry.id, time=entry.time, type=entry.type, actor=entry.actor),
        signatures=signatures,
    )


def make_log(
    count: int, *, stream: str = "default", algorithm: AlgorithmId | None = AlgorithmId.ED25519
) -> list[StoredEntry]:
    """A stored chain, each entry signed."""
    return [stored(entry, algorithm) for entry in make_entries(count, stream=stream)]
