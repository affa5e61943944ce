"""Every refusal: who calls, with which role, in which stream, how fast; and that none is logged with a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from auditseal.adapters.callers.token_file import load_tokens, update_tokens
from auditseal.core.times import format_time
from auditseal.service.ids import now_micros
from support.service import App, make_token, running_app

ID = "0193cf6e-7a10-7cc3-98c4-dc0c0c07398f"
ROUTES = [
    ("POST", "/v1/streams/agents/events", {"producer"}),
    ("POST", "/v1/streams/agents/events:batch", {"producer"}),
    ("GET", "/v1/streams", {"producer", "auditor", "operator"}),
    ("GET", "/v1/streams/agents/entries", {"auditor"}),
    ("GET", "/v1/streams/agents/entries/0", {"auditor"}),
    ("GET", "/v1/streams/agents/export", {"auditor"}),
    ("GET", "/v1/streams/agents/tail", {"auditor"}),
    ("GET", f"/v1/entries/{ID}", {"auditor"}),
    ("POST", "/v1/verifications", {"auditor", "operator"}),
    ("GET", f"/v1/verifications/{ID}", {"auditor", "operator"}),
    ("DELETE", f"/v1/verifications/{ID}", {"auditor", "operator"}),
    ("GET", "/metrics", {"operator"}),
    ("GET", "/.well-known/signers.json", {"producer", "auditor", "operator"}),
    ("GET", "/openapi.json", {"producer", "auditor", "operator"}),
]


@pytest.fixture
def records() -> Iterator[list]:
    with capture_logs() as captured:
        yield captured


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_every_route_but_health_is_in_the_table(app):
    document = app.client.app.openapi()
    given = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    names = {"/agents/": "/{stream}/", ID: "{id}", "entries/0": "entries/{seq}"}
    known = set()
    for method, path, _ in ROUTES:
        for value, name in names.items():
            path = path.replace(value, name)  # noqa: PLW2901 - the template of the path
        known.add((method, path))
    assert given == known | {("GET", "/healthz"), ("GET", "/readyz")}


@pytest.mark.parametrize(("method", "path", "_roles"), ROUTES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer "},
        _bearer("auditseal_aaaaaaaaaaaa_" + "A" * 43),
        _bearer("nothing"),
        _bearer("a.b.c"),
    ],
)
def test_without_a_good_token_nothing_is_answered(app, method, path, _roles, headers):
    answer = app.client.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["type"] == "urn:auditseal:problem:unauthenticated"


@pytest.mark.parametrize(("method", "path", "roles"), ROUTES)
@pytest.mark.parametrize("role", ["producer", "auditor", "operator"])
def test_a_role_does_its_own_and_nothing_else(app, method, path, roles, role):
    if path.endswith("/tail") and role in roles:
        path += "?first_seq=x"  # refused after the role was checked: a tail has no end
    answer = app.client.request(method, path, headers=app.headers(role))
    assert (answer.status_code == 403) == (role not in roles)
    assert answer.status_code != 401


@pytest.mark.parametrize(
    ("pattern", "stream", "allowed"),
    [
        ("agents", "agents", True),
        ("agents", "agents/eu", False),
        ("agents/*", "agents/eu/one", True),
        ("agents/*", "agents", False),
        ("agents*", "agents-eu", True),
        ("a.c", "abc", False),
        ("*", "anything", True),
        ("*-eu", "agents-us", False),
    ],
)
def test_a_token_is_for_its_streams(app, pattern, stream, allowed):
    token = make_token(app.folder / "tokens.json", "narrow", roles=("producer", "auditor"), streams=(pattern,))
    _reload(app)
    path = f"/v1/streams/{stream}/events"
    assert app.client.post(path, json={"type": "a"}, headers=_bearer(token)).status_code == (201 if allowed else 403)
    reading = app.client.get(f"/v1/streams/{stream}/entries", headers=_bearer(token))
    assert reading.status_code == (200 if allowed else 403)


def test_other_streams_are_not_seen_at_all(app):
    id_ = app.append("secret").json()["id"]
    app.append("agents")
    token = make_token(app.folder / "tokens.json", "narrow", roles=("auditor",), streams=("agents",))
    _reload(app)
    streams = app.client.get("/v1/streams", headers=_bearer(token)).json()["streams"]
    assert [row["stream"] for row in streams] == ["agents"]
    assert app.client.get(f"/v1/entries/{id_}", headers=_bearer(token)).status_code == 404
    refused = app.client.post("/v1/verifications", json={"streams": ["secret"]}, headers=_bearer(token))
    assert refused.status_code == 403
    job = app.client.post("/v1/verifications", json={}, headers=_bearer(token)).json()
    assert job["streams"] == ["agents"]
    theirs = app.client.post("/v1/verifications", json={"streams": ["secret"]}, headers=app.headers("auditor"))
    if theirs.status_code == 202:  # else the first one still runs
        hidden = app.client.get(theirs.headers["Location"], headers=_bearer(token))
        assert hidden.status_code == 404


def test_a_revoked_token_is_refused(app):
    path = app.folder / "tokens.json"
    token = make_token(path, "leaver")
    _reload(app)
    assert app.client.post("/v1/streams/a/events", json={"type": "a"}, headers=_bearer(token)).status_code == 201
    _change(path, revoked=format_time(now_micros()))
    _reload(app)
    assert app.client.post("/v1/streams/a/events", json={"type": "a"}, headers=_bearer(token)).status_code == 401


def test_an_expired_token_is_refused(app):
    path = app.folder / "tokens.json"
    token = make_token(path, "leaver")
    _change(path, expires="2026-01-01T00:00:00.000000Z")
    _reload(app)
    assert app.client.post("/v1/streams/a/events", json={"type": "a"}, headers=_bearer(token)).status_code == 401


def test_without_its_token_file_the_service_accepts_nobody(app):
    (app.folder / "tokens.json").unlink()
    _reload(app)
    assert app.append().status_code == 401


def test_a_broken_token_file_is_a_fault_and_accepts_nobody(app):
    (app.folder / "tokens.json").write_text("{")
    _reload(app)
    answer = app.append()
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:auditseal:problem:internal")
    assert "tokens.json" not in answer.text


def test_a_token_in_place_of_another_is_the_same_caller(app):
    id_ = "0193cf6e-7a10-7cc3-98c4-dc0c0c07398f"
    app.append(id=id_)
    app.tokens["producer"] = make_token(app.folder / "tokens.json", "producer")
    _reload(app)
    assert app.append(id=id_).json()["repeated"]


def test_another_caller_cannot_repeat_an_event(app):
    id_ = "0193cf6e-7a10-7cc3-98c4-dc0c0c07398f"
    app.append(id=id_)
    app.tokens["producer"] = make_token(app.folder / "tokens.json", "somebody-else")
    _reload(app)
    assert app.append(id=id_).status_code == 409


def test_a_caller_that_is_too_fast_is_told_when_to_come_back(tmp_path):
    with running_app(tmp_path, rate_limit_per_s=2) as app:
        answers = [app.append() for _ in range(6)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert [answer.status_code for answer in answers[:4]] == [201] * 4
        assert refused
        assert int(refused[0].headers["Retry-After"]) >= 1
        assert refused[0].json()["type"] == "urn:auditseal:problem:too-fast"
        assert app.get("/v1/streams").status_code == 200, "the limit is each caller's own"


def test_a_service_that_is_too_busy_says_so_before_it_reads(tmp_path):
    with running_app(tmp_path, request_limit=1) as app:
        envelope = app.client.app.middleware_stack
        while type(envelope).__name__ != "Envelope":
            envelope = envelope.app
        with envelope._requests.one():
            answer = app.append()
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:auditseal:problem:busy")
            assert answer.headers["Retry-After"]
            assert app.client.get("/healthz").status_code == 200
        assert app.append().status_code == 201


class TestWithoutAuthentication:
    @pytest.fixture
    def open_app(self, tmp_path):
        with running_app(tmp_path, without_authentication=True) as app:
            yield app

    def test_anybody_on_this_machine_may_call(self, open_app):
        answer = open_app.client.post("/v1/streams/a/events", json={"type": "a"}, headers={"Host": "127.0.0.1:8420"})
        assert answer.status_code == 201

    def test_the_event_says_that_nobody_was_known(self, open_app):
        open_app.client.post("/v1/streams/a/events", json={"type": "a"}, headers={"Host": "localhost"})
        entry = open_app.client.get("/v1/streams/a/entries/0", headers={"Host": "localhost"}).json()
        assert entry["event"]["context"] == {"caller": "anonymous"}

    @pytest.mark.parametrize("host", ["evil.example", "audit.internal:8420", "10.0.0.7"])
    def test_another_name_of_the_service_is_refused(self, open_app, host):
        answer = open_app.client.post("/v1/streams/a/events", json={"type": "a"}, headers={"Host": host})
        assert answer.status_code == 403

    def test_a_page_in_a_browser_cannot_append(self, open_app):
        headers = {"Host": "localhost", "Content-Type": "text/plain", "Origin": "https://evil.example"}
        answer = open_app.client.post("/v1/streams/a/events", content=b'{"type":"a"}', headers=headers)
        assert answer.status_code == 415


class TestTheRecordOfARefusal:
    def test_it_names_the_caller_the_problem_and_the_request(self, app, records):
        answer = app.get("/metrics", "producer")
        record = next(record for record in records if record["event"] == "refused")
        assert record["caller"] == "token:producer"
        assert (record["problem"], record["status"], record["route"]) == ("forbidden", 403, "/metrics")
        assert record["request_id"] == answer.headers["X-Request-Id"] == answer.json()["request_id"]

    def test_it_names_why_a_token_was_not_accepted_and_the_answer_does_not(self, app, records):
        token = make_token(app.folder / "tokens.json", "leaver")
        _change(app.folder / "tokens.json", revoked="2026-01-01T00:00:00.000000Z")
        _reload(app)
        answer = app.client.get("/v1/streams", headers=_bearer(token))
        assert next(record for record in records if record["event"] == "refused")["reason"] == "revoked-token"
        assert "revoked" not in answer.text

    def test_no_record_holds_a_token_a_payload_a_signature_or_a_query(self, app, records, caplog):
        caplog.set_level(logging.DEBUG)
        secrets = ["s3cret-payload", "query-of-an-actor", "x-context"]
        receipt = app.append(payload={"p": "s3cret-payload"}, context={"trace": "x-context"}).json()
        app.append(payload="s3cret-payload")
        app.get("/v1/streams/agents/entries?actor=query-of-an-actor")
        app.client.get("/v1/streams", headers=_bearer(app.tokens["producer"] + "x"))
        app.client.get("/v1/streams", headers=_bearer("eyJhbGciOiJub25lIn0.e30."))
        text = repr(records) + repr([record.getMessage() for record in caplog.records if record.name != "httpx2"])
        assert len(records) >= 5
        for secret in (*secrets, *app.tokens.values(), receipt["signature"], "eyJhbGciOiJub25lIn0"):
            assert secret not in text

    def test_a_request_id_of_the_client_is_kept_if_it_is_plain(self, app):
        assert app.client.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
        odd = app.client.get("/healthz", headers={"X-Request-Id": "a b{}"}).headers["X-Request-Id"]
        assert odd != "a b{}"

    def test_a_fault_is_answered_and_its_text_is_not_logged(self, app, records, monkeypatch):
        def fail():
            raise RuntimeError("s3cret in the text of an exception")

        monkeypatch.setattr(app.serving.log.store, "streams", fail)
        answer = app.get("/v1/streams")
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:auditseal:problem:internal")
        assert any(record["event"] == "fault" for record in records)
        assert "s3cret" not in answer.text


def test_structured_logs_are_one_json_object_a_line(capfd):
    from auditseal.http.logs import configure_logs

    root = logging.getLogger()
    kept = root.handlers, root.level
    try:
        configure_logs()
        structlog.get_logger("auditseal.http").info("request", status=200)
        try:
            int("s3cret")
        except ValueError:
            structlog.get_logger("auditseal.http").exception("fault")
        logging.getLogger("uvicorn.error").warning("said by uvicorn")
    finally:
        root.handlers, root.level = kept
        structlog.reset_defaults()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["request", "fault", "said by uvicorn"]
    assert lines[1]["exception"] == "ValueError"
    assert "s3cret" not in repr(lines)


def _reload(app: App) -> None:
    """As if a second had passed since the file was looked at."""
    for authenticator in app.serving.authenticators:
        authenticator._looked_at = float("-inf")


def _change(path, **members) -> None:
    newest = load_tokens(path)[-1]
    update_tokens(path, lambda kept: [replace(token, **members) if token.id == newest.id else token for token in kept])
