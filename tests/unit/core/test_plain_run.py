"""Runs checked together say exactly what their entries, checked one by one, say."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.plain_run import is_plain_run, stored_entry
from auditseal.core.registry import Registry
from auditseal.core.tree_fold import TreeFold
from auditseal.core.verify import Segment, Trust
from support.evidence import SmallLog

COUNT = 12
COLUMNS = ("stream", "seq", "id", "time", "type", "actor", "body", "prev_hash", "hash")
TRUST = Trust(registry=Registry(signers=()))


def _rows():
    payloads = [{"n": number, "cpu": 0.25, "tags": ["a", {"b": "ü"}]} for number in range(COUNT)]
    return [tuple(getattr(entry, name) for name in COLUMNS) for entry in SmallLog().append(*payloads).entries]


def _chained(rows, first=0):
    """The rows with hashes made anew from one on, as somebody would who has no key."""
    done = list(rows[:first])
    for row in rows[first:]:
        prev = done[-1][8] if done else b""
        done.append((*row[:7], prev, hashlib.sha256(row[6] + prev).digest()))
    return done


def _with_body(number, change, *, columns=None):
    """Another body at a place, with all hashes right."""
    rows = _rows()
    row = list(rows[number])
    row[6] = change(row[6])
    for index, value in (columns or {}).items():
        row[index] = value
    rows[number] = tuple(row)
    return _chained(rows, number)


def _members(**changes):
    def change(body):
        members = json.loads(body) | changes
        members = {name: value for name, value in members.items() if value is not ...}
        return json.dumps(members, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()

    return change


def _both(rows):
    one, other = Segment(TRUST), Segment(TRUST)
    for row in rows:
        one.add(stored_entry(row))
    other.add_rows("main", rows)
    return one.report("x"), other.report("x")


def _edited(number, column, value):
    rows = _rows()
    rows[number] = (*rows[number][:column], value, *rows[number][column + 1 :])
    return rows


ODD = {
    "white space": lambda: _with_body(4, lambda body: body.replace(b":", b": ")),
    "a member twice": lambda: _with_body(4, lambda body: body.replace(b'"v":1', b'"v":1,"v":1')),
    "members in another order": lambda: _with_body(4, lambda body: b'{"v":1,' + body[1:].replace(b',"v":1', b"")),
    "a seq that is a float": lambda: _with_body(1, lambda body: body.replace(b'"seq":1', b'"seq":1.0')),
    "a seq that is true": lambda: _with_body(1, lambda body: body.replace(b'"seq":1', b'"seq":true')),
    "a version that is true": lambda: _with_body(4, lambda body: body.replace(b'"v":1', b'"v":true')),
    "another version": lambda: _with_body(4, _members(v=2)),
    "an unknown member": lambda: _with_body(4, _members(more=1)),
    "a missing member": lambda: _with_body(4, _members(payload=...)),
    "a payload that is a list": lambda: _with_body(4, _members(payload=[])),
    "an empty context": lambda: _with_body(4, _members(context=None)),
    "a number in a longer form": lambda: _with_body(4, lambda body: body.replace(b"0.25", b"0.250")),
    "an integer no reader holds": lambda: _with_body(4, _members(payload={"n": 2**60})),
    "names beyond the BMP": lambda: _with_body(
        4, _members(payload={"\ue000": 1, "\U00010000": 1})),
    "not JSON": lambda: _with_body(4, lambda body: body[:-1]),
    "not an object": lambda: _with_body(4, lambda _: b"[]"),
    "a text": lambda: _with_body(4, lambda _: b'"payload"'),
    "half a surrogate": lambda: _with_body(4, lambda body: body.replace(b'"a"', b'"\\ud800"')),
    "a time that is none": lambda: _with_body(4, _members(time="soon"), columns={3: "soon"}),
    "a day that does not exist": lambda: _with_body(
        4, _members(time="2026-02-30T00:00:00.000000Z"), columns={3: "2026-02-30T00:00:00.000000Z"}),
    "a time that runs back": lambda: _with_body(
        4, _members(time="2020-01-01T00:00:00.000000Z"), columns={3: "2020-01-01T00:00:00.000000Z"}),
    "another stream in the body": lambda: _with_body(4, _members(stream="other")),
    "an id that is a number, in both": lambda: _with_body(4, _members(id=5), columns={2: 5}),
    "an actor that is a list": lambda: _with_body(4, _members(actor=[])),
    "another column: id": lambda: _edited(4, 2, "x"),
    "another column: time": lambda: _edited(4, 3, "2026-07-01T00:00:00.000000Z"),
    "another column: type": lambda: _edited(4, 4, "x"),
    "another column: actor": lambda: _edited(4, 5, "x"),
    "another column: stream": lambda: _edited(0, 0, "main"),
    "another body": lambda: _edited(4, 6, _rows()[5][6]),
    "another link": lambda: _edited(4, 7, bytes(32)),
    "no link": lambda: _edited(4, 7, b""),
    "a first entry with a link": lambda: _edited(0, 7, bytes(32)),
    "another hash": lambda: _edited(4, 8, bytes(32)),
    "the last hash": lambda: _edited(COUNT - 1, 8, bytes(32)),
    "a gap": lambda: _rows()[:4] + _rows()[6:],
    "no beginning": lambda: _rows()[3:],
    "one twice": lambda: _rows()[:5] + _rows()[4:],
    "two in another order": lambda: [*_rows()[:4], _rows()[5], _rows()[4], *_rows()[6:]],
    "a number below zero": lambda: [(*_rows()[0][:1], -1, *_rows()[0][2:]), *_rows()],
    "an announcement that is none": lambda: _with_body(
        4, _members(type="auditseal.checkpoint"), columns={4: "auditseal.checkpoint"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_told_as_one_by_one(name: str):
    rows = ODD[name]()
    one, other = _both(rows)
    assert other == one
    assert other.findings or name == "another column: stream"


def test_what_is_sound_is_taken_together_and_reported_alike():
    rows = _rows()
    assert is_plain_run("main", rows)
    one, other = _both(rows)
    assert other == one
    assert [finding.code for finding in one.findings] == ["unsigned"]


@pytest.mark.parametrize("context", [{"trace": "0af7651916cd43dd"}, {}])
def test_a_context_is_taken_as_well(context):
    rows = _with_body(4, _members(context=context))
    assert is_plain_run("main", rows)
    assert not is_plain_run("main", _with_body(4, _members(context={"x": 1e21})))
    one, other = _both(rows)
    assert other == one


def test_a_run_of_another_stream_or_of_text_for_bytes_is_not_sure():
    assert not is_plain_run("other", _rows())
    assert not is_plain_run("main", [(*row[:6], row[6].decode(), *row[7:]) for row in _rows()])


@given(cuts=st.lists(st.integers(1, COUNT - 1), unique=True).map(sorted), sizes=st.frozensets(st.integers(1, COUNT)))
def test_lists_and_parts_of_any_length_come_to_the_same(cuts: list[int], sizes: frozenset[int]):
    rows = _rows()
    whole = Segment(TRUST, {"main": sizes})
    for row in rows:
        whole.add(stored_entry(row))
    listed, joined = Segment(TRUST, {"main": sizes}), Segment(TRUST, {"main": sizes})
    for first, end in zip([0, *cuts], [*cuts, COUNT], strict=True):
        listed.add_rows("main", rows[first:end])
        part = Segment(TRUST, {"main": sizes})
        part.add_rows("main", rows[first:end])
        joined.join(part)
    expected = whole.report("x")
    assert listed.report("x") == expected
    assert joined.report("x") == expected
    marks = _marks(whole)
    assert sizes <= set(marks)
    for other in (listed, joined):
        found = _marks(other)
        assert {size: found.get(size) for size in sizes} == {size: marks[size] for size in sizes}


def _marks(segment):
    return TreeFold("main", segment._streams["main"].tree).marks
