"""Several processes on one log of checkpoints: what one leaves undone another does, and nothing is done twice."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import pytest

from auditseal.core.event import parse_body
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.promise import CHECKPOINT_TYPE, Promise
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.core.times import Micros
from auditseal.errors import PolicyNotMetError, SignerError, StoreError
from auditseal.service.checkpoint import Pace
from auditseal.service.heartbeats import Heartbeats
from auditseal.service.ids import now_micros
from auditseal.service.watch import Sharing, Watch
from support.evidence import START, Key
from support.logs import Opened, opened_log
from support.waiting import until

KEY = Key("audit-2026")
DOWN = SignerError("KMS does not answer", reason="unreachable", retryable=True)
LOOK_S = 5.0
GRACE_S = 15.0
HEARTBEAT_S = 3600.0
MICROS = 1_000_000


@dataclass
class Time:
    """The time of all processes of a test, which goes on when the test says so."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def clock(self) -> Micros:
        return Micros(START + int(self.now * MICROS))


@dataclass
class Process:
    """One of several processes on a log: it makes checkpoints when the test says so."""

    opened: Opened
    heartbeats: Heartbeats
    watch: Watch
    covered: dict[str, int] = field(default_factory=dict)

    def append(self, *streams: str) -> None:
        for stream in streams:
            self.opened.events(1, stream=stream, ack="durable")

    def note(self, made: list[StoredCheckpoint]) -> list[str]:
        """As the loop does; the streams."""
        self.covered |= {each.stream: each.size for each in made}
        self.heartbeats.renewed(each.stream for each in made)
        return [each.stream for each in made]

    def cover(self, *streams: str) -> list[str]:
        return self.note(self.opened.checkpointer.create(streams))

    def look(self) -> list[str]:
        return self.note(self.watch.look(self.covered))

    def dies_while_signing(self, *streams: str) -> None:
        self.opened.signer.failure = DOWN
        with pytest.raises(SignerError):
            self.opened.checkpointer.create(streams)

    @property
    def store(self):
        return self.opened.store


@pytest.fixture
def time() -> Time:
    return Time()


Start = Callable[..., AbstractContextManager[Process]]


@pytest.fixture
def start(tmp_path, time: Time) -> Start:
    @contextmanager
    def started(*, draw: float = 0.0, claim=lambda: nullcontext(True)) -> Iterator[Process]:
        pace = Pace(heartbeat_s=HEARTBEAT_S)
        with opened_log(tmp_path / "a.db", KEY, background=False, clock=time.clock, pace=pace) as opened:
            sharing = Sharing(watch_s=LOOK_S, grace_s=GRACE_S, claim=claim, draw=lambda: draw)
            clocks = {"clock": time.clock, "monotonic": time.monotonic}
            heartbeats = Heartbeats(opened.store, HEARTBEAT_S, share=sharing.share(), **clocks)
            yield Process(
                opened,
                heartbeats,
                Watch(opened.store, opened.checkpointer, sharing, heartbeats, **clocks),
            )

    return started


def looks_of(process: Process, time: Time, seconds: float) -> list[list[str]]:
    """What each look makes, from now on for so long."""
    made = []
    for _ in range(int(seconds / LOOK_S)):
        time.now += LOOK_S
        made.append(process.look())
    return made


def announced(process: Process, stream: str) -> list[Promise]:
    bodies = [parse_body(entry.body) for entry in process.store.walk([stream])]
    return [Promise.from_payload(body.payload) for body in bodies if body.type == CHECKPOINT_TYPE]


def test_what_a_dead_process_left_in_streams_of_its_own_another_covers(time, start):
    with start() as dead, start() as living:
        dead.append("a", "b")
        assert living.look() == []
        assert looks_of(living, time, GRACE_S) == [[], [], ["a", "b", HEADS_STREAM]]
        assert living.opened.signer.calls == 1
        assert living.store.count_pending() == 0
        assert looks_of(living, time, 60) == [[]] * 12


