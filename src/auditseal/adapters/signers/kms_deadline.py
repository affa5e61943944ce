"""Waits for work that has no timeout of its own, or none that can be trusted to hold for the whole of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import NoReturn, TypeVar

T = TypeVar("T")


def within(timeout_s: float, work: Callable[[], T], *, discard: Callable[[T], object] | None = None) -> T:
    """What `work` returns or raises, if it ends in time.

    Args:
        timeout_s: how long to wait.
        work: runs in a thread of its own, which does not keep the program from ending.
        discard: is given what the work returns when nobody waits for it any more.

    Raises:
        TimeoutError: it did not end; its thread is left behind.
    """
    outcome: SimpleQueue[Callable[[], T]] = SimpleQueue()
    abandoned = threading.Event()
    decided = threading.Lock()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            outcome.put(partial(_raise, error))
            return
        with decided:
            if not abandoned.is_set():
                outcome.put(lambda: result)
                return
        if discard is not None:
            discard(result)

    threading.Thread(target=run, name="auditseal-kms", daemon=True).start()
    try:
        return outcome.get(timeout=timeout_s)()
    except Empty:
        with decided:
            abandoned.set()
    if not outcome.empty():  # it ended in the very moment in which it was given up
        return outcome.get()()
    raise TimeoutError


def _raise(error: BaseException) -> NoReturn:
    raise error
