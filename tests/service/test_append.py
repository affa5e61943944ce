import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditseal.core.draft import Limits
from auditseal.core.event import Event
from auditseal.errors import (
    BacklogFullError,
    CanonicalError,
    ConflictError,
    InputError,
    SignaturePendingError,
    StoreError,
)
from auditseal.service.append import CHUNK
from auditseal.service.audit import audit
from auditseal.service.ids import new_id
from fakes.scripted_signer import outage
from support.waiting import until

ID = "01936f5e-0000-7000-8000-000000000001"


def _events(count, **members):
    return [Event(type="test.event", payload={"number": number}, **members) for number in range(count)]


def _bodies(log, stream="default"):
    return [entry.body for entry in log.entries(stream)]


def test_a_receipt_says_what_stands_in_the_log(log, signer):
    receipt = log.append("agent.spawned", {"agent_id": "a-1"}, actor="user:alice")
    entry = log.store.entry("default", 0)
    assert (receipt.hash, receipt.prev_hash, receipt.status) == (entry.hash, b"", "signed")
    assert (receipt.signer, receipt.algorithm) == ("audit-2026", "ed25519")
    assert receipt.signature == entry.signatures[0].signature
    assert (receipt.id, receipt.time) == (entry.columns.id, entry.columns.time)
    assert not receipt.development
    assert not receipt.repeated


def test_a_local_key_is_marked_on_the_receipt(log, signer):
    signer.development = True
    assert log.append("test.event").development


def test_what_was_appended_verifies(log, signer, store):
    log.append_many(_events(20))
    assert audit(store, signer.registry()).verdict == "valid"


def test_the_same_id_and_content_gives_the_first_receipt(log, store):
    first = log.append("test.event", {"a": 1}, id=ID)
    again = log.append("test.event", {"a": 1}, id=ID)
    assert again.repeated
    assert (again.seq, again.hash, again.signature, again.time) == (0, first.hash, first.signature, first.time)
    assert store.count() == 1


def test_an_id_is_the_same_in_either_case(log, store):
    log.append("test.event", id=ID.upper())
    assert log.append("test.event", id=ID).repeated
    assert store.count() == 1


@pytest.mark.parametrize(
    "other", [{"payload": {"a": 2}}, {"type": "other.event"}, {"actor": "user:bob"}, {"context": {"trace": "1"}}]
)
def test_the_same_id_with_other_content_is_a_conflict(log, store, other):
    log.append("test.event", {"a": 1}, id=ID)
    members = {"type": "test.event", "payload": {"a": 1}, **other}
    with pytest.raises(ConflictError, match=ID):
        log.append_event(Event(id=ID, **members))
    assert store.count() == 1


def test_the_same_id_in_another_stream_is_another_event(log):
    log.append("test.event", id=ID)
    assert not log.append("test.event", id=ID, stream="other").repeated


def test_the_same_event_twice_in_one_call_is_there_once(log, store, signer):
    receipts = log.append_many([Event(type="test.event", id=ID)] * 2)
    assert [receipt.repeated for receipt in receipts] == [False, True]
    assert store.count() == len(signer.digests) == 1


def test_a_repeated_event_whose_signature_is_due_is_signed_by_the_retry(log, signer, sealer):
    signer.failure = outage()
    assert log.append("test.event", id=ID).status == "pending"
    signer.failure = None
    sealer._line._try_again_at = 0
    again = log.append("test.event", id=ID)
    assert (again.status, again.repeated) == ("signed", True)


def test_a_retry_after_a_kms_key_came_does_not_call_its_signature_local(log, signer):
    signer.development = False
    log.append("test.event", id=ID)
    signer.development, signer.signer_id = True, "development"
    assert not log.append("test.event", id=ID).development


def test_events_keep_their_order(log):
    log.append_many(_events(1200, stream="a"))
    numbers = [body.split(b'"number":')[1].split(b"}")[0] for body in _bodies(log, "a")]
    assert numbers == [str(number).encode() for number in range(1200)]