def test_what_was_announced_by_a_dead_process_is_signed_as_it_was_announced(time, start):
    with start() as dead, start() as living:
        dead.append("a")
        dead.dies_while_signing("a")
        living.look()
        assert looks_of(living, time, GRACE_S)[-1] == ["a"]
        assert len(announced(living, "a")) == 1
        assert living.store.count_pending() == 0


def test_heads_that_a_dead_process_wrote_and_did_not_sign_are_covered(time, start):
    with start() as dead, start() as living:
        dead.append("a", "b")
        dead.dies_while_signing("a", "b")
        for stream in ("a", "b"):
            living.cover(stream)  # so that no other stream is left
        assert living.store.count_pending() == 2
        living.look()
        assert looks_of(living, time, GRACE_S) == [[], [], [HEADS_STREAM]]
        assert living.store.count_pending() == 0


def test_what_a_living_process_has_in_flight_is_left_to_it(time, start):
    with start() as busy, start() as idle:
        for _ in range(50):
            busy.append("a", "b")
            busy.opened.signer.failure = None
            assert idle.look() == []
            time.now += LOOK_S / 2
            busy.cover("a", "b")
            busy.append("a")
            time.now += LOOK_S / 2
        assert idle.opened.signer.calls == 0


def test_the_signer_s_slowness_is_no_death(time, start):
    with start() as slow, start() as idle:
        slow.append("a")
        assert idle.look() == []
        time.now += GRACE_S - 0.1
        assert idle.look() == []
        slow.cover("a")
        assert looks_of(idle, time, 60) == [[]] * 12


def test_what_is_old_when_a_process_comes_is_covered_at_once_and_what_is_young_later(time, start):
    with start() as dead:
        dead.append("old")
        time.now += GRACE_S
        dead.append("young")
    with start() as next_one:
        assert next_one.look() == ["old"]
        assert looks_of(next_one, time, GRACE_S) == [[], [], ["young"]]


def test_what_is_old_and_was_never_seen_before_may_be_of_a_process_whose_clock_is_behind(time, start):
    with start() as behind, start() as idle:
        idle.look()
        behind.append("a")
        time.now += 2 * GRACE_S
        assert idle.look() == []


def test_of_several_that_find_the_same_one_works(time, start):
    """Another one holds the claim; when it is free again, the work is done."""
    with start() as dead, start(claim=lambda: nullcontext(False)) as barred, start() as free:
        dead.append("a")
        for process in (barred, free):
            process.look()
        time.now += GRACE_S
        assert barred.look() == []
        assert free.look() == ["a"]
        assert barred.opened.signer.calls == 0


def test_who_has_waited_for_the_claim_looks_again(time, start):
    with start() as dead, start() as first:

        @contextmanager
        def after_the_first() -> Iterator[bool]:
            first.cover("a")
            yield True

        with start(claim=after_the_first) as second:
            dead.append("a")
            second.look()
            time.now += GRACE_S
            assert second.look() == []


def test_the_promises_of_a_dead_process_are_kept_by_another(time, start):
    with start() as dead, start() as living:
        living.look()
        dead.append("a", "b")
        dead.cover("a", "b")
        made = [each for each in looks_of(living, time, 3 * HEARTBEAT_S) if each]
        assert made == [["a", "b", HEADS_STREAM]] * len(made)
        assert len(made) == 6
        promised = [promise.next_by for promise in announced(living, "a")]
        assert promised[-1] > time.clock()
        assert all(after - before < HEARTBEAT_S * MICROS * 0.6 for before, after in itertools.pairwise(promised))


def test_processes_that_live_do_not_double_their_heartbeats(time, start):
    with start(draw=0.0) as early, start(draw=1.0) as late:
        early.append("a")
        early.cover("a")
        for _ in range(int(3 * HEARTBEAT_S / LOOK_S)):
            time.now += LOOK_S
            early.look()
            assert late.look() == []
        assert len(announced(early, "a")) == 7
        # The other lives alone from here on.
        assert ["a"] in looks_of(late, time, 0.76 * HEARTBEAT_S)
        assert announced(late, "a")[-2].next_by > time.clock()


