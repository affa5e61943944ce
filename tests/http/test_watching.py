"""Verification on demand, health, readiness, metrics and the OpenAPI document."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import TypeAdapter

from auditseal.errors import StoreError
from auditseal.http import wire
from support.service import running_app, wait_until


def _finished(app, location):
    wait_until(lambda: app.get(location).json()["state"] != "running")
    return app.get(location).json()


def _tamper(folder):
    connection = sqlite3.connect(folder / "audit.db")
    connection.execute("DROP TRIGGER entries_no_update")
    connection.execute("UPDATE entries SET body = CAST(replace(body, 'a-1', 'a-2') AS BLOB) WHERE seq = 1")
    connection.commit()
    connection.close()


class TestVerification:
    def test_it_reports_what_it_checked(self, app):
        for _ in range(3):
            app.append()
        started = app.client.post("/v1/verifications", json={}, headers=app.headers("auditor"))
        assert started.status_code == 202
        job = _finished(app, started.headers["Location"])
        assert (job["state"], job["report"]["verdict"]) == ("done", "valid")
        assert job["report"]["checked"]["entries"] == 3
        assert job["progress"] == {"done": 3, "total": 3}

    def test_what_it_finds_is_counted(self, app):
        for _ in range(3):
            app.append()
        _tamper(app.folder)
        started = app.client.post("/v1/verifications", json={"streams": ["agents"]}, headers=app.headers("operator"))
        job = _finished(app, started.headers["Location"])
        assert job["report"]["verdict"] == "invalid"
        text = app.get("/metrics", "operator").text
        assert 'auditseal_verify_findings_total{code="hash-mismatch"} 1.0' in text
        assert 'auditseal_verifications_total{verdict="invalid"} 1.0' in text

    def test_a_stream_without_entries_is_not_a_success(self, app):
        started = app.client.post("/v1/verifications", json={"streams": ["nowhere"]}, headers=app.headers("auditor"))
        assert _finished(app, started.headers["Location"])["report"]["verdict"] == "inconclusive"

    def test_nothing_to_verify_is_no_job(self, app):
        assert app.client.post("/v1/verifications", json={}, headers=app.headers("auditor")).status_code == 404

    @pytest.mark.parametrize("body", [b"", b"[]", b'{"streams":"a"}', b'{"streams":["A"]}', b'{"more":1}'])
    def test_a_malformed_request_is_refused(self, app, body):
        headers = app.headers("auditor") | {"Content-Type": "application/json"}
        assert app.client.post("/v1/verifications", content=body, headers=headers).status_code == 400

    def test_no_more_run_than_may_and_one_that_is_stopped_makes_room(self, app, monkeypatch):
        go_on = threading.Event()
        app.append()

        def slow(streams, progress):
            while True:
                progress(1, 2)
                go_on.wait(0.01)

        monkeypatch.setattr(app.client.app.state.parts.jobs, "_verify", slow)
        first = app.client.post("/v1/verifications", json={}, headers=app.headers("auditor"))
        second = app.client.post("/v1/verifications", json={}, headers=app.headers("auditor"))
        assert (first.status_code, second.status_code) == (202, 503)
        assert second.headers["Retry-After"]
        stopped = app.client.delete(first.headers["Location"], headers=app.headers("auditor"))
        assert stopped.status_code == 202
        assert _finished(app, first.headers["Location"])["state"] == "stopped"
        wait_until(
            lambda: app.client.post("/v1/verifications", json={}, headers=app.headers("auditor")).status_code == 202
        )

    def test_one_that_fails_says_why(self, app, monkeypatch):
        app.append()

        def fail(streams, progress):
            raise StoreError("the disk is gone")

        monkeypatch.setattr(app.client.app.state.parts.jobs, "_verify", fail)
        started = app.client.post("/v1/verifications", json={}, headers=app.headers("auditor"))
        job = _finished(app, started.headers["Location"])
        assert (job["state"], job["problem"]["type"]) == ("failed", "urn:auditseal:problem:store")

    def test_a_fault_shows_in_the_job(self, app, monkeypatch):
        app.append()

        def fail(streams, progress):
            raise RuntimeError("a fault of the program")

        monkeypatch.setattr(app.client.app.state.parts.jobs, "_verify", fail)
        started = app.client.post("/v1/verifications", json={}, headers=app.headers("auditor"))
        assert _finished(app, started.headers["Location"])["state"] == "failed"


class TestReadiness:
    def test_a_service_without_faults_is_ready(self, app):
        answer = app.client.get("/readyz")
        assert answer.status_code == 200
        assert {check["name"]: check["status"] for check in answer.json()["checks"]} == dict.fromkeys(
            ["running", "database", "signer", "backlog", "disk"], "pass"
        )

    def test_it_is_not_without_its_database(self, app, monkeypatch):
        def fail():
            raise StoreError("gone")

        monkeypatch.setattr(app.serving.log.store, "count_pending", fail)
        answer = app.client.get("/readyz")
        assert (answer.status_code, answer.json()["checks"][1]["status"]) == (503, "fail")
        assert app.client.get("/healthz").status_code == 200

    def test_it_is_not_while_it_drains(self, app):
        app.client.app.state.parts.draining.set()
        assert app.client.get("/readyz").status_code == 503

    def test_the_database_is_asked_once_for_all_who_ask_within_a_second(self, app, monkeypatch):
        asked = []
        now = [1000.0]
        readiness = app.client.app.state.parts.readiness
        ask = readiness._ask

        def ask_slowly():
            asked.append(now[0])
            time.sleep(0.05)
            return ask()

        monkeypatch.setattr(readiness, "_monotonic", lambda: now[0])
        monkeypatch.setattr(readiness, "_ask", ask_slowly)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: app.client.get("/readyz").status_code, range(24)))
        now[0] += 0.9
        answers.append(app.client.get("/readyz").status_code)
        assert (set(answers), asked) == ({200}, [1000.0])
        now[0] += 0.2
        app.client.get("/readyz")
        assert asked == [1000.0, 1001.1]

    def test_that_it_drains_is_said_at_once(self, app):
        assert app.client.get("/readyz").status_code == 200
        app.client.app.state.parts.draining.set()
        assert app.client.get("/readyz").status_code == 503

    def test_it_is_not_without_room_on_the_disk(self, tmp_path):
        with running_app(tmp_path, min_free_mib=1 << 40) as app:
            checks = {check["name"]: check for check in app.client.get("/readyz").json()["checks"]}
            assert checks["disk"]["status"] == "fail"


def test_metrics_count_events_requests_and_refusals(app):
    app.append()
    app.append(type="")
    text = app.get("/metrics", "operator").text
    assert 'auditseal_appended_total{repeated="false"} 1.0' in text
    assert "auditseal_signed_total 1.0" in text
    assert 'auditseal_refused_total{problem="invalid-input"} 1.0' in text
    route = 'route="/v1/streams/{stream:path}/events"'
    assert f'auditseal_request_seconds_count{{method="POST",{route},status="201"}} 1.0' in text


def test_metrics_do_not_grow_with_what_clients_name(app):
    before = app.get("/metrics", "operator").text.count("\n")
    for number in range(20):
        app.append(f"s{number}")
        app.client.request(f"M{number}", f"/v1/{number}")
    after = app.get("/metrics", "operator").text.count("\n")
    assert after - before < 80


class TestTheOpenApiDocument:
    @pytest.fixture
    def document(self, app):
        return app.get("/openapi.json").json()

    def test_every_operation_says_what_it_does_and_how_it_refuses(self, document):
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                assert operation["summary"], (method, path)
                if path in ("/healthz", "/readyz"):
                    continue
                assert operation["security"], (method, path)
                for status in ("401", "403", "429", "500", "503"):
                    assert "application/problem+json" in operation["responses"][status]["content"], (method, path)

    def test_no_answer_is_described_that_is_never_given(self, document):
        statuses = {
            status for methods in document["paths"].values() for op in methods.values() for status in op["responses"]
        }
        assert "422" not in statuses

    def test_receipts_entries_and_pages_are_as_described(self, app):
        receipt = app.append().json()
        TypeAdapter(wire.Receipt).validate_python(receipt, strict=True)
        TypeAdapter(wire.Page).validate_python(app.get("/v1/streams/agents/entries").json(), strict=True)
        TypeAdapter(wire.Streams).validate_python(app.get("/v1/streams").json(), strict=True)
        TypeAdapter(wire.Readiness).validate_python(app.client.get("/readyz").json(), strict=True)

    def test_problems_are_as_described(self, app):
        answer = app.append(type="")
        wire.Problem.model_validate(answer.json(), strict=True)
