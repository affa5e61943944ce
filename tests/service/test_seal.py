import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.core.event import Event
from auditseal.errors import ConfigError, StoreError
from auditseal.service import follow_up, seal
from auditseal.service.append import Appender
from auditseal.service.audit import audit
from auditseal.service.log import Log
from auditseal.service.seal import Backlog, Resealer, Sealer
from fakes.scripted_signer import ScriptedSigner, outage
from support.waiting import until


class Time:
    """A clock that a test sets forward."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def sealer(store, signer, time):
    made = Sealer(store, signer, monotonic=time)
    yield made
    made.close()


def _pend(make, count=1, **members):
    return make().append_many([Event(type="test.event", **members) for _ in range(count)], ack="durable")


def test_the_request_id_and_the_time_are_kept_with_each_signature(log, store):
    log.append_many([Event(type="test.event")] * 3)
    signatures = [store.entry("default", seq).signatures[0] for seq in range(3)]
    assert {signature.request_id for signature in signatures} == {"request-1", "request-2", "request-3"}
    assert all(signature.signed_at.endswith("Z") for signature in signatures)
    assert all(signature.entry_hash == store.entry("default", seq).hash for seq, signature in enumerate(signatures))


def test_entries_are_signed_concurrently(log, signer):
    together = threading.Barrier(4, timeout=10)
    signer.before = lambda _: together.wait()
    assert {receipt.status for receipt in log.append_many([Event(type="test.event")] * 8)} == {"signed"}


def test_while_the_signer_is_down_one_call_a_pause_asks_it(log, signer, time):
    signer.failure = outage()
    for _ in range(10):
        log.append("test.event")
    assert len(signer.digests) == 1
    time.now += 0.6
    log.append("test.event")
    log.append("test.event")
    assert len(signer.digests) == 2


def test_the_pause_grows_while_the_signer_stays_down(sealer, signer, time):
    signer.failure = outage()
    asked_at = []
    while len(asked_at) < 9:
        before = len(signer.digests)
        sealer._line._sign(bytes(32))
        if len(signer.digests) > before:
            asked_at.append(time.now)
        time.now += 0.125
    pauses = [late - early for early, late in itertools.pairwise(asked_at)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_one_answer_ends_the_outage(log, signer, time):
    signer.failure = outage()
    log.append("test.event")
    assert log.outage is not None
    signer.failure, time.now = None, time.now + 1
    assert log.append("test.event").status == "signed"
    assert log.outage is None
    assert log.append("test.event").status == "signed"


def test_after_an_outage_nothing_is_lost_and_nothing_signed_twice(log, signer, time, store):
    log.append("test.event")
    signer.failure = outage()
    for _ in range(5):
        log.append("test.event")
    signer.failure, time.now = None, time.now + 1
    while log.sign_pending().left:
        time.now += 1
    assert audit(store, signer.registry()).verdict == "valid"
    assert [len(entry.signatures) for entry in store.walk()] == [1] * 6


def test_what_is_pending_is_signed_after_a_restart(make, address, store):
    _pend(make, 3)
    signer = ScriptedSigner("another-run")
    again = SqliteStore(address)
    sealer = Sealer(again, signer)
    backlog = sealer.sign_pending()
    assert (backlog.signed, backlog.left, backlog.error) == (3, 0, None)
    assert audit(again, signer.registry()).verdict == "valid"
    sealer.close()
    again.close()


def test_pending_entries_are_signed_oldest_first(make, sealer, signer, store):
    _pend(make, 600)
    assert sealer.sign_pending().signed == 600
    hashes = [entry.hash for entry in store.walk()]
    assert set(signer.digests[:500]) == set(hashes[:500])


def test_an_attempt_ends_where_the_signer_fails_and_says_why(make, sealer, signer):
    _pend(make, 3)
    signer.failure = outage("denied", retryable=False)
    backlog = sealer.sign_pending()
    assert (backlog.signed, backlog.left) == (0, 3)
    assert backlog.error is signer.failure


def test_with_nothing_pending_nothing_is_asked(sealer, signer):
    assert sealer.sign_pending() == Backlog(signed=0, left=0)
    assert signer.digests == []


def test_young_entries_are_left_to_the_process_that_is_signing_them(make, store, signer):
    _pend(make, 1)
    sealer = Sealer(store, signer)
    assert sealer.sign_pending(grace_s=60).signed == 0
    assert sealer.sign_pending(grace_s=0).signed == 1
    sealer.close()


def test_an_entry_in_flight_is_not_signed_a_second_time(make, sealer, signer):
    released = threading.Event()
    signer.before = lambda _: released.wait(10)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(make().append, "test.event")
        until(lambda: signer.digests)
        assert sealer.in_flight == 1
        assert sealer.sign_pending().signed == 0
        released.set()
        assert under_way.result().status == "signed"
    assert len(signer.digests) == 1
    assert sealer.in_flight == 0


def test_an_attempt_can_be_stopped(make, sealer, signer):
    _pend(make, 3)
    stop = threading.Event()
    stop.set()
    assert sealer.sign_pending(stop=stop).left == 3
    assert signer.digests == []


def test_a_wrong_setting_found_while_signing_leaves_the_entry_pending(log, signer):
    signer.failure = ConfigError("no AWS Region: set AWS_REGION")
    assert log.append("test.event").status == "pending"
    assert (log.outage.reason, log.outage.retryable) == ("misconfigured", False)
    assert "AWS_REGION" in str(log.outage)


def test_a_signer_that_is_not_concurrent_signs_in_the_callers_thread(store):
    signer = ScriptedSigner(concurrency=1)
    threads = []
    signer.before = lambda _: threads.append(threading.current_thread())
    sealer = Sealer(store, signer)
    Log(store, Appender(store, sealer), sealer=sealer).append("test.event")
    assert threads == [threading.current_thread()]


def test_a_log_without_a_signer_has_nothing_to_sign_with(make):
    log = make(sealer=None)
    assert (log.signer, log.outage) == (None, None)
    with pytest.raises(ConfigError, match="no signer is configured"):
        log.sign_pending()


@pytest.fixture
def background(store, signer):
    """A log whose backlog is worked off in the background."""
    sealer = Sealer(store, signer, monotonic=Ahead())
    resealer = Resealer(sealer, grace_s=0, first_pause_s=0.01)
    log = Log(store, Appender(store, sealer, resealer=resealer), sealer=sealer, resealer=resealer)
    yield log
    log.close()


class Ahead:
    """A clock on which every pause is over."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1000
        return self.now


