"""The hashes of what this process has appended lately, so that a stream's tree need not read them back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST: Final = 100_000
"""More wait for a checkpoint only while none can be made; then they are read from the store."""


class RecentHashes:
    """Runs of entry hashes of one stream. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[int, Sequence[bytes]] = {}
        self._count = 0

    def add(self, first: int, hashes: Sequence[bytes]) -> None:
        """Keeps a run.

        Args:
            first: the seq of the first entry.
            hashes: 32 bytes each, by seq without a gap; the entries are in the store.
        """
        with self._lock:
            if self._count + len(hashes) > _MOST:
                self._runs, self._count = {}, 0
            self._runs[first] = hashes
            self._count += len(hashes)

    def take(self, first: int, end: int) -> Sequence[bytes]:
        """The hashes from a seq on, where a run begins there, up to before `end`; they are kept no longer."""
        with self._lock:
            run = self._runs.pop(first, ())
            taken, rest = run[: end - first], run[end - first :]
            self._count -= len(taken)
            if rest:
                self._runs[end] = rest
            return taken

    def until(self, first: int, end: int) -> int:
        """The seq after `first` at which the next run begins; `end` if none does before. What is older is dropped."""
        with self._lock:
            for passed in [start for start in self._runs if start < first]:
                self._count -= len(self._runs.pop(passed))
            return min((start for start in self._runs if start < end), default=end)
