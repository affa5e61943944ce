"""Reading over HTTP: pages, places, ids, export, tail, streams, and the registry."""

from __future__ import annotations

import asyncio
import contextlib
import json

import orjson
import pytest

import auditseal
from auditseal.http import tail
from support.service import App, running_app


@pytest.fixture
def filled(app):
    for number in range(7):
        app.append(type=f"t{number % 2}", actor=f"user:{number % 3}", payload={"n": number})
    return app


def _seqs(answer):
    assert answer.status_code == 200
    return [entry["seq"] for entry in answer.json()["entries"]]


def test_entries_come_by_page_until_there_is_no_next(filled):
    seqs, cursor = [], None
    while True:
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = filled.get("/v1/streams/agents/entries", params=params)
        seqs.append(_seqs(page))
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert seqs == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_page_that_ends_where_the_stream_does_has_no_next(filled):
    page = filled.get("/v1/streams/agents/entries", params={"limit": 7})
    assert page.json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"type": "t1"}, [1, 3, 5]),
        ({"actor": "user:0"}, [0, 3, 6]),
        ({"type": "t0", "actor": "user:0"}, [0, 6]),
        ({"first_seq": 5}, [5, 6]),
        ({"last_seq": 1}, [0, 1]),
        ({"until": "2020-01-01"}, []),
        ({"since": "2020-01-01", "last_seq": 0}, [0]),
    ],
)
def test_filters_narrow_a_page(filled, params, expected):
    assert _seqs(filled.get("/v1/streams/agents/entries", params=params)) == expected


@pytest.mark.parametrize(
    "params",
    [
        {"cursor": "!!!"},
        {"cursor": "LTE"},
        {"cursor": "MDE"},
        {"limit": 0},
        {"limit": 1001},
        {"since": "yesterday"},
        {"first_seq": -1},
        {"first_seq": "one"},
    ],
)
def test_a_malformed_parameter_is_refused_without_being_repeated(filled, params):
    answer = filled.get("/v1/streams/agents/entries", params=params)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:auditseal:problem:invalid-input")