@pytest.mark.parametrize("draw", [0.0, 0.3, 1.0])
def test_a_heartbeat_comes_with_a_quarter_of_the_promised_time_to_spare(draw: float):
    share = Sharing(watch_s=5, grace_s=15, draw=lambda: draw).share()
    assert share == 0.5 + draw / 4


def test_processes_draw_different_moments():
    assert len({Sharing(watch_s=5, grace_s=15).share() for _ in range(10)}) == 10


def test_a_short_heartbeat_is_looked_after_more_often(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False, pace=Pace(heartbeat_s=8)) as opened:
        sharing = Sharing(watch_s=5, grace_s=15)
        watch = Watch(opened.store, opened.checkpointer, sharing, None, clock=None, monotonic=None)
        assert watch.every_s == 1


def test_a_damaged_stream_does_not_keep_others_from_being_covered(tmp_path, time, start):
    with start() as dead:
        dead.append("a", "b", "c")
        dead.cover("b")
        dead.append("b")
    damage(tmp_path / "a.db", "UPDATE checkpoints SET note_text = 'damaged'")
    time.now += GRACE_S
    with start() as living:
        assert living.look() == ["a", "c"]
        time.now += LOOK_S
        with pytest.raises(StoreError, match="verify"):
            living.look()


def test_a_promise_that_cannot_be_read_is_no_end_of_looking(tmp_path, time, start):
    with start() as dead:
        dead.append("a", "b")
        dead.cover("a")
        dead.append("a")
    damage(tmp_path / "a.db", "UPDATE entries SET body = x'00' WHERE stream = 'a' AND seq = 1")
    time.now += GRACE_S
    with start() as living:
        assert "b" in living.look()


def test_a_process_that_is_busy_with_streams_of_its_own_reads_the_heads_alone(time, start, monkeypatch):
    with start() as process:
        process.append("a", "b")
        process.cover("a", "b")
        monkeypatch.setattr(process.store, "last_checkpoint", partial(pytest.fail, "last_checkpoint"))
        for _ in range(10):
            process.append("a", "b")
            assert process.look() == []
            process.cover("a", "b")
            time.now += LOOK_S


def test_what_too_few_witnesses_cosigned_is_not_done_with(time, start, monkeypatch):
    with start() as dead, start() as living:
        dead.append("a")
        living.look()
        time.now += GRACE_S
        create, answers = living.opened.checkpointer.create, [PolicyNotMetError("no witness answers"), None]

        def made(streams):
            checkpoints = create(streams)
            if answer := answers.pop(0):
                raise answer
            return checkpoints

        monkeypatch.setattr(living.opened.checkpointer, "create", made)
        with pytest.raises(PolicyNotMetError):
            living.look()
        assert living.look() == ["a"]
        assert living.look() == []


