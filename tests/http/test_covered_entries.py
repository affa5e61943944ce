"""Entries without signatures of their own, over HTTP: a signed checkpoint over them makes them signed."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from auditseal.http import tail
from support.service import App, running_app


@pytest.fixture
def app(tmp_path):
    """A log of checkpoints that makes them only when it is told to."""
    flags = {"signing_mode": "checkpoint", "origin": "example.com/log", "checkpoint_interval_ms": 3_600_000}
    with running_app(tmp_path, **flags) as running:
        yield running


@pytest.fixture
def covered(app) -> App:
    """`agents`: 0 and 1 under size 3, with `other`; 3 is pending."""
    for stream in ("agents", "agents", "other"):
        app.append(stream, params={"ack": "durable"})
    _checkpoint(app, "agents", "other")
    app.append(params={"ack": "durable"})
    return app


def _checkpoint(app: App, *streams: str) -> None:
    app.serving.log._checkpoints.checkpointer.create(list(streams))


EXPECTED = [("signed", 3), ("signed", 3), ("signed", 3), ("pending", None)]


def _told(entries):
    return [(entry["status"], entry["checkpoint"]) for entry in entries]


def test_a_page_says_what_is_signed_and_by_which_checkpoint(covered):
    assert _told(covered.get("/v1/streams/agents/entries").json()["entries"]) == EXPECTED
    page = covered.get("/v1/streams/agents/entries", params={"first_seq": 2, "limit": 1}).json()
    assert _told(page["entries"]) == [("signed", 3)]
    assert all(entry["signatures"] == [] for entry in page["entries"])


def test_an_entry_by_its_place_or_id_says_the_same_as_the_page(covered):
    page = covered.get("/v1/streams/agents/entries").json()["entries"]
    for entry in page:
        assert covered.get(f"/v1/streams/agents/entries/{entry['seq']}").json() == entry
        assert covered.get(f"/v1/entries/{entry['event']['id']}").json() == entry


def test_what_was_pending_is_signed_when_a_checkpoint_covers_it(covered):
    _checkpoint(covered, "agents")
    assert _told([covered.get("/v1/streams/agents/entries/3").json()]) == [("signed", 5)]


def test_the_live_tail_says_the_same(covered, monkeypatch):
    monkeypatch.setattr(tail, "_LOOK_EVERY_S", 0.01)

    async def first(count: int) -> list[bytes]:
        events = tail._events(covered.client.app.state.parts, "agents", 0)
        found: list[bytes] = []
        async for event in events:
            found += [line for line in event.splitlines() if line.startswith(b"data: ")]
            if len(found) == count:
                return found
        return found

    lines = asyncio.run(first(4))
    assert _told([orjson.loads(line.removeprefix(b"data: ")) for line in lines]) == EXPECTED


def test_an_export_is_the_same_as_before(covered):
    lines = [orjson.loads(line) for line in covered.get("/v1/streams/agents/export").content.splitlines()]
    assert {frozenset(line) for line in lines} == {
        frozenset({"stream", "seq", "body", "prev_hash", "hash", "signatures"})
    }


def test_a_page_costs_no_query_for_an_entry(covered, monkeypatch):
    store = covered.serving.log.store
    count, reader = [0], store._reader

    def counting():
        count[0] += 1
        return reader()

    for _ in range(30):
        covered.append(params={"ack": "durable"})
    monkeypatch.setattr(store, "_reader", counting)
    assert len(covered.get("/v1/streams/agents/entries").json()["entries"]) == 34
    # The page, the checkpoint over some, the heads' that covers that, and that there is no further one.
    assert count[0] == 4


def test_entries_with_signatures_of_their_own_cost_no_further_query(tmp_path, monkeypatch):
    with running_app(tmp_path) as app:
        for _ in range(3):
            app.append()
        store = app.serving.log.store
        monkeypatch.setattr(store, "checkpoint_over", None)
        page = app.get("/v1/streams/agents/entries").json()["entries"]
        assert _told(page) == [("signed", None)] * 3
