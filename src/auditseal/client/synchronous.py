"""The synchronous client of the service: what `Log` offers, over HTTP.

Source: `docs/clients.md`.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import httpx2

from auditseal.client import calls
from auditseal.client.calls import Patience, Reply, Send, Step, Wait
from auditseal.client.drain import Drain
from auditseal.client.spool import Spool
from auditseal.client.transport import Reach, Token, answer_of, failure_of, request_arguments
from auditseal.core.entry import StoredEntry
from auditseal.core.event import Event
from auditseal.core.receipt import Ack, Receipt
from auditseal.errors import AuditSealError, InputError, SignaturePendingError
from auditseal.ports import EntryFilter
from auditseal.service.ids import new_id

T = TypeVar("T")
RETRY_FOR_S: Final = 30.0
TIMEOUT_S: Final = 10.0


class Client:
    """A client of the service. Safe to use from many threads; close it, or use it in a `with` statement."""

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
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """Sets up; nothing is sent yet, but for what an earlier process left in the spool.

        Args:
            url: such as `https://audit.internal`.
            token: an API token or JWT, or a function that gives one whenever one is needed.
            timeout_s: for one attempt.
            retry_for_s: how long a call is repeated while the service cannot be reached or is too busy.
            ca: PEM file of the authorities that the service's certificate must come from.
            certificate: PEM files of a client certificate and its key.
            spool: a file for events that cannot be sent yet; used by `submit` alone.
            transport: another way to the service, such as one to an application in this process.
            sleep: waits between attempts; by default so that `close` ends it.

        Raises:
            ConfigError: the address or a certificate is not usable, or another process has the spool.
            StoreError: the spool cannot be opened.
        """
        self._reach = Reach(
            url=url, token=token, timeout_s=timeout_s, ca=None if ca is None else Path(ca), certificate=certificate
        )
        self._http = httpx2.Client(**self._reach.options(), transport=transport)
        self._closing = threading.Event()
        self._sleep = sleep or self._closing.wait
        self._patience = patience_for(retry_for_s)
        self._spool = spool if isinstance(spool, Spool) or spool is None else Spool(spool)
        self._drain = None if self._spool is None else Drain(self._spool, self._send_spooled)

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
        """Records one event, and returns when it is signed (or durable).

        Args: as `auditseal.Log.append`.

        Raises:
            AuditSealError: as `auditseal.Log.append`; ServiceError where the service gave no answer, so that the event
                may be in the log or not: another attempt must keep its id.
        """
        event = Event(type=type, payload=payload or {}, actor=actor, stream=stream, id=id, context=context)
        return self.append_event(event, ack=ack)

    def append_event(self, event: Event, *, ack: Ack = "signed") -> Receipt:
        """Records an event that was put together elsewhere; see `append`."""
        return self._run(calls.append_one(calls.with_id(event, new_id), ack, self._patience))

    def append_many(self, events: Iterable[Event], *, ack: Ack = "signed") -> list[Receipt]:
        """Records events in order, in batches.

        Raises:
            AuditSealError: as `append`, of the first event that was not taken; those before it are in the log.
        """
        receipts = []
        for outcomes in self.append_stream(events, ack=ack):
            for outcome in outcomes:
                if isinstance(outcome, AuditSealError):
                    raise outcome
                receipts.append(outcome)
        return receipts

    def append_stream(
        self, events: Iterable[Event | InputError], *, ack: Ack = "signed"
    ) -> Iterator[list[Receipt | AuditSealError]]:
        """Records any number of events in constant memory; each has an outcome of its own.

        Yields:
            in order, a receipt or the error that kept this one event out, some at a time.

        Raises:
            AuditSealError: the service takes no more now; what was yielded before is in the log.
        """
        for part in calls.chunks(calls.with_id(_only_event(event), new_id) for event in events):
            outcomes, stopped = self._run(calls.append_batch(part, ack, self._patience))
            if outcomes:
                yield outcomes
            if stopped is not None:
                raise stopped

    def submit(self, event: Event) -> Receipt | None:
        """Records an event; while the service is away, in the spool, if there is one (`Recorder.submit`).

        Events of one thread reach the log in their order. One that is in the log and not signed yet is recorded.
        """
        event = calls.with_id(event, new_id)
        calls.encode(event)
        if self._spool is None or self._drain is None:
            return _recorded(lambda: self.append_event(event))
        if len(self._spool):
            self._put(event)
            return None
        try:
            return _recorded(lambda: self._run(calls.append_one(event, "signed", patience_for(0))))
        except AuditSealError as error:
            if not error.retryable:
                raise
            self._put(event)
            return None

    def entries(
        self, stream: str | None = None, *, which: EntryFilter | None = None, page: int = 500
    ) -> Iterator[StoredEntry]:
        """Entries by stream and seq, in constant memory; see `auditseal.Log.entries`."""
        filter_ = which or EntryFilter(stream=stream)
        names = [filter_.stream] if filter_.stream is not None else self.streams()
        for name in names:
            cursor: str | None = None
            while True:
                entries, cursor = self._run(calls.get_page(name, filter_, cursor, page, self._patience))
                yield from (entry for entry in entries if filter_.id is None or _id_of(entry) == filter_.id)
                if cursor is None:
                    break

    def streams(self) -> list[str]:
        """The names of the streams that the caller may see."""
        return self._run(calls.get_streams(self._patience))

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Waits until everything in the spool is recorded; whether it is."""
        return self._drain is None or self._drain.wait_until_empty(timeout_s)

    def close(self) -> None:
        """Releases everything; what is in the spool stays there for the next process. Idempotent."""
        self._closing.set()
        if self._drain is not None:
            self._drain.close()
        if self._spool is not None:
            self._spool.close()
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, event: Event) -> None:
        assert self._spool is not None
        assert self._drain is not None
        self._spool.put(event)
        self._drain.wake()

    def _send_spooled(self, events: Sequence[Event]) -> list[Receipt | AuditSealError]:
        outcomes, stopped = self._run(calls.append_batch(events, "durable", patience_for(0)))
        return outcomes if stopped is None else [*outcomes, stopped]

    def _run(self, call: Generator[Step, Reply, T]) -> T:
        try:
            step = next(call)
            while True:
                if isinstance(step, Wait):
                    self._sleep(step.seconds)
                    step = call.send(None)
                else:
                    step = call.send(self._request(step))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _request(self, send: Send) -> Reply:
        try:
            return answer_of(self._http.request(**request_arguments(send, self._reach.headers())))
        except httpx2.HTTPError as error:
            return failure_of(error)


def patience_for(retry_for_s: float) -> Patience:
    """Patience by this machine's clock."""
    return Patience(retry_for_s=retry_for_s, monotonic=time.monotonic, random=random.random)


def _only_event(event: Event | InputError) -> Event:
    if isinstance(event, InputError):
        raise event
    return event


def _recorded(append: Callable[[], Receipt]) -> Receipt:
    try:
        return append()
    except SignaturePendingError as error:
        return error.receipts[0]


def _id_of(entry: StoredEntry) -> str | None:
    from auditseal.core.event import parse_body

    try:
        return parse_body(entry.body).id
    except InputError:
        return None
