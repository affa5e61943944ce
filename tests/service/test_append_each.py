"""Events of different callers, appended together: none is another's error."""

from __future__ import annotations

from auditseal.core.event import Event
from auditseal.core.receipt import Receipt
from auditseal.errors import BacklogFullError, ConflictError, InputError, SignaturePendingError, StoreError
from fakes.scripted_signer import outage

ID = "01936f5e-0000-7000-8000-000000000001"
GOOD = Event(type="test.event", payload={"n": 1})


def _kinds(outcomes):
    return [type(outcome) for outcome in outcomes]


def test_each_event_has_the_outcome_it_would_have_alone(log):
    log.append("test.event", {"n": 0}, id=ID)
    bad, other = Event(type="", payload={}), Event(type="test.event", payload={"n": 2}, id=ID)
    outcomes = log.append_each([GOOD, bad, other, GOOD])
    assert _kinds(outcomes) == [Receipt, InputError, ConflictError, Receipt]
    assert [outcomes[0].seq, outcomes[3].seq] == [1, 2]
    assert all(outcome.status == "signed" for outcome in (outcomes[0], outcomes[3]))


def test_the_same_event_twice_is_appended_once(log):
    event = Event(type="test.event", payload={"n": 2}, id=ID)
    first, second = log.append_each([event, event])
    assert (first.seq, first.repeated, second.seq, second.repeated) == (0, False, 0, True)


def test_under_refuse_each_unsigned_event_is_its_own_error(make, signer):
    log = make("refuse")
    signer.failure = outage()
    outcomes = log.append_each([GOOD, GOOD])
    assert _kinds(outcomes) == [SignaturePendingError, SignaturePendingError]
    assert [[receipt.seq for receipt in outcome.receipts] for outcome in outcomes] == [[0], [1]]


def test_a_backlog_with_room_for_some_takes_those(make, signer, store):
    log = make("refuse", backlog_limit=2)
    signer.failure = outage()
    log.append_each([GOOD])
    outcomes = log.append_each([GOOD, GOOD, GOOD])
    assert _kinds(outcomes) == [SignaturePendingError, BacklogFullError, BacklogFullError]
    assert store.head("default").seq == 1


def test_an_event_that_the_store_cannot_take_is_nobody_else_s_error(log, store, monkeypatch):
    append = store.append

    def refuse_two(drafts, clock):
        if any(draft.type == "two" for draft in drafts):
            raise StoreError("this one cannot be stored")
        return append(drafts, clock)

    monkeypatch.setattr(store, "append", refuse_two)
    outcomes = log.append_each([GOOD, Event(type="two", payload={}), GOOD])
    assert _kinds(outcomes) == [Receipt, StoreError, Receipt]
    assert [outcomes[0].seq, outcomes[2].seq] == [0, 1]


def test_a_store_that_is_away_is_everybody_s_error_at_once(log, store, monkeypatch):
    calls = []

    def fail(drafts, _clock):
        calls.append(len(drafts))
        raise StoreError("connection lost", retryable=True)

    monkeypatch.setattr(store, "append", fail)
    assert _kinds(log.append_each([GOOD] * 5)) == [StoreError] * 5
    assert calls == [5]


def test_nothing_is_no_event(log):
    assert log.append_each([]) == []