def test_concurrent_callers_share_transactions_and_lose_nothing(make, store, signer):
    log = make()
    transactions = []
    first_is_in, go_on = threading.Event(), threading.Event()
    append = store.append

    def counted(drafts, clock):
        transactions.append(len(drafts))
        if len(transactions) == 1:
            first_is_in.set()
            go_on.wait(10)
        return append(drafts, clock)

    store.append = counted
    with ThreadPoolExecutor(9) as pool:
        waiting = [pool.submit(log.append, "test.event")]
        first_is_in.wait(10)
        waiting += [pool.submit(log.append, "test.event") for _ in range(8)]
        until(lambda: len(log._appender._chaining._waiting) == 8)
        go_on.set()
        seqs = [future.result().seq for future in waiting]
    assert sorted(seqs) == list(range(9))
    assert transactions == [1, 8]
    assert audit(store, signer.registry()).verdict == "valid"


def test_chaining_does_not_wait_for_the_signer(make, store, signer):
    released = threading.Event()
    signer.before = lambda _: released.wait(10)
    log = make()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(log.append, "test.event")
        until(lambda: signer.digests)
        assert log.append("test.event", ack="durable").seq == 1
        assert not first.done()
        released.set()
        assert first.result().status == "signed"


def test_durable_means_in_the_log_and_not_signed(log, store, signer):
    receipt = log.append("test.event", ack="durable")
    assert (receipt.status, receipt.signature, receipt.signer) == ("pending", None, None)
    assert store.count_pending() == 1
    assert signer.digests == []


@pytest.mark.parametrize("ack", ["", "SIGNED", None, "both"])
def test_another_ack_is_refused_before_anything_is_done(log, store, ack):
    with pytest.raises(InputError, match="use signed or durable"):
        log.append("test.event", ack=ack)
    assert store.count() == 0


def test_without_a_signer_only_durable_is_possible(make, store):
    log = make(sealer=None)
    with pytest.raises(InputError, match="without a signer"):
        log.append("test.event")
    assert store.count() == 0
    assert log.append("test.event", ack="durable").status == "pending"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"type": ""}, "type must be"),
        ({"type": "x" * 257}, "type must be"),
        ({"type": "a\nb"}, "type must be"),
        ({"type": 5}, "type must be"),
        ({"actor": ""}, "actor must be"),
        ({"payload": []}, "payload must be a JSON object, not list"),
        ({"payload": ""}, "payload must be a JSON object, not str"),
        ({"payload": {"a": float("nan")}}, "payload"),
        ({"payload": {"a": 2**53}}, "payload"),
        ({"payload": {1: "a"}}, "payload"),
        ({"payload": {"a": "\ud800"}}, "payload"),
        ({"payload": {"a": {1, 2}}}, "payload"),
        ({"context": "trace"}, "context must be a JSON object"),
        ({"stream": "Agents"}, "not a stream name"),
        ({"stream": ""}, "not a stream name"),
        ({"stream": "a" * 129}, "not a stream name"),
        ({"id": "1"}, "not a UUID"),
        ({"id": "{01936f5e-0000-7000-8000-000000000001}"}, "not a UUID"),
    ],
)
def test_an_event_that_is_not_acceptable_is_refused_and_nothing_appended(log, store, members, text):
    with pytest.raises(InputError, match=text):
        log.append(**{"type": "test.event", **members})
    assert store.count() == 0


def test_a_payload_of_none_is_an_empty_object(log):
    log.append("test.event", None)
    assert b'"payload":{}' in _bodies(log)[0]


def test_what_is_too_large_or_too_deep_is_refused(make, store):
    log = make(limits=Limits(max_body_bytes=2000, max_depth=3))
    with pytest.raises(CanonicalError, match="at most 2000"):
        log.append("test.event", {"text": "x" * 2000})
    with pytest.raises(CanonicalError, match="payload"):
        log.append("test.event", {"a": {"b": {"c": {}}}})
    log.append("test.event", {"a": {"b": {}}})
    assert store.count() == 1


def test_one_bad_event_keeps_a_whole_call_out(log, store):
    with pytest.raises(InputError):
        log.append_many([*_events(3), Event(type="")])
    assert store.count() == 0


