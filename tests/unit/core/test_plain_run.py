"""Runs checked together say exactly what their entries, checked one by one, say."""

from __future__ import annotations

import hashlib
import json
from functools import partial

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.algorithm import parse_algorithm
from auditseal.core.entry_check import Trust
from auditseal.core.plain_run import is_plain_run, is_signed_run
from auditseal.core.registered_signer import RegisteredSigner, Status
from auditseal.core.registry import Registry
from auditseal.core.rotation_event import ROTATED
from auditseal.core.stored_rows import ENTRY_COLUMNS, SIGNATURE_COLUMNS, entries_of
from auditseal.core.tree_fold import TreeFold
from auditseal.core.validity import Bound
from auditseal.core.verify import Segment
from support.evidence import SmallLog

COUNT = 12
NONE = (None,) * len(SIGNATURE_COLUMNS)
KEYS = {"old": ed25519.Ed25519PrivateKey.generate(), "new": ed25519.Ed25519PrivateKey.generate()}
CURVE = ec.generate_private_key(ec.SECP256R1())


def _signer(signer_id, public_key, algorithm="ed25519", **how):
    return RegisteredSigner(signer_id=signer_id, algorithm=parse_algorithm(algorithm), public_key=public_key, **how)


SIGNERS = {name: _signer(name, key.public_key()) for name, key in KEYS.items()}
TRUST = Trust(registry=Registry(signers=tuple(SIGNERS.values())))


def _rows():
    payloads = [{"n": number, "cpu": 0.25, "tags": ["a", {"b": "ü"}]} for number in range(COUNT)]
    entries = SmallLog().append(*payloads).entries
    return [(*(getattr(entry, name) for name in ENTRY_COLUMNS), *NONE, entry.seq) for entry in entries]


def _signature(hash_, by="old"):
    return (by, "ed25519", KEYS[by].sign(hash_), hash_, "request", "2026-07-01T00:00:00.000000Z")


def _signed(rows):
    """The rows, each signed over the hash that stands there."""
    return [(*row[:9], *_signature(row[8]), row[15]) for row in rows]


def _chained(rows, first=0):
    """The rows with hashes made anew from one on, as somebody would who has no key."""
    done = list(rows[:first])
    for row in rows[first:]:
        prev = done[-1][8] if done else b""
        done.append((*row[:7], prev, hashlib.sha256(row[6] + prev).digest(), *row[9:]))
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


def _relinked(number):
    """The rows with a link at a place to nothing that is there, and all hashes right."""
    rows = _rows()
    row = rows[number]
    link = bytes(32)
    rows[number] = (*row[:7], link, hashlib.sha256(row[6] + link).digest(), *row[9:])
    return _chained(rows, number + 1)


