"""The hash chain: how one entry follows another.

Source: `docs/spec/entry.md`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.entry import Entry
from auditseal.core.event import EntryHash, StreamName
from auditseal.core.times import Micros, format_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auditseal.core.draft import Draft

NO_HASH: Final = EntryHash(b"")
"""The `prev_hash` of seq 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last entry of a stream.

    Attributes:
        seq: its number; -1 for a stream without entries.
        hash: its hash; empty without entries.
        time: its time; "" without entries.
    """

    stream: StreamName
    seq: int = -1
    hash: EntryHash = NO_HASH
    time: str = ""


def entry_hash(body: bytes, prev_hash: bytes) -> EntryHash:
    """SHA-256(body || prev_hash): 32 bytes."""
    return EntryHash(hashlib.sha256(body + prev_hash).digest())


def extend(head: Head, drafts: Iterable[Draft], now: Micros) -> list[Entry]:
    """The entries of the drafts, in their order, after `head`.

    Args:
        head: the last entry of the drafts' stream.
        drafts: all of that stream.
        now: the clock; where it stands before the head's time, the head's time is kept.
    """
    time = max(format_time(now), head.time)
    prev_hash = head.hash
    entries = []
    for seq, draft in enumerate(drafts, head.seq + 1):
        body = draft.body(seq, time)
        hash_ = entry_hash(body, prev_hash)
        entries.append(Entry(draft.stream, seq, draft.id, time, draft.type, draft.actor, body, prev_hash, hash_))
        prev_hash = hash_
    return entries
