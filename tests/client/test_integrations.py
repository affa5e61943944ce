"""The logging handler, the ASGI middleware and the decorator."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx2
import pytest

from auditseal.client import AsyncLocalClient, AuditHandler, AuditMiddleware, LocalClient, audited
from auditseal.core.event import parse_body
from auditseal.errors import InputError, StoreError


@pytest.fixture
def recorder(app):
    return LocalClient(app.serving.log)


def _bodies(app, stream="default"):
    return [parse_body(entry.body) for entry in app.serving.log.entries(stream)]


class _Broken:
    def submit(self, _event):
        raise StoreError("no room")


class _BrokenLater:
    async def submit(self, _event):
        raise StoreError("no room")


class TestHandler:
    @pytest.fixture
    def logger(self, recorder):
        logger = logging.getLogger("agents.audit")
        logger.propagate = False
        logger.setLevel(logging.INFO)
        handler = AuditHandler(recorder, level=logging.WARNING)
        logger.addHandler(handler)
        yield logger
        logger.removeHandler(handler)

    def test_a_record_becomes_an_event(self, app, logger):
        logger.warning("spawned %s", "a-1", extra={"audit": {"actor": "user:alice", "agent_id": "a-1"}})
        body = _bodies(app)[0]
        assert (body.type, body.actor) == ("log.warning", "user:alice")
        assert body.payload == {
            "logger": "agents.audit",
            "level": "WARNING",
            "message": "spawned a-1",
            "extra": {"agent_id": "a-1"},
        }

    def test_records_below_its_level_are_passed_over(self, app, logger):
        logger.info("nothing")
        assert _bodies(app) == []

    def test_an_exception_is_named_and_not_quoted(self, app, logger):
        try:
            int("s3cret")
        except ValueError:
            logger.exception("failed")
        assert _bodies(app)[0].payload["exception"] == "ValueError"
        assert "s3cret" not in repr(_bodies(app))

    def test_a_message_that_json_cannot_carry_is_recorded_all_the_same(self, app, logger):
        logger.warning("half a pair: \ud800")
        assert _bodies(app)[0].payload["message"].startswith("half a pair: ")

    def test_what_recording_itself_logs_is_passed_over(self, app, recorder):
        handler = AuditHandler(recorder)
        for name in ("auditseal.client", "httpx2", "httpcore2.http11"):
            handler.emit(logging.LogRecord(name, logging.ERROR, "", 1, "x", None, None))
        assert _bodies(app) == []

    def test_a_failure_is_logging_s_to_report(self, monkeypatch):
        handler = AuditHandler(_Broken())
        seen = []
        monkeypatch.setattr(handler, "handleError", seen.append)
        handler.emit(logging.LogRecord("a", logging.ERROR, "", 1, "x", None, None))
        assert len(seen) == 1

    def test_a_stream_that_is_none_is_refused_at_once(self, recorder):
        with pytest.raises(InputError):
            AuditHandler(recorder, stream="NO")


async def _hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"done", "more_body": False})


def _call(app, path="/x?secret=1"):
    async def run():
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.post(path)

    return asyncio.run(run())


class TestMiddleware:
    def test_a_request_is_recorded_without_its_query(self, app):
        wrapped = AuditMiddleware(
            _hello, recorder=AsyncLocalClient(app.serving.log), stream="web", actor=lambda scope: "user:bob"
        )
        assert _call(wrapped).status_code == 201
        body = _bodies(app, "web")[0]
        assert (body.type, body.actor) == ("http.request", "user:bob")
        assert body.payload == {"method": "POST", "path": "/x", "status": 201, "client": "127.0.0.1"}

    def test_an_answer_that_cannot_be_recorded_does_not_go_out(self):
        answer = _call(AuditMiddleware(_hello, recorder=_BrokenLater()))
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert json.loads(answer.content)["status"] == 503
        assert b"done" not in answer.content

    def test_where_it_is_not_required_the_answer_goes_out(self, caplog):
        assert _call(AuditMiddleware(_hello, recorder=_BrokenLater(), required=False)).content == b"done"
        assert "StoreError" in caplog.text

    def test_what_is_not_included_passes(self, app):
        wrapped = AuditMiddleware(
            _hello, recorder=AsyncLocalClient(app.serving.log), include=lambda scope: scope["path"] != "/health"
        )
        assert _call(wrapped, "/health").status_code == 201
        assert _bodies(app) == []

    def test_other_scopes_pass(self):
        seen = []

        async def inner(scope, receive, send):
            seen.append(scope["type"])

        asyncio.run(AuditMiddleware(inner, recorder=_BrokenLater())({"type": "lifespan"}, None, None))
        assert seen == ["lifespan"]


class TestDecorator:
    def test_a_call_is_recorded_before_and_after(self, app, recorder):
        @audited(
            recorder,
            type="report.delete",
            actor=lambda _id, by: by,
            payload=lambda id_, by: {"report": id_},
        )
        def delete(id_, by):
            assert [body.type for body in _bodies(app)] == ["report.delete.started"]
            return f"deleted {id_}"

        assert delete("r-1", by="user:alice") == "deleted r-1"
        assert [(body.type, body.actor, body.payload) for body in _bodies(app)] == [
            ("report.delete.started", "user:alice", {"report": "r-1"}),
            ("report.delete.done", "user:alice", {"report": "r-1"}),
        ]

    def test_a_failure_is_recorded_and_raised(self, app, recorder):
        @audited(recorder, type="x")
        def fail():
            raise KeyError("s3cret")

        with pytest.raises(KeyError):
            fail()
        assert [(body.type, body.payload) for body in _bodies(app)][1] == ("x.failed", {"error": "KeyError"})

    def test_what_cannot_be_recorded_does_not_happen(self):
        happened = []

        @audited(_Broken(), type="x")
        def do():
            happened.append(1)

        with pytest.raises(StoreError):
            do()
        assert happened == []

    def test_a_coroutine_is_recorded_the_same_way(self, app):
        recorder = AsyncLocalClient(app.serving.log)

        @audited(recorder, type="x")
        async def do(fail):
            if fail:
                raise KeyError
            return 7

        assert asyncio.run(do(False)) == 7
        with pytest.raises(KeyError):
            asyncio.run(do(True))
        assert [body.type for body in _bodies(app)] == ["x.started", "x.done", "x.started", "x.failed"]

    def test_a_type_that_is_none_is_refused_at_once(self, recorder):
        with pytest.raises(InputError):
            audited(recorder, type="\n")
