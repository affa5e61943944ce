"""Clients over an open log in this process: the interface of `Client`, without a service.

The log stays its owner's to close.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from auditseal.core.event import Event
from auditseal.core.receipt import Ack, Receipt
from auditseal.errors import AuditSealError, InputError, SignaturePendingError
from auditseal.ports import EntryFilter

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.service.log import Log


class LocalClient:
    """Records in a log of this process. Safe to use from many threads."""

    def __init__(self, log: Log) -> None:
        """Over an open log."""
        self._log = log

    def append(
        self,
        type: str,  # noqa: A002 - the member's name in the format
        payload: Mapping[str, Any] | None = None,
        *,
        actor: str | None = None,
        stream: str = "default",
        id: str | None = None,  # noqa: A002 - the member's name in the format
        context: Mapping[str, Any] | None = None,
        ack: Ack = "signed",
    ) -> Receipt:
        """As `auditseal.Log.append`."""
        return self._log.append(type, payload, actor=actor, stream=stream, id=id, context=context, ack=ack)

    def append_event(self, event: Event, *, ack: Ack = "signed") -> Receipt:
        """As `auditseal.Log.append_event`."""
        return self._log.append_event(event, ack=ack)

    def append_many(self, events: Iterable[Event], *, ack: Ack = "signed") -> list[Receipt]:
        """As `auditseal.Log.append_many`."""
        return self._log.append_many(events, ack=ack)

    def append_stream(
        self, events: Iterable[Event | InputError], *, ack: Ack = "signed"
    ) -> Iterator[list[Receipt | AuditSealError]]:
        """As `auditseal.Log.append_stream`."""
        return self._log.append_stream(events, ack=ack)

    def submit(self, event: Event) -> Receipt:
        """Records an event (`Recorder.submit`)."""
        try:
            return self._log.append_event(event)
        except SignaturePendingError as error:
            return error.receipts[0]

    def entries(
        self, stream: str | None = None, *, which: EntryFilter | None = None, page: int = 500
    ) -> Iterator[StoredEntry]:
        """As `auditseal.Log.entries`."""
        return self._log.entries(stream, which=which, page=page)

    def streams(self) -> list[str]:
        """The names of the log's streams."""
        return [head.stream for head in self._log.store.streams()]

    def flush(self, timeout_s: float = 30.0) -> bool:  # noqa: ARG002 - the interface's
        """There is no spool: everything that was submitted is recorded."""
        return True

    def close(self) -> None:
        """Leaves the log open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncLocalClient:
    """Records in a log of this process, each call in a thread, from a coroutine."""

    def __init__(self, log: Log) -> None:
        """Over an open log."""
        self._client = LocalClient(log)

    async def append(
        self,
        type: str,  # noqa: A002 - the member's name in the format
        payload: Mapping[str, Any] | None = None,
        *,
        actor: str | None = None,
        stream: str = "default",
        id: str | None = None,  # noqa: A002 - the member's name in the format
        context: Mapping[str, Any] | None = None,
        ack: Ack = "signed",
    ) -> Receipt:
        """As `auditseal.Log.append`."""
        event = Event(type=type, payload=payload or {}, actor=actor, stream=stream, id=id, context=context)
        return await self.append_event(event, ack=ack)

    async def append_event(self, event: Event, *, ack: Ack = "signed") -> Receipt:
        """As `auditseal.Log.append_event`."""
        return await asyncio.to_thread(self._client.append_event, event, ack=ack)

    async def append_many(self, events: Iterable[Event], *, ack: Ack = "signed") -> list[Receipt]:
        """As `auditseal.Log.append_many`."""
        return await asyncio.to_thread(self._client.append_many, list(events), ack=ack)

    async def submit(self, event: Event) -> Receipt:
        """Records an event (`AsyncRecorder.submit`)."""
        return await asyncio.to_thread(self._client.submit, event)

    async def entries(
        self, stream: str, *, which: EntryFilter | None = None, page: int = 500
    ) -> AsyncIterator[StoredEntry]:
        """A stream's entries by seq."""
        entries = self._client.entries(stream, which=which, page=page)
        while (entry := await asyncio.to_thread(next, entries, None)) is not None:
            yield entry

    async def streams(self) -> list[str]:
        """The names of the log's streams."""
        return await asyncio.to_thread(self._client.streams)

    async def flush(self, timeout_s: float = 30.0) -> bool:
        """There is no spool: everything that was submitted is recorded."""
        return self._client.flush(timeout_s)

    async def close(self) -> None:
        """Leaves the log open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