def damage(path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.close()


def test_a_look_at_a_log_where_nothing_is_left_reads_the_heads_alone(time, start, monkeypatch):
    with start() as process:
        process.append("a", "b")
        process.cover("a", "b")
        for name in ("last_checkpoint", "entry", "head"):
            monkeypatch.setattr(process.store, name, partial(pytest.fail, name))
        assert looks_of(process, time, 60) == [[]] * 12


SHARING = Sharing(watch_s=0.02, grace_s=0.1)


def test_the_loop_of_a_living_process_covers_what_a_dead_one_left(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, sharing=SHARING) as living:
        living.events(1, stream="mine")
        with opened_log(tmp_path / "a.db", KEY, background=False) as dead:
            dead.events(3, stream="theirs", ack="durable")
            dead.events(3, stream="others", ack="durable")
            dead.signer.failure = DOWN
            with pytest.raises(SignerError):
                dead.checkpointer.create(["theirs", "others"])
        until(lambda: living.store.count_pending() == 0)
        assert living.checkpointer.due() == {}


def test_the_loop_of_a_process_that_shares_its_log_keeps_its_own_promises(tmp_path):
    pace = Pace(interval_s=0.01, heartbeat_s=0.4)
    with opened_log(tmp_path / "a.db", KEY, sharing=SHARING, pace=pace, clock=now_micros) as opened:
        opened.events(1)
        first = opened.store.last_checkpoint("main").size
        until(lambda: opened.store.last_checkpoint("main").size > first + 2)


def test_the_loop_leaves_to_others_what_is_young_when_it_begins(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as busy:
        busy.events(3, stream="theirs", ack="durable")
        with opened_log(tmp_path / "a.db", KEY, sharing=Sharing(watch_s=0.02, grace_s=3600)) as living:
            living.events(1, stream="mine")
            assert living.store.last_checkpoint("theirs") is None


def test_who_waits_for_what_a_look_covers_is_told(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, background=False) as dead:
        receipt = dead.log.append("test.event", {}, stream="theirs", ack="durable")
    with opened_log(tmp_path / "a.db", KEY, sharing=SHARING, pace=Pace(interval_s=3600)) as living:
        again = living.log.append("test.event", {}, stream="theirs", id=receipt.id)
        assert (again.repeated, again.status) == (True, "signed")


def test_looks_do_not_hasten_what_may_wait_for_its_interval(tmp_path, monkeypatch):
    shared = Sharing(watch_s=0.01, grace_s=3600)
    with opened_log(tmp_path / "a.db", KEY, sharing=shared, pace=Pace(interval_s=3600)) as opened:
        looks = []
        streams = opened.store.streams
        monkeypatch.setattr(opened.store, "streams", lambda: looks.append(1) or streams())
        opened.events(3, ack="durable")
        until(lambda: len(looks) > 5)
        assert opened.store.last_checkpoint("main") is None
    with opened_log(tmp_path / "a.db", KEY, background=False) as opened:
        assert opened.store.count_pending() == 0


def test_a_heartbeat_is_not_sent_along_with_entries_before_it_was_looked_at(tmp_path):
    barred = Sharing(watch_s=0.02, grace_s=0.1, claim=lambda: nullcontext(False))
    with opened_log(tmp_path / "a.db", KEY, sharing=barred, pace=Pace(interval_s=0.01, heartbeat_s=0.1)) as opened:
        opened.events(1, stream="a")
        until(opened.loop._heartbeats.due)
        opened.events(1, stream="b")
        assert opened.store.last_checkpoint("a").size == 2


def test_a_look_that_fails_is_made_again_and_costs_callers_nothing(tmp_path, monkeypatch):
    with opened_log(tmp_path / "a.db", KEY, sharing=SHARING) as living:
        streams, broken = living.store.streams, True

        def failing():
            if broken:
                raise StoreError("the connection was lost", retryable=True)
            return streams()

        monkeypatch.setattr(living.store, "streams", failing)
        until(lambda: living.log.outage)
        assert living.log.outage.reason == "store"
        assert living.log.append("test.event", {}, stream="mine").status == "signed"
        with opened_log(tmp_path / "a.db", KEY, background=False) as dead:
            dead.events(3, stream="theirs", ack="durable")
        broken = False
        until(lambda: living.store.count_pending() == 0)
        until(lambda: living.log.outage is None)


def test_what_cannot_be_signed_in_another_s_place_is_tried_again(tmp_path):
    with opened_log(tmp_path / "a.db", KEY, sharing=SHARING) as living:
        living.signer.failure = DOWN
        with opened_log(tmp_path / "a.db", KEY, background=False) as dead:
            dead.events(3, stream="theirs", ack="durable")
        until(lambda: living.log.outage is DOWN)
        living.signer.failure = None
        until(lambda: living.store.count_pending() == 0)
        until(lambda: living.log.outage is None)


def test_a_log_that_is_not_shared_is_never_looked_at(tmp_path, monkeypatch):
    with opened_log(tmp_path / "a.db", KEY, pace=Pace(interval_s=0.01)) as opened:
        opened.events(3)
        for name in ("streams", "last_checkpoint"):
            monkeypatch.setattr(opened.store, name, partial(pytest.fail, name))
        opened.events(3)
        assert opened.store.count_pending() == 0