def test_what_stays_pending_is_signed_in_the_background(background, signer, store):
    signer.failure = outage()
    for _ in range(5):
        assert background.append("test.event").status == "pending"
    signer.failure = None
    until(lambda: store.count_pending() == 0)
    assert audit(store, signer.registry()).verdict == "valid"


def test_what_was_appended_as_durable_is_signed_in_the_background(background, store):
    background.append("test.event", ack="durable")
    until(lambda: store.count_pending() == 0)


@pytest.fixture
def patient(store, signer):
    """A log that leaves to other processes, for a minute, what they are just signing."""
    sealer = Sealer(store, signer)
    resealer = Resealer(sealer, grace_s=60, first_pause_s=0.01)
    log = Log(store, Appender(store, sealer, resealer=resealer), sealer=sealer, resealer=resealer)
    yield log
    log.close()


def test_what_was_appended_as_durable_is_signed_at_once_by_who_appended_it(patient, store, signer):
    patient.append_many([Event(type="test.event")] * 250, ack="durable")
    until(lambda: store.count_pending() == 0)
    assert len(signer.digests) == 250
    assert patient._resealer._thread is None


def test_what_was_appended_as_durable_is_signed_before_a_log_closes(patient, address, signer):
    signer.before = lambda _: threading.Event().wait(0.01)
    patient.append_many([Event(type="test.event")] * 50, ack="durable")
    patient.close()
    again = SqliteStore(address)
    assert again.count_pending() == 0
    again.close()


def test_what_waits_when_somebody_signs_all_that_is_pending_is_signed_once(patient, store, signer):
    released = threading.Event()
    signer.before = lambda _: released.wait(10)
    patient.append("test.event", ack="durable")
    until(lambda: signer.digests)
    patient.append("test.event", ack="durable")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(patient.sign_pending)
        until(lambda: len(signer.digests) == 2)
        released.set()
        assert asked.result().signed == 1
    patient.close()
    assert len(signer.digests) == 2


@pytest.mark.parametrize("limit", ["_OWN_SHARE_OF_GRACE", "_MOST_HELD_BYTES"])
def test_what_a_process_cannot_come_to_is_left_to_the_others(store, signer, monkeypatch, limit):
    monkeypatch.setattr(seal if limit == "_OWN_SHARE_OF_GRACE" else follow_up, limit, 0)
    sealer = Sealer(store, signer)
    woken = threading.Event()
    resealer = Resealer(sealer, grace_s=60, first_pause_s=0.01)
    monkeypatch.setattr(resealer._follow_up, "_let_go", woken.set)
    log = Log(store, Appender(store, sealer, resealer=resealer), sealer=sealer, resealer=resealer)
    log.append("test.event", ack="durable")
    assert woken.wait(10)
    log.close()
    assert signer.digests == []


def test_where_it_cannot_be_read_whose_turn_it_is_nothing_stays_in_flight(make, store, signer):
    class Unreadable:
        def signer_of(self, _):
            raise StoreError("locked", retryable=True)

    _pend(make, 1)
    sealer = Sealer(store, signer, succession=Unreadable())
    with pytest.raises(StoreError):
        sealer.sign_pending()
    assert sealer.in_flight == 0


def test_the_background_thread_ends_with_the_backlog_and_comes_back(background, store):
    for _ in range(3):
        background.append("test.event", ack="durable")
        until(lambda: store.count_pending() == 0)
        until(lambda: background._resealer._thread is None)


def test_an_entry_that_comes_while_the_last_attempt_ends_is_not_forgotten(store, signer):
    sealer = Sealer(store, signer)
    resealer = Resealer(sealer, grace_s=0, first_pause_s=0.01)
    log = Log(store, Appender(store, sealer, resealer=resealer), sealer=sealer, resealer=resealer)
    sign_pending = sealer.sign_pending
    late = []

    def and_then_one_more(**members):
        backlog = sign_pending(**members)
        if not late:
            late.append(log.append("test.event", ack="durable"))
        return backlog

    sealer.sign_pending = and_then_one_more
    log.append("test.event", ack="durable")
    until(lambda: late and store.count_pending() == 0)
    log.close()


def test_a_store_that_fails_does_not_end_the_background_work(store, signer):
    sealer = Sealer(store, signer)
    resealer = Resealer(sealer, grace_s=0, first_pause_s=0.01)
    log = Log(store, Appender(store, sealer, resealer=resealer), sealer=sealer, resealer=resealer)
    pending, failures = store.pending, iter([StoreError("locked", retryable=True)] * 2)

    def fail_twice(**members):
        for failure in failures:
            raise failure
        return pending(**members)

    store.pending = fail_twice
    log.append("test.event", ack="durable")
    until(lambda: store.count_pending() == 0)
    log.close()


def test_closing_stops_the_background_work_and_keeps_what_is_pending(store, signer, background):
    signer.failure = outage()
    background.append("test.event")
    background.close()
    background._resealer.wake()
    assert background._resealer._thread is None
