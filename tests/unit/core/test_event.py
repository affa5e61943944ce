from uuid import UUID

import pytest

from auditseal.core.event import body_from, check_id, check_name, check_stream, parse_body
from auditseal.errors import InputError

ID = "01936f5e-0000-7000-8000-000000000001"
TIME = "2026-07-01T00:00:03.000120Z"


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
