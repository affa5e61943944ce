from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.canonical import is_canonical
from auditseal.core.event import (
    Event,
    Limits,
    Micros,
    body_from,
    check_id,
    check_name,
    check_stream,
    format_time,
    instant,
    make_draft,
    parse_body,
    parse_time,
)
from auditseal.errors import CanonicalError, InputError

ID = "01936f5e-0000-7000-8000-000000000001"
TIME = "2026-07-01T00:00:03.000120Z"
BODY_MEMBERS = ("actor", "context", "id", "payload", "seq", "stream", "time", "type", "v")
LIMITS = Limits()
_MAX_MICROS = 253_402_300_799_999_999

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


def _members(**changes):
    members = {
        "actor": None,
        "id": ID,
        "payload": {},
        "seq": 0,
        "stream": "s",
        "time": TIME,
        "type": "t",
        "v": 1,
    }
    return {name: value for name, value in (members | changes).items() if value is not ...}


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


@pytest.mark.parametrize("name", ["a", "a" * 128, "agents/build-7_x.y"])
def test_stream_names_are_taken(name):
    assert check_stream(name) == name


@pytest.mark.parametrize("name", ["", "a" * 129, "A", "ü", "a b", "a\n", "a\0", "٣", None, 7, b"a"])
def test_other_stream_names_are_refused(name):
    with pytest.raises(InputError, match="not a stream name"):
        check_stream(name)


def test_an_id_is_brought_into_lower_case():
    assert check_id(ID.upper()) == ID


@pytest.mark.parametrize(
    "text", ["", "x", ID[:-1], ID + "0", f"{{{ID}}}", f"urn:uuid:{ID}", ID.replace("-", ""), f" {ID}", None, UUID(ID)]
)
def test_what_is_not_the_usual_form_of_a_uuid_is_no_id(text):
    with pytest.raises(InputError, match="not a UUID"):
        check_id(text)


@pytest.mark.parametrize("text", ["a", "a" * 256, "Jürgen 😀", "a b"])
def test_names_are_taken(text):
    check_name("type", text)


@pytest.mark.parametrize("text", ["", "a" * 257, "a\nb", "\x7f", "a\x85", "\ud800", None, 1])
@pytest.mark.parametrize("member", ["type", "actor"])
def test_other_names_are_refused_with_the_member(member, text):
    with pytest.raises(InputError, match=f"^{member} must be"):
        check_name(member, text)


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


def test_stored_members_are_read():
    assert body_from(_members()).context is None
    assert body_from(_members(context={"a": 1}, actor="x")).actor == "x"


@pytest.mark.parametrize(
    "members",
    [
        None,
        [],
        {},
        _members(v=2),
        _members(v=True),
        _members(v=1.0),
        _members(v="1"),
        _members(v=...),
        _members(seq=-1),
        _members(seq=0.0),
        _members(seq=True),
        _members(seq="0"),
        _members(actor=...),
        _members(actor=..., other=None),
        _members(type=None),
        _members(payload=[]),
        _members(context=None),
        _members(extra=1),
        _members(id=1),
        _members(stream=...),
        _members(time=0),
        _members(time="2026-07-01T00:00:03Z"),
        _members(time="2026-07-01T00:00:03.000120+00:00"),
        _members(time="2026-02-30T00:00:03.000120Z"),
        _members(time="2026-07-01T24:00:00.000000Z"),
        _members(time="2026-07-01T23:59:60.000000Z"),
        _members(time=TIME + "\n"),
    ],
    ids=repr,
)
def test_stored_members_of_another_form_are_refused(members):
    with pytest.raises(InputError):
        body_from(members)


def test_a_body_that_is_not_json_is_refused():
    with pytest.raises(InputError, match="not JSON"):
        parse_body(b"{")


@given(st.integers(0, _MAX_MICROS))
def test_a_time_reads_back_and_sorts_as_text(micros):
    text = format_time(Micros(micros))
    assert parse_time(text) == micros
    assert datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(microseconds=micros)
    assert format_time(Micros(max(micros - 1, 0))) <= text


@pytest.mark.parametrize("micros", [-1, -62_135_596_800_000_000, _MAX_MICROS + 1, 10**30])
def test_a_time_outside_of_the_years_1970_to_9999_is_refused(micros):
    with pytest.raises(InputError, match="no time between"):
        format_time(Micros(micros))


@pytest.mark.parametrize("text", ["", "now", "2026-07-01", "2026-07-01T00:00:03Z", "2026-13-01T00:00:00.000000Z"])
def test_only_the_form_of_bodies_is_parsed_as_a_time(text):
    with pytest.raises(InputError, match="not a time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2026-07-01", "2026-07-01T00:00:00.000000Z"),
        ("2026-07-01T02:00:03.00012+02:00", TIME),
        ("2026-07-01T00:00:03Z", "2026-07-01T00:00:03.000000Z"),
    ],
)
def test_a_time_as_people_write_it_is_brought_into_the_form_of_bodies(text, form):
    assert instant(text) == form


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "1969-12-31"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InputError):
        instant(text)
