"""Which kept checkpoint is told of an entry, over a real log, and what telling it costs."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from auditseal.core.event import Event
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.members import entry_from, entry_members
from auditseal.core.stored_checkpoint import CoveredBy
from auditseal.ports import EntryFilter
from auditseal.service.coverage import covered_by
from support.evidence import Key
from support.logs import opened_log

KEY = Key("audit-2026")


def _append(opened, stream: str, count: int) -> None:
    opened.log.append_many([Event(type="test.event", stream=stream) for _ in range(count)], ack="durable")


@pytest.fixture
def opened(tmp_path):
    """`main`: sizes 3 (its own) and 6 (through heads), two pending; `other`: size 2 (through heads)."""
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        _append(opened, "main", 2)
        opened.checkpointer.create(["main"])
        _append(opened, "main", 2)
        _append(opened, "other", 1)
        opened.checkpointer.create(["main", "other"])
        _append(opened, "main", 2)
        yield opened


@contextmanager
def _counted(store, monkeypatch):
    """Counts the queries: each takes a connection for reading."""
    count, reader = [0], store._reader

    def counting():
        count[0] += 1
        return reader()

    with monkeypatch.context() as patch:
        patch.setattr(store, "_reader", counting)
        yield count


def _drop_triggers(store) -> None:
    names = store._writer.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for (name,) in names:
        store._writer.execute(f"DROP TRIGGER {name}")


def _sizes(store, stream: str) -> list[int | None]:
    page = store.select(EntryFilter(stream=stream), limit=100)
    return [None if each is None else each.size for each in covered_by(store, page)]


def test_each_entry_has_the_smallest_checkpoint_over_it_and_what_nothing_covers_has_none(opened):
    assert _sizes(opened.store, "main") == [3, 3, 3, 6, 6, 6, None, None]
    assert _sizes(opened.store, "other") == [2, 2]
    assert _sizes(opened.store, HEADS_STREAM) == [2, 2]


def test_the_signer_is_that_of_the_checkpoint_or_of_the_heads_that_cover_it(opened):
    covered = covered_by(opened.store, opened.store.select(EntryFilter(stream="main"), limit=6))
    assert opened.store.checkpoint_over("main", 6).signer is None
    assert {each.signer for each in covered} == {"audit-2026"}


def test_a_page_costs_one_query_for_each_checkpoint_that_it_rests_on(opened, monkeypatch):
    page = opened.store.select(EntryFilter(), limit=100)
    with _counted(opened.store, monkeypatch) as count:
        covered = covered_by(opened.store, page)
    assert len(covered) == len(page) == 12
    # Sizes 3 and 6 of main, 2 of other and 2 of the heads; and that there is no further one of main.
    assert count[0] == 5


def test_a_page_that_nothing_covers_costs_one_query_for_each_stream(tmp_path, monkeypatch):
    with opened_log(tmp_path / "b.db", KEY, background=False) as opened:
        _append(opened, "main", 40)
        _append(opened, "other", 40)
        page = opened.store.select(EntryFilter(), limit=100)
        with _counted(opened.store, monkeypatch) as count:
            assert covered_by(opened.store, page) == [None] * 80
        assert count[0] == 2


def test_entries_with_signatures_of_their_own_cost_nothing_and_name_no_checkpoint(tmp_path, monkeypatch):
    with opened_log(tmp_path / "b.db", KEY, mode="event", background=False) as opened:
        opened.log.append_many([Event(type="test.event", stream="main") for _ in range(3)])
        opened.checkpointer.create(["main"])
        page = opened.store.select(EntryFilter(), limit=100)
        with _counted(opened.store, monkeypatch) as count:
            assert covered_by(opened.store, page) == [None] * 4
        assert count[0] == 0
        assert {entry_members(entry)["status"] for entry in page} == {"signed"}


def test_what_the_heads_cover_counts_only_if_the_heads_are_signed(opened):
    _drop_triggers(opened.store)
    opened.store._writer.execute("DELETE FROM checkpoints WHERE stream = ?", (HEADS_STREAM,))
    assert _sizes(opened.store, "main") == [3, 3, 3, None, None, None, None, None]
    opened.checkpointer.create(["main"])
    assert _sizes(opened.store, "main") == [3, 3, 3, 9, 9, 9, 9, 9, 9]


def test_a_checkpoint_that_cannot_be_read_covers_nothing(opened):
    _drop_triggers(opened.store)
    opened.store._writer.execute("UPDATE checkpoint_signatures SET line = 'none' WHERE stream = 'main' AND size = 3")
    assert _sizes(opened.store, "main")[0] == 6


def test_a_store_without_checkpoints_says_pending(opened):
    class Plain:
        """Has entries alone."""

    page = opened.store.select(EntryFilter(stream="main"), limit=2)
    assert covered_by(Plain(), page) == [None, None]
    assert covered_by(opened.store, []) == []


def test_the_members_tell_the_checkpoint_and_are_read_back_without_it(opened):
    entry = opened.store.entry("main", 0)
    members = entry_members(entry, covered_by=CoveredBy(size=3, signer="audit-2026"), whole=True)
    assert (members["status"], members["checkpoint"], members["signatures"]) == ("signed", 3, [])
    read = entry_from(members)
    assert (read.hash, read.signatures) == (entry.hash, ())
    alone = entry_members(entry)
    assert (alone["status"], alone["checkpoint"]) == ("pending", None)
