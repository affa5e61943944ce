"""What type checkers know of the clients: checked by mypy in `script/check`, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from logging import Handler
from typing import assert_type

import auditseal
from auditseal.client import (
    AsyncClient,
    AsyncLocalClient,
    AsyncRecorder,
    AuditHandler,
    AuditMiddleware,
    Client,
    LocalClient,
    Recorder,
    Spool,
    audited,
)
from auditseal.client.asgi import App
from auditseal.core.entry import StoredEntry
from auditseal.core.event import Event
from auditseal.core.receipt import Receipt
from auditseal.errors import AuditSealError


def opened(address: str) -> None:
    with auditseal.open_log(address) as log:
        assert_type(log, auditseal.Log | Client)
        assert_type(log.append(type="a", actor="b", payload={"c": 1}), Receipt)
        assert_type(log.append_many([Event(type="a")]), list[Receipt])


def synchronous(client: Client | LocalClient) -> None:
    assert_type(client.append("a", {"b": 1}, stream="c", ack="durable"), Receipt)
    assert_type(client.append_many(Event(type=name) for name in "abc"), list[Receipt])
    assert_type(client.append_stream([Event(type="a")]), Iterator[list[Receipt | AuditSealError]])
    assert_type(client.entries("a"), Iterator[StoredEntry])
    assert_type(client.streams(), list[str])
    assert_type(client.flush(), bool)


def recorders(client: Client, local: LocalClient, later: AsyncClient, local_later: AsyncLocalClient) -> None:
    now: tuple[Recorder, ...] = (client, local)
    then: tuple[AsyncRecorder, ...] = (later, local_later)
    assert_type(now[0].submit(Event(type="a")), Receipt | None)
    assert_type(local.submit(Event(type="a")), Receipt)
    del then


async def asynchronous(client: AsyncClient | AsyncLocalClient) -> None:
    async with client as log:
        assert_type(log, AsyncClient | AsyncLocalClient)
        assert_type(await log.append("a", {"b": 1}), Receipt)
        assert_type(await log.append_many([Event(type="a")]), list[Receipt])
        assert_type(log.entries("a"), AsyncIterator[StoredEntry])
        assert_type(await log.streams(), list[str])


def options(spool: Spool, app: App, later: AsyncClient) -> None:
    client = Client("https://audit.internal", token=lambda: "token", spool=spool, ca="authority.pem")
    handler: Handler = AuditHandler(client, stream="a")
    wrapped: App = AuditMiddleware(app, recorder=later, actor=lambda scope: str(scope["user"]))
    del handler, wrapped


def functions(client: Client, later: AsyncClient) -> None:
    @audited(client, type="report.delete", payload=lambda number: {"report": number})
    def delete(number: int, *, force: bool = False) -> str:
        return f"{number} {force}"

    @audited(later, type="report.read")
    async def read(number: int) -> bytes:
        return bytes(number)

    async def calls() -> None:
        assert_type(await read(1), bytes)
        await read("1")  # type: ignore[arg-type]

    assert_type(delete(1, force=True), str)
    delete("1")  # type: ignore[arg-type]
    delete(1, force="yes")  # type: ignore[arg-type]
    client.append("a", payload=[1])  # type: ignore[arg-type]
    client.append("a", ack="soon")  # type: ignore[arg-type]
    del calls
