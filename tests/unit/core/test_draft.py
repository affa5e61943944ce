import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.canonical import is_canonical
from auditseal.core.draft import Limits, make_draft
from auditseal.core.event import Event, parse_body
from auditseal.errors import CanonicalError, InputError

ID = "01936f5e-0000-7000-8000-000000000001"
TIME = "2026-07-01T00:00:03.000120Z"
BODY_MEMBERS = ("actor", "context", "id", "payload", "seq", "stream", "time", "type", "v")
LIMITS = Limits()

names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=256)
payloads = st.dictionaries(names, st.none() | st.integers(-9, 9) | names | st.floats(-1e15, 1e15))
events = st.builds(
    Event,
    type=names,
    payload=payloads,
    actor=st.none() | names,
    stream=st.text("abc019._/-", min_size=1, max_size=128),
    id=st.uuids().map(str),
    context=st.none() | payloads,
)


def _draft(event, limits=LIMITS):
    return make_draft(event, new_id=ID, limits=limits)


@given(events, st.integers(0, 2**53 - 1))
def test_a_body_is_canonical_and_reads_back_as_the_event(event, seq):
    form = _draft(event).body(seq, TIME)
    assert is_canonical(form, orjson.loads(form))
    body = parse_body(form)
    assert (body.stream, body.seq, body.id, body.time) == (event.stream, seq, event.id, TIME)
    assert (body.type, body.actor, body.payload, body.context) == (
        event.type,
        event.actor,
        event.payload,
        event.context,
    )


def test_the_members_of_a_body_are_these_and_context_may_be_left_out():
    assert list(orjson.loads(_draft(Event(type="t", context={})).body(0, TIME))) == list(BODY_MEMBERS)
    without = orjson.loads(_draft(Event(type="t")).body(0, TIME))
    assert [*without] == [name for name in BODY_MEMBERS if name != "context"]


def test_an_event_without_id_takes_the_new_one():
    draft = _draft(Event(type="t"))
    assert (draft.id, draft.id_is_new) == (ID, True)
    given_id = _draft(Event(type="t", id=ID.upper()))
    assert (given_id.id, given_id.id_is_new) == (ID, False)


@given(events, events, st.integers(0, 2**53 - 1))
def test_a_draft_knows_its_own_body_at_any_place_and_no_other_events(event, other, seq):
    draft = _draft(event)
    assert draft.is_told_by(draft.body(seq, TIME))
    assert draft.is_told_by(_draft(other).body(seq, TIME)) == (event == other)


@pytest.mark.parametrize(
    "change", [{"type": "u"}, {"actor": "b"}, {"payload": {"n": 2}}, {"context": {"n": 1}}, {"payload": {}}]
)
def test_a_draft_does_not_take_another_event_under_its_id_for_itself(change):
    members = {"type": "t", "actor": "a", "payload": {"n": 1}, "id": ID}
    assert not _draft(Event(**members)).is_told_by(_draft(Event(**members | change)).body(0, TIME))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"stream": "A"}, "not a stream name"),
        ({"id": "x"}, "not a UUID"),
        ({"type": ""}, "type must be"),
        ({"actor": ""}, "actor must be"),
        ({"payload": []}, "payload must be a JSON object, not list"),
        ({"payload": None}, "payload must be a JSON object"),
        ({"context": "x"}, "context must be a JSON object"),
        ({"payload": {"a": {1}}}, "payload: not a JSON value"),
        ({"context": {"a": float("nan")}}, "context: NaN"),
    ],
)
def test_an_event_with_a_wrong_member_makes_no_draft(change, error):
    with pytest.raises(InputError, match=error):
        _draft(Event(**{"type": "t"} | change))


def test_a_body_never_exceeds_the_limit():
    limits = Limits(max_body_bytes=400)
    longest = max(size for size in range(400) if _fits(size, limits))
    draft = _draft(Event(type="t", payload={"p": "x" * longest}), limits)
    assert 380 < len(draft.body(2**53 - 1, TIME)) <= 400


def _fits(size, limits):
    try:
        _draft(Event(type="t", payload={"p": "x" * size}), limits)
    except CanonicalError as refusal:
        return refusal.reason != "too-large"
    return True


@pytest.mark.parametrize("member", ["payload", "context"])
def test_payload_and_context_are_limited_in_depth(member):
    value = {"a": {"b": {}}}
    assert _draft(Event(type="t", **{member: value}), Limits(max_depth=3))
    with pytest.raises(CanonicalError) as caught:
        _draft(Event(type="t", **{member: value}), Limits(max_depth=2))
    assert caught.value.reason == "too-deep"
