"""The asynchronous clients: as the synchronous ones, awaited."""

from __future__ import annotations

import asyncio
import uuid

import httpx2
import pytest

from auditseal.client import AsyncClient, AsyncLocalClient
from auditseal.core.event import Event, parse_body
from auditseal.errors import ConflictError, InputError, ServiceError, UnauthenticatedError


class _Flaky(httpx2.AsyncBaseTransport):
    def __init__(self, app, *faults):
        self._inner = httpx2.ASGITransport(app)
        self.faults = list(faults)

    async def handle_async_request(self, request):
        fault = self.faults.pop(0) if self.faults else None
        if fault == "before":
            raise httpx2.ConnectError("refused")
        answer = await self._inner.handle_async_request(request)
        if fault == "after":
            raise httpx2.ReadTimeout("lost")
        return answer


def _client(app, *faults, role="producer", **arguments):
    transport = _Flaky(app.client.app, *faults)
    return AsyncClient("http://127.0.0.1", token=app.tokens[role], transport=transport, **arguments)


def _ids(app):
    return [parse_body(entry.body).id for entry in app.serving.log.entries("agents")]


def test_it_appends_reads_and_lists(app):
    async def run():
        async with _client(app) as client:
            one = await client.append("a", {"n": 1}, actor="x", stream="agents")
            many = await client.append_many([Event(type="b", stream="agents") for _ in range(5)])
            assert await client.submit(Event(type="c", stream="agents"))
            assert await client.flush()
        async with _client(app, role="auditor") as auditor:
            assert await auditor.streams() == ["agents"]
            return one, many, [entry.seq async for entry in auditor.entries("agents", page=2)]

    one, many, seqs = asyncio.run(run())
    assert (one.seq, [receipt.seq for receipt in many]) == (0, [1, 2, 3, 4, 5])
    assert seqs == list(range(7))


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_retry_keeps_the_id(app, fault):
    async def run():
        async with _client(app, fault, fault) as client:
            return await client.append("a", stream="agents")

    receipt = asyncio.run(run())
    assert _ids(app) == [receipt.id]


def test_many_coroutines_at_once_fork_nothing(app):
    async def run():
        async with _client(app) as client:
            return await asyncio.gather(*(client.append("a", {"n": n}, stream="agents") for n in range(50)))

    assert sorted(receipt.seq for receipt in asyncio.run(run())) == list(range(50))


def test_errors_are_those_of_the_log(app):
    async def run():
        id_ = str(uuid.uuid4())
        async with _client(app) as client:
            await client.append("a", id=id_)
            with pytest.raises(ConflictError):
                await client.append("b", id=id_)
            with pytest.raises(InputError):
                await client.append_many([Event(type="")])
        async with _client(app, "before", retry_for_s=0) as client:
            with pytest.raises(ServiceError):
                await client.append("a")
        async with AsyncClient("http://127.0.0.1", token="x", transport=_Flaky(app.client.app)) as client:
            with pytest.raises(UnauthenticatedError):
                await client.append("a")

    asyncio.run(run())


def test_it_spools_while_the_service_is_away(tmp_path):
    async def run():
        client = AsyncClient("http://127.0.0.1:9", token="x", spool=tmp_path / "spool.db", timeout_s=1)
        try:
            assert await client.submit(Event(type="a")) is None
            return await client.flush(0)
        finally:
            await client.close()

    assert asyncio.run(run()) is False


def test_a_local_one_takes_the_same_calls(app):
    async def run():
        async with AsyncLocalClient(app.serving.log) as client:
            await client.append("a", stream="agents")
            await client.append_event(Event(type="b", stream="agents"))
            await client.append_many([Event(type="c", stream="agents")])
            await client.submit(Event(type="d", stream="agents"))
            assert await client.flush()
            assert await client.streams() == ["agents"]
            return [entry.seq async for entry in client.entries("agents")]

    assert asyncio.run(run()) == [0, 1, 2, 3]
    assert app.serving.log.append("still-open").seq == 0
