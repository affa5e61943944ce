"""Drafts straight from texts: what parsing and drafting them gives, or nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.caller import Caller, Role
from auditseal.core.draft import Limits, make_draft
from auditseal.core.event import StreamName
from auditseal.core.quick_draft import quick_draft
from auditseal.errors import InputError
from auditseal.http.bodies import read_event

STREAM = StreamName("agents")
CALLER = Caller(name="token:tester", roles=frozenset(Role), streams=("*",))
NEW_ID = "01936f5e-7a10-7cc3-98c4-dc0c0c07398f"
GIVEN_ID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
SMALL = Limits(max_body_bytes=400, max_depth=3)


def quick(text: bytes, limits: Limits = SMALL):
    return quick_draft(text, STREAM, marks={"caller": CALLER.name}, new_id=NEW_ID, limits=limits)


def careful(text: bytes, limits: Limits = SMALL):
    try:
        return make_draft(read_event(text, STREAM, CALLER), new_id=NEW_ID, limits=limits)
    except InputError:
        return None


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"payload": {"a": [1, 0.25, True, None, 'é\n"x"']}},
        {"actor": "user:alice", "context": {"trace": "4bf9"}, "stream": "agents"},
        {"actor": None, "context": None, "id": None},
        {"id": GIVEN_ID},
        {"id": GIVEN_ID.upper()},
    ],
)
def test_a_usual_event_is_drafted_as_by_the_careful_way(members):
    text = json.dumps({"type": "agent.spawned", **members}).encode()
    draft = quick(text)
    assert draft is not None
    assert draft == careful(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'"type"',
        b'{"type": "a"',
        b"{}",
        b'{"type": "a", "type": "b"}',
        b'{"type": "a", "payload": {"x": 1, "x": 2}}',
        b'{"type": "a", "payload": {"\\u0022": 1}}',
        b'{"type": "a", "payload": []}',
        b'{"type": "a", "payload": null}',
        b'{"type": "a", "context": []}',
        b'{"type": "a", "context": false}',
        b'{"type": "a", "context": {"caller": "me"}}',
        b'{"type": "a", "stream": "others"}',
        b'{"type": "a", "stream": ["agents"]}',
        b'{"type": "a", "time": "2026-07-01T00:00:03.000120Z"}',
        b'{"type": "a", "id": "4711"}',
        b'{"type": "a", "id": 4711}',
        b'{"type": 1}',
        b'{"type": []}',
        b'{"type": "a\\u0000"}',
        b'{"type": "a", "actor": ""}',
        b'{"type": "a", "actor": {}}',
        b'{"type": "a", "payload": {"x": 9007199254740993}}',
        b'{"type": "a", "payload": {"x": 18446744073709551616}}',
        b'{"type": "a", "payload": {"x": 1e400}}',
        b'{"type": "a", "payload": {"x": "\\ud800"}}',
        b'{"type": "a", "payload": {"x": {"y": {"z": {}}}}}',
        b'{"type": "a", "payload": {"x": "%b"}}' % (b"y" * 300),
    ],
)
def test_what_is_wrong_or_unusual_is_left_to_the_careful_way(text):
    assert quick(text) is None


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("a") | _JSON,
        "payload": st.dictionaries(st.text(max_size=3), _JSON, max_size=3) | _JSON,
        "actor": st.text(max_size=5) | _JSON,
        "context": st.dictionaries(st.sampled_from(["caller", "trace", "\U0001f600", "\uff00"]), _JSON) | _JSON,
        "stream": st.sampled_from(["agents", "others", None]),
        "id": st.sampled_from([GIVEN_ID, GIVEN_ID.upper(), f"{{{GIVEN_ID}}}", "", None]),
        "other": _JSON,
    },
)


@given(_MEMBERS, st.booleans())
def test_the_quick_way_never_differs_from_the_careful_one(members, as_ascii):
    text = json.dumps(members, ensure_ascii=as_ascii).encode("utf-8", "surrogatepass")
    draft = quick(text)
    assert draft is None or draft == careful(text)
