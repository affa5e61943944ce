"""Group commit: callers that come while another commits share the next commit.

A disk flushes a hundred events about as fast as one. No thread of its own: whoever waits first does the work of all
who wait.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

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
            caller's bad item is nobody else's error.
        """
        ticket: _Ticket[T, R] = _Ticket(items)
        self._waiting.append(ticket)
        with self._turn:
            while not ticket.done:
                self._run(self._next_group())
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
        except Exception as error:  # noqa: BLE001 - raised in the thread of the caller it belongs to
            if len(group) > 1:
                for ticket in group:
                    self._run([ticket])
                return
            group[0].error = error
            group[0].done = True
        else:
            start = 0
            for ticket in group:
                ticket.results = results[start : start + len(ticket.items)]
                ticket.done = True
                start += len(ticket.items)
