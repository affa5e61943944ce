"""Bounds: how fast one caller may be, how much of all requests is held in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from auditseal.errors import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_CALLERS: Final = 10_000
_BURST_S: Final = 2.0


class RateLimit:
    """A bucket for each caller: it holds two seconds' worth of requests."""

    def __init__(self, per_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Sets up.

        Args:
            per_s: requests a second; 0 for any number.
            monotonic: a clock in seconds.
        """
        self._per_s = per_s
        self._size = max(1.0, per_s * _BURST_S)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Takes one request of a caller.

        Raises:
            OverloadedError: there is none left; says when there will be.
        """
        if not self._per_s:
            return
        with self._lock:
            now = self._monotonic()
            level, since = self._levels.pop(caller, (self._size, now))
            level = min(self._size, level + (now - since) * self._per_s)
            allowed = level >= 1
            self._levels[caller] = (level - 1 if allowed else level, now)
            if len(self._levels) > _MOST_CALLERS:
                # The one that was idle longest; its bucket is full again, or nearly.
                self._levels.popitem(last=False)
        if not allowed:
            raise OverloadedError(
                f"more than {self._per_s:g} requests a second: slow down, or send events in batches",
                reason="rate-limit",
                retry_after_s=(1 - level) / self._per_s,
            )


class Room:
    """How much of something is in use, up to a limit."""

    def __init__(self, limit: int, what: str) -> None:
        self._limit = limit
        self._what = what
        self._lock = threading.Lock()
        self._used = 0

    def take(self, amount: int) -> None:
        """Takes some.

        Raises:
            OverloadedError: there is not as much left.
        """
        with self._lock:
            if self._used + amount > self._limit:
                raise OverloadedError(f"too many {self._what} at once: try again", reason="busy")
            self._used += amount

    def give_back(self, amount: int) -> None:
        """Gives back what was taken."""
        with self._lock:
            self._used -= amount

    @contextmanager
    def one(self) -> Iterator[None]:
        """Takes one for as long as this is open."""
        self.take(1)
        try:
            yield
        finally:
            self.give_back(1)