def test_in_a_stream_each_event_has_an_outcome_of_its_own(log, store):
    log.append("test.event", {"a": 1}, id=ID)
    events = [
        Event(type="test.event"),
        InputError("line 2 is none"),
        Event(type=""),
        Event(type="test.event", payload={"a": 2}, id=ID),
        Event(type="test.event", payload={"a": 1}, id=ID),
    ]
    (outcomes,) = log.append_stream(events)
    kinds = [type(outcome).__name__ for outcome in outcomes]
    assert kinds == ["Receipt", "InputError", "InputError", "ConflictError", "Receipt"]
    assert outcomes[1] is events[1]
    assert [outcomes[0].repeated, outcomes[4].repeated] == [False, True]
    assert store.count() == 2


def test_a_stream_is_read_no_further_than_it_is_worked_off(log):
    taken = []

    def events():
        for number in range(10 * CHUNK):
            taken.append(number)
            yield Event(type="test.event")

    next(log.append_stream(events(), ack="durable"))
    assert len(taken) <= 3 * CHUNK


def test_a_stream_that_is_left_early_leaves_nothing_unsigned_behind(log, store):
    outcomes = log.append_stream(_events(3 * CHUNK))
    next(outcomes)
    outcomes.close()
    assert store.count_pending() == 0


def test_an_empty_call_appends_nothing(log):
    assert log.append_many([]) == []
    assert list(log.append_stream([])) == []


def test_under_queue_an_outage_gives_a_pending_receipt(log, signer, store):
    signer.failure = outage()
    receipt = log.append("test.event")
    assert (receipt.status, receipt.signature) == ("pending", None)
    assert log.outage is signer.failure
    assert store.count_pending() == 1


def test_under_refuse_an_outage_says_that_the_event_is_in_the_log(make, signer, store):
    log = make("refuse")
    signer.failure = outage()
    with pytest.raises(SignaturePendingError, match=r"default #0 is in the log.*KMS is out of reach") as caught:
        log.append("test.event", {"secret": "in-the-payload"})
    (receipt,) = caught.value.receipts
    assert (receipt.seq, receipt.status) == (0, "pending")
    assert store.entry("default", 0).hash == receipt.hash
    assert (caught.value.reason, caught.value.retryable) == ("unreachable", True)
    assert "in-the-payload" not in str(caught.value)


def test_under_refuse_the_receipts_tell_signed_from_pending(make, signer):
    log = make("refuse")

    def fail_the_third(_):
        if len(signer.digests) >= 3:
            raise outage("throttled")

    signer.before = fail_the_third
    with pytest.raises(SignaturePendingError, match="and 2 more") as caught:
        log.append_many(_events(5))
    states = [receipt.status for receipt in caught.value.receipts]
    assert (states.count("signed"), states.count("pending")) == (2, 3)
    assert [receipt.seq for receipt in caught.value.receipts] == [0, 1, 2, 3, 4]


def test_under_refuse_durable_is_still_answered(make, signer):
    signer.failure = outage()
    assert make("refuse").append("test.event", ack="durable").status == "pending"


def test_a_full_backlog_refuses_and_appends_nothing(make, signer, store):
    log = make("refuse", backlog_limit=3)
    signer.failure = outage()
    for _ in range(3):
        with pytest.raises(SignaturePendingError):
            log.append("test.event")
    with pytest.raises(BacklogFullError, match="3 entries wait for a signature and 3 may") as caught:
        log.append("test.event")
    assert (caught.value.pending, caught.value.limit, caught.value.retryable) == (3, 3, True)
    assert store.count() == 3


def test_a_backlog_of_an_earlier_run_counts(make, signer, store):
    make().append_many(_events(5), ack="durable")
    with pytest.raises(BacklogFullError):
        make("refuse", backlog_limit=5).append("test.event")
    assert store.count() == 5


def test_once_the_backlog_is_signed_events_are_taken_again(make, signer, store, sealer):
    log = make("refuse", backlog_limit=1)
    signer.failure = outage()
    with pytest.raises(SignaturePendingError):
        log.append("test.event")
    with pytest.raises(BacklogFullError):
        log.append("test.event")
    signer.failure = None
    sealer._line._try_again_at = 0
    assert log.sign_pending().left == 0
    assert log.append("test.event").status == "signed"


