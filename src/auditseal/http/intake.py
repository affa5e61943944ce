"""Where single events meet: those of requests that come together share a thread, a transaction and its flush.

A group is whatever has come while the groups before it are being worked on; an event that comes alone is a group of
one, at once. Groups overlap, so that one that waits for its signatures keeps no other from being chained.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog
from anyio import CapacityLimiter, to_thread

from auditseal.core.receipt import ACKS
from auditseal.service.append import CHUNK

if TYPE_CHECKING:
    from auditseal.core.event import Event
    from auditseal.core.receipt import Ack
    from auditseal.service.log import Log
    from auditseal.service.receipts import Outcome

_log: Final = structlog.get_logger("auditseal.http")
_GROUPS: Final = {True: 2, False: 16}
"""How many groups are worked on at once, by whether signing costs only this machine's CPU."""


class GroupFailedError(Exception):
    """A fault of the program ended a group; what it was stands in the log."""


class Intake:
    """Takes single events into a log, from one event loop."""

    def __init__(self, log: Log) -> None:
        """Sets up."""
        self._log = log
        self._most = _GROUPS[log.signer is None or log.signer.concurrency == 1]
        self._threads = CapacityLimiter(self._most * len(ACKS))
        self._waiting: dict[Ack, deque[tuple[Event, asyncio.Future[Outcome]]]] = {ack: deque() for ack in ACKS}
        self._groups: dict[Ack, set[asyncio.Task[None]]] = {ack: set() for ack in ACKS}

    @property
    def waiting(self) -> int:
        """How many events no group has taken yet."""
        return sum(map(len, self._waiting.values()))

    async def append(self, event: Event, ack: Ack) -> Outcome:
        """What became of one event: its receipt, or the error that `Log.append_event` would raise."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting[ack].append((event, future))
        if len(self._waiting[ack]) == 1:
            # Whatever else has come in this turn of the loop comes along.
            loop.call_soon(self._start, ack)
        return await future

    def _start(self, ack: Ack) -> None:
        waiting, groups = self._waiting[ack], self._groups[ack]
        while waiting and len(groups) < self._most:
            group = [waiting.popleft() for _ in range(min(len(waiting), CHUNK))]
            task = asyncio.get_running_loop().create_task(self._work_off(group, ack))
            groups.add(task)
            task.add_done_callback(lambda done: self._ended(done, ack))

    def _ended(self, task: asyncio.Task[None], ack: Ack) -> None:
        self._groups[ack].discard(task)
        self._start(ack)

    async def _work_off(self, group: list[tuple[Event, asyncio.Future[Outcome]]], ack: Ack) -> None:
        events = [event for event, _ in group]
        try:
            outcomes = await to_thread.run_sync(self._log.append_each, events, ack, limiter=self._threads)
        except BaseException as error:
            _log.exception("fault", events=len(events))
            for _, future in group:
                if not future.done():
                    # One of its own for each: an exception that several tasks raise would chain its context in a ring.
                    own = GroupFailedError("the group of events could not be appended")
                    own.__cause__ = error
                    future.set_exception(own)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
