"""Which failed call is tried again, when, and how often in all: AWS's `standard` retry mode.

The rules stand here and not in botocore, so that one total deadline holds for every transport. What differs from
botocore: an exceeded resource quota (`LimitExceededException`) and an untrusted certificate are not tried again,
since neither passes by itself.

Source: AWS SDKs and Tools Reference Guide, "Retry behavior"; botocore's `retries.standard`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MAX_BACKOFF_S: Final = 20.0
THROTTLED_BASE_S: Final = 1.0
OTHER_BASE_S: Final = 0.05

QUOTA_TOKENS: Final = 500
RETRY_COST: Final = 14
THROTTLED_RETRY_COST: Final = 5
SUCCESS_REFUND: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """How one call is tried.

    Attributes:
        max_attempts: the first one included.
        deadline_s: over everything: waiting for a place, all attempts, all pauses.
        attempt_timeout_s: for one attempt.
        clock: seconds that only go forward.
        sleep: pauses for so many seconds.
        jitter: 0 up to 1, at random.
    """

    max_attempts: int = 3
    deadline_s: float = 10.0
    attempt_timeout_s: float = 3.0
    clock: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)
    jitter: Callable[[], float] = field(default=random.random)

    def pause_s(self, attempt: int, *, throttled: bool) -> float:
        """How long to wait after this attempt, the first being 1."""
        base_s = THROTTLED_BASE_S if throttled else OTHER_BASE_S
        longest_s: float = min(base_s * 2 ** (attempt - 1), MAX_BACKOFF_S)
        return self.jitter() * longest_s


class RetryQuota:
    """Tokens that retries cost and successes give back: when much fails, little is tried again. Thread-safe."""

    def __init__(self, tokens: int = QUOTA_TOKENS) -> None:
        self._most = tokens
        self._tokens = tokens
        self._lock = threading.Lock()

    def take(self, cost: int) -> bool:
        """Whether there were enough tokens; if so they are taken."""
        with self._lock:
            if cost > self._tokens:
                return False
            self._tokens -= cost
            return True

    def give_back(self, tokens: int) -> None:
        """Returns tokens, up to the most there may be."""
        if self._tokens == self._most:
            return
        with self._lock:
            self._tokens = min(self._most, self._tokens + tokens)


def cost_of(*, throttled: bool) -> int:
    """What one retry costs."""
    return THROTTLED_RETRY_COST if throttled else RETRY_COST
