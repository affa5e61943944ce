"""Making checkpoints over a real store: what is announced, signed, covered and kept."""

from __future__ import annotations

import itertools
import sqlite3
import threading

import pytest

from auditseal.core.checkpoint import parse_checkpoint
from auditseal.core.draft import Draft, Limits, make_draft
from auditseal.core.event import Event, parse_body
from auditseal.core.heads import HEADS_STREAM, HeadsRoot, check_cover
from auditseal.core.log_keys import LogKeys
from auditseal.core.merkle import leaf_hashes, root_of
from auditseal.core.merkle_proof import verify_consistency, verify_inclusion
from auditseal.core.promise import CHECKPOINT_TYPE, Promise
from auditseal.errors import (
    BacklogFullError,
    ConfigError,
    ConflictError,
    InputError,
    NotFoundError,
    SignaturePendingError,
    SignerError,
    StoreError,
)
from auditseal.service.backlog import SigningPolicy
from auditseal.service.checkpoint import Pace
from auditseal.service.ids import new_id
from auditseal.service.origin import find_origin
from auditseal.service.succession import checkpoint_signer
from auditseal.service.tree import StreamTree
from support.evidence import LOG, Key
from support.logs import StepClock, create_store, opened_log, registered

KEY = Key("audit-2026")
DOWN = SignerError("KMS does not answer", reason="unreachable", retryable=True)


def promise_at(store, stream: str, size: int) -> Promise:
    body = parse_body(store.entry(stream, size - 1).body)
    assert body.type == CHECKPOINT_TYPE
    return Promise.from_payload(body.payload)


def draft_of(stream: str, number: int) -> Draft:
    return make_draft(Event(type="a", stream=stream, payload={"n": number}), new_id=new_id(), limits=Limits())


def naive(store, stream: str, size: int) -> bytes:
    return root_of(leaf_hashes(store.entry_hashes(stream, 0, size)))


