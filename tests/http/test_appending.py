"""Appending over HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx2
import orjson
import pytest

from auditseal.core.event import Event, parse_body
from auditseal.errors import BacklogFullError, SignerError, StoreError
from auditseal.http import events as routes
from support.service import App, running_app, wait_until

NDJSON = {"Content-Type": "application/x-ndjson"}


def _batch(app: App, lines: list[bytes | dict], stream: str = "agents", **params: str):
    body = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    answer = app.client.post(
        f"/v1/streams/{stream}/events:batch",
        content=body,
        headers=app.headers("producer") | NDJSON,
        params=params,
    )
    return answer, [json.loads(line) for line in answer.text.splitlines()] if answer.status_code == 200 else None


def test_an_event_is_answered_with_its_signed_receipt_and_its_place(app):
    answer = app.append(actor="user:alice")
    assert answer.status_code == 201
    receipt = answer.json()
    assert (receipt["stream"], receipt["seq"], receipt["status"], receipt["repeated"]) == ("agents", 0, "signed", False)
    entry = app.get(answer.headers["Location"]).json()
    assert entry["hash"] == receipt["hash"]
    assert entry["event"]["actor"] == "user:alice"


def test_the_caller_is_recorded_beside_what_the_client_says_of_the_recording(app):
    answer = app.append(context={"trace_id": "4bf92f3577b34da6"})
    body = app.get(answer.headers["Location"]).json()["event"]
    assert body["context"] == {"trace_id": "4bf92f3577b34da6", "caller": "token:producer"}


@pytest.mark.parametrize("value", ["token:somebody-else", "token:producer", None, {}])
def test_the_client_cannot_say_who_calls(app, value):
    answer = app.append(context={"caller": value})
    assert answer.status_code == 400
    assert "context.caller" in answer.json()["detail"]
    assert app.serving.log.store.streams() == []


def test_a_retry_under_the_same_id_gives_the_first_receipt(app):
    id_ = str(uuid.uuid4())
    first, second = app.append(id=id_), app.append(id=id_)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json() | {"repeated": True}


def test_another_event_under_a_used_id_is_a_conflict(app):
    id_ = str(uuid.uuid4())
    app.append(id=id_)
    answer = app.append(id=id_, payload={"agent_id": "a-2"})
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:auditseal:problem:conflict"


@pytest.mark.parametrize("key", ["order-4711", '"order-4711"', "0193cf6e-7a10-7cc3-98c4-dc0c0c07398f"])
def test_an_idempotency_key_makes_a_retry_safe(app, key):
    headers = app.headers("producer") | {"Idempotency-Key": key}
    answers = [app.client.post("/v1/streams/agents/events", json={"type": "a"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json()["id"] == answers[1].json()["id"]


def test_an_idempotency_key_that_is_a_uuid_is_the_id(app):
    key = "0193cf6e-7a10-7cc3-98c4-dc0c0c07398f"
    headers = app.headers("producer") | {"Idempotency-Key": key}
    answer = app.client.post("/v1/streams/agents/events", json={"type": "a"}, headers=headers)
    assert answer.json()["id"] == key


def test_the_same_key_of_two_streams_stands_for_two_events(app):
    headers = app.headers("producer") | {"Idempotency-Key": "one"}
    ids = {
        app.client.post(f"/v1/streams/{stream}/events", json={"type": "a"}, headers=headers).json()["id"]
        for stream in ("a", "b")
    }
    assert len(ids) == 2


def test_an_id_and_another_key_are_refused(app):
    headers = app.headers("producer") | {"Idempotency-Key": "one"}
    event = {"type": "a", "id": str(uuid.uuid4())}
    assert app.client.post("/v1/streams/agents/events", json=event, headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not-canonical"),
        (b"nothing", "not-canonical"),
        (b'{"type":"a","type":"b"}', "not-canonical"),
        (b'{"type":"a","payload":{"n":9007199254740993}}', "not-canonical"),
        (b'{"type":"a","payload":{"t":"\\ud800"}}', "not-canonical"),
        (b"[]", "invalid-input"),
        (b'{"payload":{}}', "invalid-input"),
        (b'{"type":""}', "invalid-input"),
        (b'{"type":"a","seq":4}', "invalid-input"),
        (b'{"type":"a","id":"7"}', "invalid-input"),
        (b'{"type":"a","payload":[]}', "invalid-input"),
        (b'{"type":"a","context":[]}', "invalid-input"),
        (b'{"type":"a","stream":"other"}', "invalid-input"),
    ],
)
def test_what_is_no_event_is_refused_and_nothing_is_appended(app, body, problem):
    headers = app.headers("producer") | {"Content-Type": "application/json"}
    answer = app.client.post("/v1/streams/agents/events", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["type"] == f"urn:auditseal:problem:{problem}"
    assert app.serving.log.store.streams() == []


def test_a_body_of_another_type_is_not_read(app):
    headers = app.headers("producer") | {"Content-Type": "text/plain"}
    answer = app.client.post("/v1/streams/agents/events", content=b'{"type":"a"}', headers=headers)
    assert answer.status_code == 415


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(tmp_path, chunked):
    with running_app(tmp_path, max_body_bytes=1024) as app:
        text = orjson.dumps({"type": "a", "payload": {"text": "x" * 8192}})
        headers = app.headers("producer") | {"Content-Type": "application/json"}
        content = iter([text[:4000], text[4000:]]) if chunked else text
        answer = app.client.post("/v1/streams/agents/events", content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["type"] == "urn:auditseal:problem:too-large"
        assert app.serving.log.store.streams() == []


def test_an_event_that_is_too_large_once_canonical_is_refused(tmp_path):
    with running_app(tmp_path, max_body_bytes=1024) as app:
        answer = app.append(payload={"text": "x" * 1500})
        assert (answer.status_code, answer.json()["reason"]) == (413, "too-large")


def test_a_stream_with_slashes_is_written_either_way(app):
    assert app.append("agents/eu/one").json()["stream"] == "agents/eu/one"
    assert app.append("agents%2Feu%2Fone").json()["seq"] == 1


def test_ack_durable_answers_202_before_the_signature(app):
    answer = app.append(params={"ack": "durable"})
    assert (answer.status_code, answer.json()["status"], answer.json()["signature"]) == (202, "pending", None)


def test_an_unknown_ack_is_refused(app):
    answer = app.append(params={"ack": "maybe"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:auditseal:problem:invalid-input"


def test_64_writers_at_once_fork_nothing(app):
    def write(writer: int) -> list[int]:
        return [app.append(payload={"writer": writer, "n": n}).json()["seq"] for n in range(5)]

    with ThreadPoolExecutor(64) as pool:
        seqs = [seq for part in pool.map(write, range(64)) for seq in part]
    assert sorted(seqs) == list(range(320))


def test_events_that_come_together_share_a_transaction(app, monkeypatch):
    groups, append_each = [], app.serving.log.append_each
    held = threading.Event()

    def note(events, ack):
        groups.append(len(events))
        held.wait(10)
        return append_each(events, ack)

    monkeypatch.setattr(app.serving.log, "append_each", note)
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(app.append, payload={"n": n}) for n in range(12)]
        # As many groups as may be at once hold what came first; the rest waits for the next.
        wait_until(lambda: sum(groups) + app.client.app.state.parts.intake.waiting == 12)
        assert "auditseal_queue 0.0" not in app.get("/metrics", "operator").text
        held.set()
        assert sorted(answer.result().json()["seq"] for answer in answers) == list(range(12))
    assert len(groups) <= 3
    assert sum(groups) == 12


def test_an_event_that_is_long_to_read_is_appended_like_any_other(app):
    answer = app.append(payload={"text": "x" * 200_000})
    assert answer.status_code == 201
    assert app.append(payload=["x" * 200_000]).status_code == 400


def test_a_fault_while_appending_is_answered_to_each_and_nobody_waits(app, monkeypatch):
    def fail(_events, _ack):
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr(app.serving.log, "append_each", fail)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(app.append) for _ in range(8)]
        assert {answer.result().status_code for answer in answers} == {500}


def test_what_was_acknowledged_as_durable_is_signed_soon_after(app):
    assert app.append(params={"ack": "durable"}).json()["status"] == "pending"
    wait_until(lambda: app.serving.log.store.count_pending() == 0, "it is signed", timeout_s=10)


def test_in_a_log_of_checkpoints_a_receipt_names_who_signed_the_checkpoint_and_its_calls_are_counted(tmp_path):
    with running_app(tmp_path, signing_mode="checkpoint", origin="example.com/audit") as app:
        answer = app.append()
        assert answer.status_code == 201
        receipt = answer.json()
        assert (receipt["status"], receipt["signer"], receipt["signature"]) == ("signed", "development", None)
        metrics = app.get("/metrics", "operator").text
        signed = next(line for line in metrics.splitlines() if line.startswith("auditseal_signed_total"))
        assert float(signed.split()[1]) >= 1


class TestWhileTheSignerIsDown:
    @pytest.fixture
    def down(self, app, monkeypatch):
        def fail(_digest):
            raise SignerError("KMS throttles", reason="throttled", retryable=True, request_id=None)

        monkeypatch.setattr(app.serving.log.signer._signer, "sign", fail)
        return app

    def test_an_event_is_in_the_log_and_pending(self, down):
        answer = down.append()
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")

    def test_readiness_warns_and_names_the_backlog(self, down):
        down.append()
        answer = down.client.get("/readyz")
        checks = {check["name"]: check for check in answer.json()["checks"]}
        assert answer.status_code == 200
        assert (checks["signer"]["status"], checks["backlog"]["status"]) == ("warn", "warn")
        assert "throttled" in checks["signer"]["detail"]
        assert checks["backlog"]["detail"].startswith("1 entries wait")

    def test_metrics_count_the_failures_by_reason(self, down):
        down.append()
        text = down.get("/metrics", "operator").text
        assert 'auditseal_signer_errors_total{reason="throttled"} 1.0' in text
        assert "auditseal_pending 1.0" in text


class TestWhereAnUnsignedEventIsAnError:
    @pytest.fixture
    def strict(self, tmp_path, monkeypatch):
        with running_app(tmp_path, on_signer_failure="refuse", backlog_limit=2) as app:

            def fail(_digest):
                raise SignerError("KMS is away", reason="unreachable", retryable=True)

            monkeypatch.setattr(app.serving.log.signer._signer, "sign", fail)
            yield app

    def test_the_problem_carries_the_receipt(self, strict):
        answer = strict.append()
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (503, "urn:auditseal:problem:signature-pending")
        assert answer.headers["Retry-After"]
        assert (problem["receipts"][0]["seq"], problem["receipts"][0]["status"]) == (0, "pending")

    def test_nothing_is_taken_once_the_backlog_is_full(self, strict):
        strict.append()
        strict.append()
        answer = strict.append()
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:auditseal:problem:backlog-full")
        assert answer.headers["Retry-After"]
        assert strict.serving.log.store.head("agents").seq == 1
        readiness = strict.client.get("/readyz")
        assert readiness.status_code == 503
        assert not readiness.json()["ready"]

    def test_a_batch_ends_where_the_backlog_is_full_and_says_so(self, strict):
        strict.append()
        strict.append()
        answer, _ = _batch(strict, [{"type": "a"}])
        assert answer.status_code == 503


class TestBatches:
    def test_whatever_a_line_holds_its_outcome_is_one_line(self, app):
        strange = '},{"line":7}\n'
        lines = [{"type": "a", "stream": strange}, {"type": strange}, {"type": '"},{"line":', "actor": '},{"line":'}]
        answer, outcomes = _batch(app, [*lines, {"type": "a"}])
        assert answer.status_code == 200
        assert [outcome["line"] for outcome in outcomes] == [1, 2, 3, 4]
        assert "line" in outcomes[0]["problem"]["detail"]
        assert [list(outcome) for outcome in outcomes[2:]] == [["line", "receipt"]] * 2

    def test_each_line_has_an_outcome_in_its_order(self, app):
        id_ = str(uuid.uuid4())
        lines = [
            {"type": "a", "id": id_},
            b"no json",
            b"",
            {"type": "b"},
            {"type": "a", "id": id_},
            {"type": "c", "id": id_},
            {"type": "d", "context": {"caller": "me"}},
        ]
        answer, outcomes = _batch(app, lines)
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        assert [outcome["line"] for outcome in outcomes] == [1, 2, 4, 5, 6, 7]
        kinds = [outcome.get("problem", {}).get("type", "receipt").rpartition(":")[2] for outcome in outcomes]
        assert kinds == ["receipt", "not-canonical", "receipt", "receipt", "conflict", "invalid-input"]
        assert [outcomes[0]["receipt"]["seq"], outcomes[2]["receipt"]["seq"]] == [0, 1]

    @pytest.mark.parametrize("type_", ["auditseal.checkpoint", "signer.rotated"])
    def test_the_log_s_own_types_are_refused_in_usual_lines_and_others(self, app, type_):
        unusual = b'{"type": "%b", "payload": {"n": 1E0}}' % type_.encode()
        answer, outcomes = _batch(app, [{"type": type_}, unusual, {"type": "a"}])
        assert answer.status_code == 200
        assert ["receipt" in outcome for outcome in outcomes] == [False, False, True]
        assert all("the log's own" in outcome["problem"]["detail"] for outcome in outcomes[:2])

    def test_the_caller_is_recorded_in_every_line(self, app):
        _batch(app, [{"type": "a"}, {"type": "b", "context": {"trace_id": "t"}}])
        contexts = [parse_body(entry.body).context for entry in app.serving.log.entries("agents")]
        assert contexts == [{"caller": "token:producer"}, {"trace_id": "t", "caller": "token:producer"}]

    def test_thousands_of_lines_come_back_in_order(self, app):
        answer, outcomes = _batch(app, [{"type": "a", "payload": {"n": n}} for n in range(5000)], ack="durable")
        assert answer.status_code == 200
        assert [outcome["receipt"]["seq"] for outcome in outcomes] == list(range(5000))

    def test_an_empty_batch_has_no_outcomes(self, app):
        answer, outcomes = _batch(app, [])
        assert (answer.status_code, outcomes) == (200, [])

    def test_a_batch_that_says_it_is_too_large_is_not_begun(self, tmp_path):
        with running_app(tmp_path, max_batch_bytes=2048) as app:
            answer, _ = _batch(app, [{"type": "a", "payload": {"t": "x" * 1000}}] * 4)
            assert answer.status_code == 413
            assert app.serving.log.store.streams() == []

    def test_a_batch_that_proves_too_large_says_what_is_in_the_log(self, tmp_path, monkeypatch):
        monkeypatch.setattr(routes, "PORTION_BYTES", 1)
        monkeypatch.setattr("auditseal.http.batch._PORTION_LINES", 1)
        with running_app(tmp_path, max_batch_bytes=2048) as app:
            line = orjson.dumps({"type": "a", "payload": {"t": "x" * 700}}) + b"\n"

            async def chunks():
                for _ in range(5):
                    yield line

            async def send():
                transport = httpx2.ASGITransport(app.client.app)
                async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                    headers = app.headers("producer") | NDJSON
                    return await client.post("/v1/streams/agents/events:batch", content=chunks(), headers=headers)

            answer = asyncio.run(send())
            outcomes = [json.loads(text) for text in answer.text.splitlines()]
            assert [outcome["line"] for outcome in outcomes] == [1, 2, 3]
            assert outcomes[2]["problem"]["type"] == "urn:auditseal:problem:too-large"
            assert app.serving.log.store.head("agents").seq == 1

    def test_a_storage_that_fails_midway_is_told_after_what_is_in_the_log(self, app, monkeypatch):
        monkeypatch.setattr("auditseal.http.batch._PORTION_LINES", 600)
        append = app.serving.log.store.append
        calls = []

        def fail_later(drafts, clock):
            calls.append(len(drafts))
            if len(calls) > 2:
                raise StoreError("the disk is full")
            return append(drafts, clock)

        monkeypatch.setattr(app.serving.log.store, "append", fail_later)
        answer, outcomes = _batch(app, [{"type": "a"}] * 2000)
        appended = app.serving.log.store.head("agents").seq + 1
        assert answer.status_code == 200
        assert len([outcome for outcome in outcomes if "receipt" in outcome]) == appended == sum(calls[:2])
        assert outcomes[-1]["problem"]["type"] == "urn:auditseal:problem:store"
        assert outcomes[-1]["line"] == appended + 1

    def test_a_storage_that_fails_at_once_is_the_answer(self, app, monkeypatch):
        def fail(_drafts, _clock):
            raise StoreError("locked", retryable=True)

        monkeypatch.setattr(app.serving.log.store, "append", fail)
        answer, _ = _batch(app, [{"type": "a"}])
        assert (answer.status_code, answer.json()["retryable"]) == (503, True)
        assert answer.headers["Retry-After"]

    def test_a_backlog_that_fills_midway_is_told_after_what_is_in_the_log(self, app, monkeypatch):
        def stream(texts, _read, ack):
            yield app.serving.log.append_many([Event(type="a", stream="agents")] * len(list(texts)[:2]))
            raise BacklogFullError(pending=9, limit=9)

        monkeypatch.setattr(app.serving.log, "append_texts", stream)
        _, outcomes = _batch(app, [{"type": "a"}] * 4)
        assert [outcome["line"] for outcome in outcomes] == [1, 2, 3]
        assert outcomes[2]["problem"]["type"] == "urn:auditseal:problem:backlog-full"

    def test_a_batch_needs_its_media_type(self, app):
        headers = app.headers("producer") | {"Content-Type": "application/json"}
        answer = app.client.post("/v1/streams/agents/events:batch", content=b"{}", headers=headers)
        assert answer.status_code == 415