def _members(**changes):
    def change(body):
        members = json.loads(body) | changes
        members = {name: value for name, value in members.items() if value is not ...}
        return json.dumps(members, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()

    return change


def _both(rows, trust=TRUST):
    one, other = Segment(trust), Segment(trust)
    for entry in entries_of(rows):
        one.add(entry)
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
    "a whole number as a float": lambda: _with_body(4, lambda body: body.replace(b"0.25", b"1.0")),
    "a float in orjson's form": lambda: _with_body(4, lambda body: body.replace(b"0.25", b"1e21")),
    "a seq that is a float, in both": lambda: _with_body(
        1, lambda body: body.replace(b'"seq":1', b'"seq":1.0'), columns={1: 1.0}),
    "a last time that is none": lambda: _with_body(COUNT - 1, _members(time="soon"), columns={3: "soon"}),
    "another link, hashed anew": lambda: _relinked(4),
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


@pytest.mark.parametrize("sign", [list, _signed], ids=["unsigned", "signed"])
@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_told_as_one_by_one(name: str, sign):
    rows = [(*row[:15], identity) for identity, row in enumerate(sign(ODD[name]()))]
    one, other = _both(rows)
    assert other == one
    assert other.findings or name in {"another column: stream", "two in another order"}  # which no rule forbids


def test_what_is_sound_is_taken_together_and_reported_alike():
    rows = _rows()
    assert is_plain_run("main", rows)
    one, other = _both(rows)
    assert other == one
    assert [finding.code for finding in one.findings] == ["unsigned"]


def test_signed_entries_are_taken_together_too_and_nothing_is_found(monkeypatch):
    rows = _signed(_rows())
    assert is_signed_run(rows, SIGNERS["old"])
    one, other = _both(rows)
    assert other == one
    assert (one.verdict, one.checked["signatures"]) == ("valid", COUNT)
    monkeypatch.setattr(Segment, "add", None)  # entries one by one are not needed
    Segment(TRUST).add_rows("main", rows)


def _other_signature(number, *values, at=9):
    """The signed log with other values in the signature's columns of one row."""
    rows = _signed(_rows())
    row = rows[number]
    rows[number] = (*row[:at], *values, *row[at + len(values) :])
    return rows


def _second(number, *, by="new", identity=None, hash_=None):
    """The signed log with a second row at one place."""
    rows = _signed(_rows())
    row = rows[number]
    twin = (*row[:8], hash_ or row[8], *_signature(row[8], by), row[15] if identity is None else identity)
    return [*rows[: number + 1], twin, *rows[number + 1 :]]


UNSOUND = {
    "no signature": lambda: _other_signature(4, *NONE),
    "no signature at the end": lambda: _other_signature(COUNT - 1, *NONE),
    "an unknown signer": lambda: _other_signature(4, "stranger"),
    "the other signer's name": lambda: _other_signature(4, "new"),
    "another algorithm": lambda: _other_signature(4, "rsa-sha256", at=10),
    "other bytes": lambda: _other_signature(4, bytes(64), at=11),
    "fewer bytes": lambda: _other_signature(4, bytes(63), at=11),
    "the next entry's signature": lambda: _other_signature(4, _signed(_rows())[5][11], at=11),
    "made for another hash": lambda: _other_signature(4, bytes(32), at=12),
    "two entries, one forged": lambda: _second(4, identity=99, hash_=bytes(32)),
    "two entries, alike": lambda: _second(4, identity=99),
    "a claim to hand over": lambda: _signed(_with_body(4, _members(type=ROTATED), columns={4: ROTATED})),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_what_is_wrong_with_a_signature_is_told_as_one_by_one(name: str):
    one, other = _both(UNSOUND[name]())
    assert other == one
    assert other.findings


SOUND = {
    "two signatures on one entry": lambda: _second(4),
    "two on the first": lambda: _second(0),
    "two on the last": lambda: _second(COUNT - 1),
    "another signer from one on": lambda: [
        row if row[1] < 5 else (*row[:9], *_signature(row[8], "new"), row[15]) for row in _signed(_rows())],
    "signers in turn": lambda: [
        row if row[1] % 2 else (*row[:9], *_signature(row[8], "new"), row[15]) for row in _signed(_rows())],
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_any_known_signers_may_take_turns(name: str):
    one, other = _both(SOUND[name]())
    assert other == one
    assert other.verdict == "valid"


RANGES = {
    "from the first": ({"valid_from": Bound(seq={"main": 0})}, True),
    "from the second": ({"valid_from": Bound(seq={"main": 1})}, False),
    "to the last": ({"valid_until": Bound(seq={"main": COUNT})}, True),
    "short of the last": ({"valid_until": Bound(seq={"main": COUNT - 1})}, False),
    "retired": ({"status": Status.RETIRED}, True),
    "revoked": ({"status": Status.REVOKED}, False),
    "announced": ({"status": Status.ANNOUNCED}, False),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_signer_must_be_valid_at_both_ends_of_a_run(name: str):
    how, valid = RANGES[name]
    signer = _signer("old", KEYS["old"].public_key(), **how)
    rows = _signed(_rows())
    assert is_signed_run(rows, signer) == valid
    one, other = _both(rows, Trust(registry=Registry(signers=(signer,))))
    assert other == one
    assert (other.verdict == "valid") == valid


def test_a_run_that_names_another_signer_is_not_sure():
    assert not is_signed_run(_other_signature(4, "new"), SIGNERS["old"])


@pytest.mark.parametrize("change", [lambda signature: signature, lambda signature: signature + b"\0"])
def test_a_signature_on_the_curve_must_be_in_its_one_form(change):
    signer = _signer("curve", CURVE.public_key(), "ecdsa-p256-sha256")
    sign = partial(CURVE.sign, signature_algorithm=ec.ECDSA(Prehashed(hashes.SHA256())))
    rows = [
        (*row[:9], "curve", signer.algorithm.id, change(sign(row[8])), row[8], None, None, row[15]) for row in _rows()
    ]
    one, other = _both(rows, Trust(registry=Registry(signers=(signer,))))
    assert other == one
    assert is_signed_run(rows, signer) == (other.verdict == "valid") == (change(b"") == b"")


def test_a_mac_whose_key_is_elsewhere_is_not_sure():
    signer = RegisteredSigner(signer_id="old", algorithm=parse_algorithm("hmac-sha256"), key_arn="arn:aws:kms:x")
    assert not is_signed_run(_signed(_rows()), signer)


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
    for entry in entries_of(rows):
        whole.add(entry)
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