def test_a_checkpoint_is_announced_by_its_last_leaf_and_signed(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        store = opened.store
        for round_ in range(3):
            opened.events(5, ack="durable")
            (made,) = opened.checkpointer.create(["main"])
            checkpoint = parse_checkpoint(made.text)
            assert made.size == checkpoint.size == 6 * (round_ + 1)
            assert checkpoint.root == naive(store, "main", made.size)
            signer, _ = LogKeys(registered(KEY)).signer_of(made.note(), f"{LOG}/main")
            assert signer.signer_id == KEY.signer_id
            promise = promise_at(store, "main", made.size)
            before = None if round_ == 0 else (6 * round_, naive(store, "main", 6 * round_))
            assert promise.previous == before
            assert promise.next_by is not None
            assert promise.next_by > opened.clock()
        kept = list(store.checkpoints())
        assert [each.size for each in kept] == [6, 12, 18]
        assert store.last_checkpoint("main") == kept[-1]
        assert store.checkpoint_over("main", 7) == kept[1]
        assert store.count_pending() == 0


def test_many_streams_share_one_signature(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        for stream in ("a", "b", "c/d"):
            opened.events(3, stream=stream, ack="durable")
        made = opened.checkpointer.create(["a", "b", "c/d"])
        assert opened.signer.calls == 1
        assert [each.stream for each in made] == ["a", "b", "c/d", HEADS_STREAM]
        heads = parse_body(opened.store.entry(HEADS_STREAM, 0).body)
        for each in made[:3]:
            assert not each.signatures
            assert each.cover is not None
            check_cover(each.text, each.cover, HeadsRoot.from_payload(heads.payload))
        assert list(opened.store.checkpoints()) == sorted(made, key=lambda each: each.stream)
        # heartbeats of the stream of heads and one more go under one signature as well
        assert len(opened.checkpointer.create([HEADS_STREAM, "a"])) == 2
        assert len(opened.checkpointer.create([HEADS_STREAM])) == 1
        assert opened.signer.calls == 3


def test_what_was_announced_and_not_signed_is_signed_without_a_second_announcement(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        opened.events(2, ack="durable")
        opened.signer.failure = DOWN
        with pytest.raises(SignerError):
            opened.checkpointer.create(["main"])
        assert opened.store.last_checkpoint("main") is None
        assert opened.store.count_pending() == 3
        opened.signer.failure = None
        (made,) = opened.checkpointer.create(["main"])
        assert made.size == 3
        (again,) = opened.checkpointer.create(["main"])
        assert again.size == 4


def test_each_checkpoint_of_a_log_where_nothing_else_happens_is_a_new_promise(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        opened.events(1, ack="durable")
        sizes = [opened.checkpointer.create(["main"])[0].size for _ in range(5)]
        assert sizes == [2, 3, 4, 5, 6]
        promised = [promise_at(opened.store, "main", size).next_by for size in sizes]
        assert promised == sorted(set(promised))


@pytest.mark.parametrize("later", [["a"], ["b"], ["a", "b"], [HEADS_STREAM]])
def test_heads_that_were_written_and_not_signed_are_signed_with_whatever_is_next(tmp_path, later):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        for stream in ("a", "b"):
            opened.events(3, stream=stream, ack="durable")
        opened.signer.failure = DOWN
        with pytest.raises(SignerError):
            opened.checkpointer.create(["a", "b"])
        assert opened.checkpointer.due() == {"a": 4, "b": 4, HEADS_STREAM: 2}
        opened.signer.failure = None
        made = opened.checkpointer.create(later)
        assert made[-1].stream == HEADS_STREAM
        assert made[-1].size == opened.store.head(HEADS_STREAM).seq + 1
        assert HEADS_STREAM not in opened.checkpointer.due()
        opened.checkpointer.create(["a"])
        assert opened.store.head(HEADS_STREAM).seq + 1 == made[-1].size


def test_the_signer_of_a_covered_checkpoint_is_that_of_the_heads_that_cover_it(tmp_path):
    for key in (KEY, Key("audit-2027")):
        with opened_log(tmp_path / "a.db", key, background=False) as opened:
            opened.events(1, stream="a", ack="durable")
            opened.events(1, stream="b", ack="durable")
            size = opened.checkpointer.create(["a", "b"])[0].size
            assert checkpoint_signer(opened.store, "a") == (size, key.signer_id)


def test_another_process_signs_the_heads_that_were_left(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        for stream in ("a", "b"):
            opened.events(3, stream=stream, ack="durable")
        opened.signer.failure = DOWN
        with pytest.raises(SignerError):
            opened.checkpointer.create(["a", "b"])
        opened.signer.failure = None
        with opened_log(tmp_path / "a.db", KEY, background=False) as other:
            for stream in ("a", "b"):
                other.checkpointer.create([stream])
            assert other.store.count_pending() == 2
            other.checkpointer.create(list(other.checkpointer.due()))
            assert other.store.count_pending() == 0
        assert opened.store.count_pending() == 0


def test_trees_grow_across_tiles_and_prove_at_every_size(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        store = opened.store
        opened.log.append_many([Event(type="t", stream="main", payload={"n": n}) for n in range(1500)], ack="durable")
        hashes = leaf_hashes(store.entry_hashes("main", 0, 1500))
        tree = StreamTree(store, "main")
        for size in (1, 255, 256, 257, 700, 1300, 600):
            assert tree.grow_to(size).root() == root_of(hashes[:size])
        assert store.count_nodes("main", 8) == 5
        fresh = StreamTree(store, "main")
        assert fresh.grow_to(1499).root() == root_of(hashes[:1499])
        for seq, size in ((0, 1500), (300, 1499), (1499, 1500), (511, 512), (5, 777)):
            verify_inclusion(hashes[seq], seq, size, fresh.inclusion(seq, size), root_of(hashes[:size]))
        for old, new in ((1, 1500), (256, 1024), (700, 1500), (1500, 1500)):
            roots = root_of(hashes[:old]), root_of(hashes[:new])
            verify_consistency(old, roots[0], new, roots[1], fresh.consistency(old, new))
        with pytest.raises(StoreError):
            fresh.grow_to(1501)


@pytest.mark.parametrize("told", [[0, 1, 2, 3, 4, 5], [0, 2, 4], [1, 2], [0, 2, 1, 3], [5], [3, 3], []])
def test_whatever_a_process_is_told_of_its_own_entries_the_tree_is_that_of_the_log(tmp_path, told):
    with opened_log(tmp_path / "a.db", KEY, pace=Pace(interval_s=3600)) as opened:
        drafts = [draft_of("main", number) for number in range(6)]
        entries = [each.new for each in opened.store.append(drafts, opened.clock)]
        opened.loop.appended([entries[number] for number in told])
        (made,) = opened.checkpointer.create(["main"])
        assert parse_checkpoint(made.text).root == naive(opened.store, "main", made.size)


def test_a_tree_over_a_store_without_kept_nodes_reads_the_entries(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        opened.events(300, ack="durable")
        hashes = leaf_hashes(opened.store.entry_hashes("main", 0, 300))
        assert StreamTree(opened.store, "main").root(300) == root_of(hashes)
        assert opened.store.count_nodes("main", 8) == 0


def test_a_signed_acknowledgement_waits_for_its_checkpoint(tmp_path):
    with opened_log(tmp_path / "a.db", KEY) as opened:
        receipt = opened.log.append("test.event", {"n": 1}, stream="main")
        assert receipt.status == "signed"
        assert receipt.signer == KEY.signer_id
        assert receipt.algorithm == "ed25519"
        assert receipt.signature is None
        assert receipt.development
        last = opened.store.last_checkpoint("main")
        assert last is not None
        assert last.size > receipt.seq
        again = opened.log.append("test.event", {"n": 1}, stream="main", id=receipt.id)
        assert again.repeated
        assert again.status == "signed"
        with pytest.raises(ConflictError):
            opened.log.append("test.event", {"n": 2}, stream="main", id=receipt.id)
        durable = opened.log.append("test.event", {"n": 3}, stream="main", ack="durable")
        assert durable.status == "pending"
    with opened_log(tmp_path / "a.db", KEY) as opened:
        assert opened.store.last_checkpoint("main").size > durable.seq


def test_a_million_events_need_few_signatures(tmp_path):
    """In small: callers that come together share checkpoints, whatever their number."""
    with opened_log(tmp_path / "a.db", KEY, pace=Pace(interval_s=0.05)) as opened:
        threads = [threading.Thread(target=opened.events, args=(20, f"s{number % 3}")) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert opened.store.count_pending() == 0
        assert opened.signer.calls < 80
        assert {head.stream for head in opened.store.streams()} >= {"s0", "s1", "s2"}


def test_while_the_signer_is_down_events_are_durable_and_covered_later(tmp_path):
    with opened_log(tmp_path / "a.db", KEY) as opened:
        opened.signer.failure = DOWN
        receipt = opened.log.append("test.event", {"n": 1}, stream="main")
        assert receipt.status == "pending"
        assert opened.log.outage is DOWN
        assert opened.log.append("test.event", {"n": 2}, stream="main").status == "pending"
        opened.signer.failure = None
        assert opened.log.sign_pending().left == 0
        assert opened.store.last_checkpoint("main").size > receipt.seq


def test_under_the_policy_refuse_a_missing_checkpoint_is_an_error_and_the_backlog_is_bounded(tmp_path):
    policy = SigningPolicy(on_failure="refuse", backlog_limit=5)
    with opened_log(tmp_path / "a.db", KEY, policy=policy) as opened:
        opened.events(20, ack="signed")  # while the signer answers, nothing is refused
        opened.signer.failure = DOWN
        with pytest.raises(SignaturePendingError):
            opened.log.append("test.event", {"n": 1}, stream="main")
        with pytest.raises(BacklogFullError):
            opened.events(10, ack="durable")
        opened.signer.failure = None


def test_an_idle_log_keeps_its_promise_with_a_heartbeat(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, pace=Pace(interval_s=0.01, heartbeat_s=0.2)) as opened:
        opened.events(1)
        first = opened.store.last_checkpoint("main").size
        beaten = threading.Event()
        for _ in range(200):
            if opened.store.last_checkpoint("main").size > first:
                beaten.set()
                break
            beaten.wait(0.05)
        assert beaten.is_set()
        assert promise_at(opened.store, "main", opened.store.last_checkpoint("main").size)


def test_in_a_log_of_signed_events_the_announcing_entries_are_signed_as_well(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, mode="event", background=False) as opened:
        opened.events(2)
        (made,) = opened.checkpointer.create(["main"])
        assert all(entry.signatures for entry in opened.store.walk())
        assert made.size == 3
        assert opened.store.count_pending() == 0


def test_two_processes_announce_one_after_the_other(tmp_path):
    with (
        opened_log(tmp_path / "a.db", KEY, background=False) as one,
        opened_log(tmp_path / "a.db", KEY, background=False) as two,
    ):
        one.events(1, ack="durable")
        threads = [
            threading.Thread(target=lambda opened=opened: [opened.checkpointer.create(["main"]) for _ in range(5)])
            for opened in (one, two)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sizes = [entry.seq + 1 for entry in one.store.walk() if entry.columns.type == CHECKPOINT_TYPE]
        for before, size in itertools.pairwise(sizes):
            assert promise_at(one.store, "main", size).previous == (before, naive(one.store, "main", before))


def test_the_log_s_own_types_cannot_be_appended_by_callers(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened, pytest.raises(InputError):
        opened.log.append(CHECKPOINT_TYPE, {"size": 1}, stream="main", ack="durable")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tree_nodes SET hash = zeroblob(32)",
        "UPDATE entries SET hash = zeroblob(32) WHERE seq = 299",
        "UPDATE checkpoints SET note_text = 'damaged'",
        "DELETE FROM entries WHERE seq > 290",
    ],
)
def test_a_log_that_contradicts_its_checkpoint_is_not_signed_anew(tmp_path, damage: str):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        opened.log.append_many([Event(type="t", stream="main", payload={"n": n}) for n in range(300)], ack="durable")
        opened.checkpointer.create(["main"])
    with sqlite3.connect(tmp_path / "a.db", isolation_level=None) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(damage)
    connection.close()
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        before = opened.store.count()
        with pytest.raises(StoreError, match="verify"):
            opened.checkpointer.create(["main"])
        assert (opened.store.count(), opened.signer.calls) == (before, 0)


def test_a_stream_without_entries_has_no_checkpoint(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        with pytest.raises(NotFoundError):
            opened.checkpointer.create(["main"])
        with pytest.raises(InputError):
            opened.checkpointer.create([])


def test_an_origin_is_for_ever(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        with pytest.raises(ConfigError):
            find_origin(opened.store, None)
        assert find_origin(opened.store, "example.org/x") == "example.org/x"
        opened.events(1, ack="durable")
        opened.checkpointer.create(["main"])
        assert find_origin(opened.store, None) == LOG
        with pytest.raises(ConfigError):
            find_origin(opened.store, "example.org/x")


def test_the_database_refuses_to_change_trees_and_checkpoints(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False, clock=StepClock()) as opened:
        opened.events(300, ack="durable")
        opened.checkpointer.create(["main"])
    connection = sqlite3.connect(tmp_path / "a.db")
    for table in ("tree_nodes", "checkpoints", "checkpoint_signatures"):
        before = connection.execute(f"SELECT * FROM {table}").fetchall()
        assert before
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET stream = 'x'"):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
        marks = ",".join("?" * len(before[0]))
        connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", before[0])
        assert connection.execute(f"SELECT * FROM {table}").fetchall() == before
    connection.close()
    assert create_store(tmp_path / "a.db").last_checkpoint("main") is not None
