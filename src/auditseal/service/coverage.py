"""Says which kept checkpoint covers an entry that has no signature of its own, for whoever lists or shows entries.

It says what the log keeps and checks nothing: `verify` and `explain` do that. Entries that have signatures cost
nothing; each checkpoint that the others rest on is looked up once, those of the stream of heads among them.

Source: `docs/life-of-an-entry.md`; `docs/http.md`, "Reading".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from auditseal.core.heads import HEADS_STREAM
from auditseal.core.stored_checkpoint import CoveredBy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.ports import CheckpointStore, Store


def covered_by(store: Store, entries: Sequence[StoredEntry]) -> list[CoveredBy | None]:
    """For each entry the smallest signed checkpoint over it; None where it has its own signature, or none covers it.

    Args:
        store: the log.
        entries: of any streams; those of one stream cost least in order of seq.

    Raises:
        StoreError: the log cannot be read.
    """
    if all(entry.signatures for entry in entries) or not hasattr(store, "checkpoint_over"):
        return [None] * len(entries)
    lookup = _Lookup(cast("CheckpointStore", store))
    return [None if entry.signatures else lookup.over(entry.stream, entry.seq) for entry in entries]


class _Lookup:
    """Remembers of each stream which seqs the last checkpoint is the smallest over: the next entry usually is there."""

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._last: dict[str, tuple[int, CoveredBy | None]] = {}

    def over(self, stream: str, seq: int) -> CoveredBy | None:
        first, last = self._last.get(stream, (seq + 1, None))
        if seq < first or (last is not None and last.size <= seq):
            first, last = self._last[stream] = seq, self._find(stream, seq + 1)
        return last

    def _find(self, stream: str, size: int) -> CoveredBy | None:
        while (found := self._store.checkpoint_over(stream, size)) is not None:
            signer = self._signer_of(found)
            if signer is not None:
                return CoveredBy(size=found.size, signer=signer)
            size = found.size + 1
        return None

    def _signer_of(self, checkpoint: StoredCheckpoint) -> str | None:
        if checkpoint.malformed is not None:
            return None
        if checkpoint.cover is None or checkpoint.stream == HEADS_STREAM:
            return checkpoint.signer
        heads = self.over(HEADS_STREAM, checkpoint.cover.seq)
        return None if heads is None else heads.signer
