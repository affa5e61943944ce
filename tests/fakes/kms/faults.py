"""Faults on demand: what goes wrong, for which calls, how often.

Kinds, by where they strike:
    before the work: `error` (type, message, status), `denied`, `throttled`, `hang`, `reset`, `garbage` (a body that is
        no JSON, with status)
    in the work: `wrong-signature` (last bit flipped), `hash-again` (signs the hash of the message)
    after the work: `hang-after` (done, never answered), `reset-after`, `close-after` (answered, then closed without
        notice), `other-key` (the answer names another key)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

KINDS = frozenset(
    {
        "error",
        "denied",
        "throttled",
        "hang",
        "reset",
        "garbage",
        "wrong-signature",
        "hash-again",
        "hang-after",
        "reset-after",
        "close-after",
        "other-key",
    }
)


@dataclass(slots=True, kw_only=True)
class Fault:
    """One scripted fault.

    Attributes:
        kind: one of `KINDS`.
        operation: the operation it strikes; `*` for all.
        times: how many calls it strikes; None until it is cleared.
        skip: how many calls it lets pass first.
        access_key: strikes this caller alone.
        type, message, status: of an `error` or `garbage` answer.
    """

    kind: str
    operation: str = "*"
    times: int | None = None
    skip: int = 0
    access_key: str | None = None
    type: str = "KMSInternalException"
    message: str = ""
    status: int = 500

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of fault: use one of {sorted(KINDS)}")

    def concerns(self, operation: str, access_key: str | None) -> bool:
        return self.operation in {"*", operation} and self.access_key in {None, access_key} and self.times != 0


class Faults:
    """The faults in force. Safe to change from any thread while the service runs.

    Attributes:
        latency_s: how long each answer takes at least.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.latency_s = 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._buckets: dict[str, _Bucket] = {}

    def add(self, kind: str, **members: object) -> Fault:
        fault = Fault(kind=kind, **members)
        with self._lock:
            self._faults.append(fault)
        return fault

    def limit(self, operation: str, per_second: float, *, burst: float | None = None) -> None:
        """Throttles an operation: a bucket that fills at this rate and holds `burst` (default: one second's)."""
        size = per_second if burst is None else burst
        with self._lock:
            self._buckets[operation] = _Bucket(rate=per_second, size=size, level=size, since=self._clock())

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self._buckets.clear()
        self.latency_s = 0.0

    def take(self, operation: str, access_key: str | None) -> list[Fault]:
        """The faults that strike this call; each is counted."""
        with self._lock:
            struck = []
            for fault in self._faults:
                if not fault.concerns(operation, access_key):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                struck.append(fault)
            if operation in self._buckets and not self._buckets[operation].take(self._clock()):
                struck.append(Fault(kind="throttled"))
            return struck


@dataclass(slots=True, kw_only=True)
class _Bucket:
    rate: float
    size: float
    level: float
    since: float

    def take(self, now: float) -> bool:
        """Whether there is one left for this call."""
        self.level = min(self.size, self.level + (now - self.since) * self.rate)
        self.since = now
        if self.level < 1:
            return False
        self.level -= 1
        return True
