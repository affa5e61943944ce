"""Group commit: callers that come while another commits share the next commit.

A disk flushes a hundred events about as fast as one. No thread of its own: whoever waits first does the work of all
who wait.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from auditseal.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


class _Ticket(Generic[T, R]):
    """One caller's items and what became of them."""

    __slots__ = ("done", "error", "items", "results")

    def __init__(self, items: Sequence[T]) -> None:
        self.items = items
        self.results: list[R] = []
        self.error: BaseException | None = None
        self.done = False


class GroupCommit(Generic[T, R]):
    """Runs `commit` on the items of all callers that wait, one group at a time."""

    def __init__(self, commit: Callable[[Sequence[T]], list[R]], *, max_items: int) -> None:
        """Sets up.

        Args:
            commit: gives one result for each item, in order; all or nothing.
            max_items: how many items one group may have; a single caller's items are never parted.
        """
        self._commit = commit
        self._max_items = max_items
        self._waiting: deque[_Ticket[T, R]] = deque()
        self._turn = threading.Lock()

    def submit(self, items: Sequence[T]) -> list[R]:
        """The results for the items, once committed.

        Raises:
            whatever `commit` raises. Callers who shared a failed group are each tried again alone, so that one
            caller's bad item is nobody else's error; unless the error is `retryable`, and so nobody's in particular.
        """
        ticket: _Ticket[T, R] = _Ticket(items)
        self._waiting.append(ticket)
        try:
            with self._turn:
                while not ticket.done:
                    self._run(self._next_group())
        except BaseException:
            # This caller is being ended (by a signal): nobody else is to commit what it will not hear of.
            with suppress(ValueError):
                self._waiting.remove(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        return ticket.results

    def _next_group(self) -> list[_Ticket[T, R]]:
        group = [self._waiting.popleft()]
        size = len(group[0].items)
        while self._waiting and size + len(self._waiting[0].items) <= self._max_items:
            group.append(self._waiting.popleft())
            size += len(group[-1].items)
        return group

    def _run(self, group: list[_Ticket[T, R]]) -> None:
        items = group[0].items if len(group) == 1 else [item for ticket in group for item in ticket.items]
        try:
            results = self._commit(items)
        except Exception as error:  # noqa: BLE001 - raised in the threads of the callers it belongs to
            shared = isinstance(error, StoreError) and error.retryable
            if len(group) > 1 and not shared:
                self._run_each(group)
                return
            for ticket in group:
                ticket.error = error if len(group) == 1 else _again(error)
                ticket.done = True
        except BaseException:
            # This thread is being ended; the others' items are not to be lost with it.
            self._waiting.extendleft(reversed([ticket for ticket in group if not ticket.done]))
            raise
        else:
            start = 0
            for ticket in group:
                ticket.results = results[start : start + len(ticket.items)]
                ticket.done = True
                start += len(ticket.items)

    def _run_each(self, group: list[_Ticket[T, R]]) -> None:
        waiting = deque(group)
        try:
            while waiting:
                self._run([waiting.popleft()])
        finally:
            self._waiting.extendleft(reversed(waiting))


def _again(error: Exception) -> StoreError:
    """The same error for one more thread: an exception that several raise would mix their tracebacks."""
    other = StoreError(str(error), retryable=True)
    other.__cause__ = error
    return other