def test_one_call_is_taken_whole_or_not_at_all(make, signer, store):
    log = make("refuse", backlog_limit=10)
    signer.failure = outage()
    with pytest.raises(SignaturePendingError) as caught:
        log.append_many(_events(3 * CHUNK))
    assert len(caught.value.receipts) == store.count() == 3 * CHUNK
    with pytest.raises(BacklogFullError):
        log.append_many(_events(3 * CHUNK))
    assert store.count() == 3 * CHUNK


def test_a_stream_tells_of_all_that_is_in_the_log_before_it_is_refused(make, signer, store):
    log = make("refuse", backlog_limit=10)
    signer.failure = outage()
    told = []

    def append_all():
        for part in log.append_stream(_events(9 * CHUNK)):
            told.extend(part)

    with pytest.raises(BacklogFullError):
        append_all()
    assert 0 < len(told) == store.count() < 9 * CHUNK


def test_what_is_just_being_signed_is_no_backlog(make, signer, store):
    log = make("refuse", backlog_limit=2)
    released = threading.Event()
    signer.before = lambda _: released.wait(10)
    with ThreadPoolExecutor(4) as pool:
        under_way = [pool.submit(log.append, "test.event") for _ in range(3)]
        until(lambda: len(signer.digests) == 3)
        log._appender._backlog._counted_at = None
        last = pool.submit(log.append, "test.event", ack="durable")
        assert last.result().seq == 3
        released.set()
        assert all(future.result().status == "signed" for future in under_way)


@pytest.mark.parametrize("policy", ["queue", "refuse"])
def test_a_signature_that_cannot_be_stored_leaves_a_pending_entry_and_says_so(make, store, signer, policy):
    log = make(policy)

    def fail(_):
        raise StoreError("audit.db has no room")

    store.add_signatures = fail
    if policy == "queue":
        assert log.append("test.event").status == "pending"
    else:
        with pytest.raises(SignaturePendingError, match=r"is in the log.*was not stored.*no room") as caught:
            log.append("test.event")
        assert caught.value.reason == "not-stored"
    assert store.count_pending() == 1


def test_a_store_that_fails_appends_nothing(log, store):
    def fail(*_):
        raise StoreError("audit.db is locked", retryable=True)

    store.append = fail
    with pytest.raises(StoreError, match="locked"):
        log.append("test.event")
    assert store.count() == 0


def test_time_never_runs_backwards(make, store):
    times = iter([5_000_000, 3_000_000, 6_000_000])
    log = make(clock=lambda: next(times))
    found = [log.append("test.event", ack="durable").time for _ in range(3)]
    assert [time[17:20] for time in found] == ["05.", "05.", "06."]


def test_a_clock_that_stands_wrong_is_an_error_and_not_an_entry(make, store):
    with pytest.raises(InputError, match="1970"):
        make(clock=lambda: 10**20).append("test.event")
    assert store.count() == 0


def test_entries_are_filtered_by_stream_in_addition_to_another_filter(log):
    from auditseal.ports import EntryFilter

    log.append_many([Event(type=type_, stream=stream) for type_ in ("a", "b") for stream in ("x", "y")])
    found = list(log.entries("x", which=EntryFilter(type="a")))
    assert [(entry.stream, entry.columns.type) for entry in found] == [("x", "a")]
    assert len(list(log.entries(which=EntryFilter(stream="y")))) == 2


def test_entries_come_in_pages_without_a_gap(log):
    log.append_many(_events(7))
    assert [entry.seq for entry in log.entries(page=3)] == list(range(7))


def test_ids_are_version_7_and_sort_by_time():
    early = new_id(lambda: 1_000_000_000_000_000_000, lambda count: b"\xff" * count)
    late = new_id(lambda: 1_000_000_001_000_000_000, lambda count: b"\x00" * count)
    assert early < late
    assert (early[14], late[14], early[19]) == ("7", "7", "b")
    assert early[:13].replace("-", "") == f"{10**12:012x}"


def test_a_closed_log_appends_nothing(log, store):
    log.append("test.event")
    log.close()
    log.close()
    with pytest.raises(StoreError, match="closed"):
        log.append("test.event")


def test_a_log_ends_with_its_with_statement(make, signer):
    with make() as log:
        log.append("test.event")
    assert signer.closed
