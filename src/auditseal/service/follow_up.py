"""Signing what was acknowledged as durable: at once, in the background, by the process that appended it.

What it does not come to in time it lets go, and from then on any process may sign that. So no entry is with two
processes, each of which would call KMS for it.

Source: `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auditseal.core.entry import Entry
    from auditseal.service.seal import Sealer

_MOST_HELD_BYTES: Final = 32 * 1024 * 1024
_SLICE: Final = 100
_PAUSES: Final = 3
"""So many times as long as a local key signed, it then leaves the processor to others, while more waits for it."""
_LONGEST_PAUSE_S: Final = 1.0
_BESIDE_BODY_BYTES: Final = 1024
"""What an entry takes in memory beside its body, roughly."""


class FollowUp:
    """Signs entries in a thread of its own, in the order in which they come. Safe to use from many threads."""

    def __init__(
        self,
        sealer: Sealer,
        *,
        within_s: float,
        let_go: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
        closing: threading.Event | None = None,
    ) -> None:
        """Sets up.

        Args:
            sealer: signs.
            within_s: how long entries wait here at most.
            let_go: told when entries were let go, or could not be signed.
            monotonic: seconds.
            closing: set when it closes, and waited for in pauses.
        """
        self._sealer = sealer
        self._within_s = within_s
        self._let_go = let_go
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(1, "auditseal-follow-up")
        self._lock = threading.Lock()
        self._held_bytes = 0
        self._released_at = -1.0
        self._closed = False
        self._closing = closing or threading.Event()

    def take(self, entries: Sequence[Entry]) -> None:
        """These entries are durable and have no signature: they are signed soon, or let go."""
        size = sum(len(entry.body) + _BESIDE_BODY_BYTES for entry in entries)
        with self._lock:
            fits = self._held_bytes + size <= _MOST_HELD_BYTES and not self._closed
            if fits:
                self._held_bytes += size
                self._pool.submit(self._work, entries, size, self._monotonic())
        if not fits:
            self._let_go()

    def release(self) -> None:
        """Lets go of all that waits, for somebody else to sign."""
        self._released_at = self._monotonic()

    def close(self) -> None:
        """Waits until all that was taken is signed or let go. Idempotent."""
        self._closing.set()
        with self._lock:
            self._closed = True
        self._pool.shutdown()

    def _work(self, entries: Sequence[Entry], size: int, since: float) -> None:
        signed, is_local = False, self._sealer.signer.concurrency == 1
        began = self._monotonic()
        try:
            # In slices, so that calls of others, who wait for their signatures, come in between.
            slice_ = len(entries) if is_local else _SLICE
            parts = [entries[first : first + slice_] for first in range(0, len(entries), slice_)]
            signed = all(self._may_still(since) and self._sign(part) for part in parts)
        finally:
            with self._lock:
                self._held_bytes -= size
                more = self._held_bytes > 0
            if not signed:
                self._let_go()
        if is_local and signed and more:
            # A local key's signatures take this process's own time, which appending needs while more comes in.
            self._closing.wait(min(_PAUSES * (self._monotonic() - began), _LONGEST_PAUSE_S))

    def _may_still(self, since: float) -> bool:
        """Whether what was taken at this time is still this process's to sign."""
        return since > self._released_at and self._monotonic() - since < self._within_s

    def _sign(self, entries: Sequence[Entry]) -> bool:
        outcomes = self._sealer.finish(entries, self._sealer.begin(entries))
        return all(outcome.signature is not None for outcome in outcomes)
