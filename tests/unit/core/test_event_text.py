import pytest

from auditseal.core.event import Event
from auditseal.core.event_text import parse_event
from auditseal.errors import CanonicalError, InputError


def test_an_event_needs_a_type_alone():
    assert parse_event(b'{"type":"t"}', "s") == Event(type="t", stream="s")


def test_all_that_a_caller_may_set_is_read():
    text = b'{"type":"t","payload":{"n":1},"actor":"a","stream":"own","id":"i","context":{"trace":"x"}}'
    expected = Event(type="t", payload={"n": 1}, actor="a", stream="own", id="i", context={"trace": "x"})
    assert parse_event(text, "s") == expected


@pytest.mark.parametrize("name", ["time", "seq", "v"])
def test_what_the_log_sets_cannot_be_given(name):
    with pytest.raises(InputError, match=f"no member '{name}': the log sets it"):
        parse_event(b'{"type":"t","%b":1}' % name.encode(), "s")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"[]", "an event is a JSON object"),
        (b'"t"', "an event is a JSON object"),
        (b"{}", "has no type"),
        (b'{"type":"t","colour":"red"}', "put what is yours into payload"),
    ],
)
def test_what_is_no_event_is_refused_with_what_to_do(text, error):
    with pytest.raises(InputError, match=error):
        parse_event(text, "s")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not-json"),
        (b'{"type":"t"', "not-json"),
        (b'{"type":"t","type":"u"}', "duplicate-key"),
        (b'{"type":"\\ud800"}', "lone-surrogate"),
        (b'{"type":"t","payload":{"n":9007199254740993}}', "integer-out-of-range"),
    ],
)
def test_json_that_readers_could_take_differently_is_refused(text, reason):
    with pytest.raises(CanonicalError) as caught:
        parse_event(text, "s")
    assert caught.value.reason == reason
