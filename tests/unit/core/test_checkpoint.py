"""Checkpoint texts, their origins, cosignature messages, and what a checkpoint's entry promises."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.checkpoint import (
    Checkpoint,
    check_log_origin,
    format_checkpoint,
    log_origin_of,
    parse_checkpoint,
    stream_origin,
)
from auditseal.core.cosignature import TimedSignature, ed25519_message, ml_dsa_44_message
from auditseal.core.promise import Promise, check_promise
from auditseal.core.scalar import parse_base64, parse_decimal
from auditseal.core.times import Micros
from auditseal.errors import ChainBrokenError, InputError

ROOT = bytes(range(32))
ROOT_TEXT = base64.b64encode(ROOT).decode()
TEXT = f"example.com/audit/main\n42\n{ROOT_TEXT}\n"
ONE = Checkpoint(origin="example.com/audit/main", size=42, root=ROOT)
PROMISE = Promise(size=42, signer="audit-2026", next_by=Micros(1_767_225_600_000_000), previous=(17, ROOT))


def test_a_checkpoint_is_three_lines():
    assert format_checkpoint(ONE) == TEXT
    assert parse_checkpoint(TEXT) == ONE


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_every_checkpoint_is_read_as_it_was_written(size: int, root: bytes):
    one = Checkpoint(origin="example.com/a", size=size, root=root)
    assert parse_checkpoint(format_checkpoint(one)) == one


def test_extension_lines_of_others_are_read_and_never_written():
    read = parse_checkpoint(TEXT + "more\n")
    assert read.extensions == ("more",)
    with pytest.raises(InputError):
        format_checkpoint(read)


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        "example.com/a\n42\n",
        TEXT.replace("42", "042"),
        TEXT.replace("42", "+42"),
        TEXT.replace("42", "42 "),
        TEXT.replace("42", "-1"),
        TEXT.replace("42", str(2**63)),
        TEXT.replace("42", "9" * 400),
        TEXT.replace("42", "\u0664\u0662"),
        TEXT.replace(ROOT_TEXT, ROOT_TEXT[:-1]),
        TEXT.replace(ROOT_TEXT, ROOT_TEXT[:-4]),
        TEXT.replace(ROOT_TEXT, ROOT_TEXT + "AAAA"),
        TEXT.replace("example.com/audit/main", ""),
        TEXT + "\n",
        TEXT + "a\n\n",
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(text: str):
    with pytest.raises(InputError) as refused:
        parse_checkpoint(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_stream_s_origin_names_log_and_stream():
    assert stream_origin("example.com/audit", "agent-manager") == "example.com/audit/agent-manager"
    assert log_origin_of("example.com/audit/a/b", "a/b") == "example.com/audit"
    with pytest.raises(InputError):
        log_origin_of("example.com/audit/a", "b")
    for origin in ("", "a b", "a/", "a+b", "x" * 127):
        with pytest.raises(InputError):
            check_log_origin(origin)


def test_the_messages_of_cosigners_are_the_bytes_of_the_specification():
    assert ed25519_message(TEXT, 1679315147) == b"cosignature/v1\ntime 1679315147\n" + TEXT.encode()
    message = ml_dsa_44_message("witness.example/w1", ONE, 1679315147)
    # label (12) | name length and name | time | origin length and origin | start | end | root
    assert message.hex() == (
        "737562747265652f76310a00"
         "12" + b"witness.example/w1".hex()
        + "0000000064185" + "0cb"
        + "16" + b"example.com/audit/main".hex()
        + "0000000000000000"
        + "000000000000002a"
        + ROOT.hex()
    )  # fmt: skip
    for time_s in (-1, 2**63):
        with pytest.raises(InputError):
            ed25519_message(TEXT, time_s)
        with pytest.raises(InputError):
            ml_dsa_44_message("w", ONE, time_s)
    with pytest.raises(InputError):
        ml_dsa_44_message("w" * 256, ONE, 0)


def test_a_timed_signature_is_a_time_and_a_signature():
    timed = TimedSignature(time_s=7, signature=b"sig")
    assert timed.to_bytes() == b"\0\0\0\0\0\0\0\x07sig"
    assert TimedSignature.from_bytes(timed.to_bytes()) == timed
    for octets in (b"", bytes(8), b"\xff" * 8 + b"s"):
        with pytest.raises(InputError):
            TimedSignature.from_bytes(octets)


def test_a_promise_is_read_from_the_payload_that_it_makes():
    payload = PROMISE.to_payload()
    assert payload == {
        "next_by": "2026-01-01T00:00:00.000000Z",
        "previous": {"root": ROOT_TEXT, "size": 17},
        "signer": "audit-2026",
        "size": 42,
    }
    assert Promise.from_payload(payload) == PROMISE
    first = Promise(size=1, signer="s", next_by=None, previous=None)
    assert Promise.from_payload(first.to_payload()) == first


@pytest.mark.parametrize(
    "change",
    [
        {"size": "42"},
        {"size": True},
        {"size": 0},
        {"size": 2**53},
        {"signer": ""},
        {"signer": 3},
        {"next_by": "2026-01-01"},
        {"next_by": 5},
        {"previous": {"size": 17}},
        {"previous": {"size": 42, "root": ROOT_TEXT}},
        {"previous": {"size": 0, "root": ROOT_TEXT}},
        {"previous": {"size": 17, "root": "x"}},
        {"previous": [17, ROOT_TEXT]},
        {"more": 1},
    ],
)
def test_a_payload_that_is_no_promise_is_refused(change: dict):
    with pytest.raises(InputError):
        Promise.from_payload({**PROMISE.to_payload(), **change})


def test_a_promise_holds_for_one_place_one_checkpoint_and_one_before_it():
    before = Checkpoint(origin=ONE.origin, size=17, root=ROOT)
    check_promise(PROMISE, seq=41, checkpoint=ONE, previous=before)
    other = Checkpoint(origin=ONE.origin, size=43, root=ROOT)
    for seq, checkpoint, previous in (
        (42, ONE, before),
        (41, other, before),
        (41, ONE, None),
        (41, ONE, Checkpoint(origin=ONE.origin, size=17, root=bytes(32))),
    ):
        with pytest.raises(ChainBrokenError):
            check_promise(PROMISE, seq=seq, checkpoint=checkpoint, previous=previous)


def test_a_number_and_base64_have_one_form():
    assert parse_decimal(str(2**63 - 1), "it") == 2**63 - 1
    for text in ("", "00", "1_0", "1\n", " 1"):
        with pytest.raises(InputError):
            parse_decimal(text, "it")
    for text in ("QQ", "QR==", "Q Q=", "QQ==\n", "QQ==QQ==", "Q-==", "\u00e9"):
        with pytest.raises(InputError):
            parse_base64(text, "it")