def test_an_entry_has_the_exact_bytes_that_were_hashed(filled):
    entry = filled.get("/v1/streams/agents/entries/4").json()
    stored = filled.serving.log.store.entry("agents", 4)
    assert entry["body"].encode() == stored.body
    assert filled.get(f"/v1/entries/{entry['event']['id']}").json() == entry


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/streams/agents/entries/7", 404),
        ("/v1/streams/nowhere/entries/0", 404),
        ("/v1/streams/agents/entries/-1", 400),
        ("/v1/streams/agents/entries/x", 400),
        (f"/v1/streams/agents/entries/{2**63}", 400),
        ("/v1/entries/0193cf6e-7a10-7cc3-98c4-dc0c0c07398f", 404),
        ("/v1/entries/7", 400),
        ("/v1/streams/AGENTS/entries", 400),
        ("/v1/streams/nowhere/export", 404),
        ("/v1/nothing", 404),
    ],
)
def test_what_is_not_there_is_a_problem(filled, path, status):
    answer = filled.get(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_another_method_is_a_problem(filled):
    answer = filled.client.put("/v1/streams", headers=filled.headers("auditor"))
    assert (answer.status_code, answer.json()["type"]) == (405, "urn:auditseal:problem:method-not-allowed")


def test_streams_are_listed_with_their_heads(filled):
    filled.append("other")
    rows = filled.get("/v1/streams").json()["streams"]
    assert [(row["stream"], row["seq"]) for row in rows] == [("agents", 6), ("other", 0)]


def test_an_export_verifies_against_the_registry_that_the_service_gives(filled, tmp_path):
    export, signers = tmp_path / "export.jsonl", tmp_path / "signers.json"
    export.write_bytes(filled.get("/v1/streams/agents/export").content)
    signers.write_bytes(filled.get("/.well-known/signers.json").content)
    report = auditseal.verify(export, auditseal.Registry.load(signers))
    assert (report.verdict, report.checked["entries"]) == ("valid", 7)


def test_an_export_that_fails_midway_is_not_ended_as_if_it_were_whole(filled, monkeypatch):
    walk = filled.serving.log.store.walk

    def fail_midway(streams):
        for entry in walk(streams):
            yield entry
            if entry.seq == 3:
                raise RuntimeError("the disk went away")

    monkeypatch.setattr(filled.serving.log.store, "walk", fail_midway)
    monkeypatch.setattr("auditseal.http.entries._BLOCK", 1)
    messages = _drive(filled, "/v1/streams/agents/export")
    assert messages[0]["status"] == 200
    assert not any(message["type"] == "http.response.body" and not message["more_body"] for message in messages)


def test_a_registry_with_a_secret_is_not_given_out(app, monkeypatch):
    path = app.folder / ".auditseal" / "signers.json"
    document = json.loads(path.read_text())
    document["signers"].append({"signerId": "mac", "algorithm": "hmac-sha256", "secret": "c2VjcmV0" * 6})
    path.write_text(json.dumps(document))
    answer = app.get("/.well-known/signers.json")
    assert answer.status_code in (400, 500)
    assert "c2VjcmV0" not in answer.text


class TestTail:
    @pytest.fixture
    def quick(self, filled, monkeypatch):
        monkeypatch.setattr(tail, "_LOOK_EVERY_S", 0.01)
        return filled

    def test_it_gives_what_is_there_from_a_place_and_what_comes(self, quick):
        seqs = _follow(quick, "/v1/streams/agents/tail?first_seq=5", until=3, meanwhile=quick.append)
        assert seqs == [5, 6, 7]

    def test_it_begins_after_the_last_entry(self, quick):
        assert _follow(quick, "/v1/streams/agents/tail", until=1, meanwhile=quick.append) == [7]

    def test_it_goes_on_after_the_last_id_seen(self, quick):
        headers = {"Last-Event-ID": "3"}
        assert _follow(quick, "/v1/streams/agents/tail", until=3, headers=headers) == [4, 5, 6]

    def test_a_last_id_that_is_none_is_refused(self, quick):
        headers = quick.headers("auditor") | {"Last-Event-ID": "x"}
        answer = quick.client.get("/v1/streams/agents/tail", headers=headers)
        assert answer.status_code == 400

    def test_it_says_that_it_lives_while_nothing_comes(self, quick, monkeypatch):
        monkeypatch.setattr(tail, "_SIGN_OF_LIFE_S", 0.02)
        text = _drive_until(quick, "/v1/streams/agents/tail", lambda body: b": alive" in body)
        assert b": alive\n\n" in text

    def test_it_ends_when_the_service_is_about_to_stop(self, quick):
        quick.client.app.state.parts.draining.set()
        assert quick.get("/v1/streams/agents/tail").status_code == 503

    def test_its_place_is_free_again_when_it_ends(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tail, "_LOOK_EVERY_S", 0.01)
        with running_app(tmp_path, tail_limit=1) as app:
            for _ in range(2):
                app.append()
                assert _follow(app, "/v1/streams/agents/tail?first_seq=0", until=1) == [0]

    def test_more_than_may_be_open_are_refused(self, tmp_path):
        with running_app(tmp_path, tail_limit=0) as app:
            answer = app.get("/v1/streams/agents/tail")
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:auditseal:problem:busy")


def _scope(app: App, path: str, headers: dict[str, str]) -> dict:
    plain, _, query = path.partition("?")
    all_headers = {"host": "testserver"} | app.headers("auditor") | headers
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "path": plain,
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in all_headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "scheme": "http",
        "root_path": "",
        "state": {},
    }


def _drive(app: App, path: str) -> list[dict]:
    """Every message of an answer."""
    messages: list[dict] = []

    async def run():
        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            messages.append(message)

        await app.client.app(_scope(app, path, {}), receive, send)

    asyncio.run(run())
    return messages


def _drive_until(app: App, path: str, enough, headers: dict[str, str] | None = None, meanwhile=None) -> bytes:
    """The body of an endless answer, up to where it is enough; then the client goes away."""
    body = bytearray()

    async def run():
        gone, begun = asyncio.Event(), asyncio.Event()
        asked = False

        async def receive():
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            body.extend(message.get("body", b""))
            if body:
                begun.set()
            if enough(bytes(body)):
                gone.set()
            if gone.is_set():
                raise OSError

        async def serve():
            with contextlib.suppress(OSError):
                await app.client.app(_scope(app, path, headers or {}), receive, send)

        task = asyncio.create_task(serve())
        if meanwhile is not None:
            await begun.wait()
            await asyncio.to_thread(meanwhile)
        await asyncio.wait_for(task, 20)

    asyncio.run(run())
    return bytes(body)


def _follow(app: App, path: str, *, until: int, headers: dict[str, str] | None = None, meanwhile=None) -> list[int]:
    text = _drive_until(app, path, lambda body: body.count(b"\n\n") > until, headers, meanwhile)
    entries = [orjson.loads(line.removeprefix(b"data: ")) for line in text.splitlines() if line.startswith(b"data: ")]
    ids = [int(line.removeprefix(b"id: ")) for line in text.splitlines() if line.startswith(b"id: ")]
    assert ids == [entry["seq"] for entry in entries]
    return ids
