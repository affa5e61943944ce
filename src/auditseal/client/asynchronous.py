"""The asynchronous client of the service: as `Client`, for coroutines.

Source: `docs/clients.md`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2

from auditseal.client import calls
from auditseal.client.calls import Reply, Send, Step, Wait
from auditseal.client.spool import Spool
from auditseal.client.synchronous import RETRY_FOR_S, TIMEOUT_S, Client, patience_for
from auditseal.client.transport import Reach, Token, answer_of, failure_of, request_arguments
from auditseal.core.entry import StoredEntry
from auditseal.core.event import Event
from auditseal.core.receipt import Ack, Receipt
from auditseal.errors import AuditSealError, SignaturePendingError
from auditseal.ports import EntryFilter
from auditseal.service.ids import new_id

T = TypeVar("T")


class AsyncClient:
    """A client of the service for one event loop; close it, or use it in an `async with` statement."""

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        timeout_s: float = TIMEOUT_S,
        retry_for_s: float = RETRY_FOR_S,
        ca: str | os.PathLike[str] | None = None,
        certificate: tuple[Path, Path] | None = None,
        spool: Spool | str | os.PathLike[str] | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Sets up; arguments and errors are those of `Client`.

        A spool is emptied by a thread with a synchronous client of its own.
        """
        self._reach = Reach(
            url=url, token=token, timeout_s=timeout_s, ca=None if ca is None else Path(ca), certificate=certificate
        )
        self._http = httpx2.AsyncClient(**self._reach.options(), transport=transport)
        self._patience = patience_for(retry_for_s)
        self._spooling = (
            None
            if spool is None
            else Client(url, token=token, timeout_s=timeout_s, ca=ca, certificate=certificate, spool=spool)
        )

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
        """Records one event; see `Client.append`."""
        event = Event(type=type, payload=payload or {}, actor=actor, stream=stream, id=id, context=context)
        return await self.append_event(event, ack=ack)

    async def append_event(self, event: Event, *, ack: Ack = "signed") -> Receipt:
        """Records an event that was put together elsewhere."""
        return await self._run(calls.append_one(calls.with_id(event, new_id), ack, self._patience))

    async def append_many(self, events: Iterable[Event], *, ack: Ack = "signed") -> list[Receipt]:
        """Records events in order, in batches; see `Client.append_many`."""
        receipts = []
        for part in calls.chunks(calls.with_id(event, new_id) for event in events):
            outcomes, stopped = await self._run(calls.append_batch(part, ack, self._patience))
            for outcome in (*outcomes, *([] if stopped is None else [stopped])):
                if isinstance(outcome, AuditSealError):
                    raise outcome
                receipts.append(outcome)
        return receipts

    async def submit(self, event: Event) -> Receipt | None:
        """Records an event, in the spool while the service is away; see `Client.submit`."""
        if self._spooling is not None:
            return await asyncio.to_thread(self._spooling.submit, event)
        try:
            return await self.append_event(event)
        except SignaturePendingError as error:
            return error.receipts[0]

    async def entries(
        self, stream: str, *, which: EntryFilter | None = None, page: int = 500
    ) -> AsyncIterator[StoredEntry]:
        """A stream's entries by seq, in constant memory."""
        cursor: str | None = None
        while True:
            call = calls.get_page(stream, which or EntryFilter(), cursor, page, self._patience)
            entries, cursor = await self._run(call)
            for entry in entries:
                yield entry
            if cursor is None:
                return

    async def streams(self) -> list[str]:
        """The names of the streams that the caller may see."""
        return await self._run(calls.get_streams(self._patience))

    async def flush(self, timeout_s: float = 30.0) -> bool:
        """Waits until everything in the spool is recorded; whether it is."""
        return self._spooling is None or await asyncio.to_thread(self._spooling.flush, timeout_s)

    async def close(self) -> None:
        """Releases everything; what is in the spool stays there. Idempotent."""
        if self._spooling is not None:
            await asyncio.to_thread(self._spooling.close)
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, call: Generator[Step, Reply, T]) -> T:
        try:
            step = next(call)
            while True:
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)
                    step = call.send(None)
                else:
                    step = call.send(await self._request(step))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _request(self, send: Send) -> Reply:
        try:
            return answer_of(await self._http.request(**request_arguments(send, self._reach.headers())))
        except httpx2.HTTPError as error:
            return failure_of(error)
