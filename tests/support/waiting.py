"""Waiting for another thread, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_S = 20.0


def until(condition: Callable[[], object]) -> None:
    """Returns once the condition holds; fails the test if it never does."""
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for never came"
        time.sleep(0.002)
