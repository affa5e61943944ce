"""Witness policies and the rules by which a witness cosigns; the C2SP proof text."""

from __future__ import annotations

import pytest

from auditseal.core.merkle import EMPTY_ROOT
from auditseal.core.merkle_proof import consistency_proof, verify_inclusion
from auditseal.core.note import Note, parse_note
from auditseal.core.scalar import format_base64
from auditseal.core.tlog_proof import TlogProof, format_tlog_proof, parse_tlog_proof
from auditseal.core.witness_policy import MAX_GROUPS, parse_policy
from auditseal.core.witness_rules import (
    AddCheckpoint,
    StaleError,
    check_growth,
    format_add_checkpoint,
    parse_add_checkpoint,
)
from auditseal.errors import InputError, PolicyNotMetError, ProofInvalidError
from support.evidence import Key, SmallLog, Witness

KEY = Key("audit-2026")
LOG = SmallLog().append(*({"n": number} for number in range(7)))
WITNESSES = {name: Witness(f"{name}.example/w") for name in ("a", "b", "c", "d")}
LINES = "".join(f"witness {name} {witness.key.vkey()}\n" for name, witness in WITNESSES.items())


def cosigned(*names: str, time_s: int = 1000) -> Note:
    return LOG.note(KEY, witnesses=[WITNESSES[name] for name in names], time_s=time_s)


@pytest.mark.parametrize(
    ("rest", "enough", "too_few"),
    [
        ("quorum a", ["a", "ab"], ["", "bcd"]),
        ("group g any a b\nquorum g", ["a", "b", "ab"], ["", "cd"]),
        ("group g all a b\nquorum g", ["ab", "abcd"], ["", "a", "acd"]),
        ("group g 2 a b c\nquorum g", ["ab", "bc", "abc"], ["", "a", "ad"]),
        ("group g 1 a b\ngroup h all c g\nquorum h", ["ac", "bc"], ["ab", "c", "cd"]),
    ],
)
def test_a_quorum_counts_distinct_witnesses(rest: str, enough: list[str], too_few: list[str]):
    policy = parse_policy(f"# ours\n\n{LINES}{rest}\n")
    for names in enough:
        assert set(policy.require(cosigned(*names)).times) == set(names)
    for names in too_few:
        with pytest.raises(PolicyNotMetError) as refused:
            policy.require(cosigned(*names))
        assert refused.value.missing


def test_a_policy_that_asks_for_nobody_is_met_by_nobody():
    policy = parse_policy(f"{LINES}quorum none\n")
    with pytest.raises(PolicyNotMetError):
        policy.require(cosigned("a", "b", "c", "d"))


def test_a_wrong_cosignature_is_named_and_does_not_count():
    policy = parse_policy(f"{LINES}group g 1 a b\nquorum g\n")
    other = SmallLog("other").append({"x": 1}).note(KEY, witnesses=[WITNESSES["a"]], time_s=5)
    note = Note(text=LOG.note(KEY).text, signatures=(other.signatures[1], *cosigned("b").signatures))
    found = policy.evaluate(note)
    assert found.wrong == ("a",)
    assert found.met
    assert set(found.times) == {"b"}


def test_the_latest_time_of_a_witness_counts():
    policy = parse_policy(f"{LINES}quorum a\n")
    note = cosigned("a", time_s=7).with_signatures(cosigned("a", time_s=9).signatures)
    assert policy.require(note).times == {"a": 9}


@pytest.mark.parametrize(
    "text",
    [
        "",
        LINES,
        f"{LINES}quorum x",
        f"{LINES}quorum a\nquorum b",
        f"{LINES}group g 0 a\nquorum g",
        f"{LINES}group g 3 a b\nquorum g",
        f"{LINES}group g 1 x\nquorum g",
        f"{LINES}group g 1 a a\nquorum g",
        f"{LINES}group g 1 a\ngroup h 1 a\nquorum h",
        f"{LINES}group a 1 b\nquorum a",
        f"{LINES}group none 1 b\nquorum none",
        f"{LINES}group g -1 b\nquorum g",
        f"{LINES}{LINES}quorum a",
        f"{LINES}witness e {WITNESSES['a'].key.vkey()}\nquorum e",
        f"witness a {KEY.signer_id}\nquorum a",
        f"{LINES}witness e {WITNESSES['a'].key.vkey()} ftp://x\nquorum a",
        f"{LINES}quorum a b",
        f"{LINES}quorums a",
        "#" * (256 * 1024 + 1),
        LINES + "".join(f"group g{n} 1 {f'g{n - 1}' if n else 'a'}\n" for n in range(MAX_GROUPS + 1)) + "quorum g0",
    ],
)
def test_a_policy_that_could_be_misread_is_refused(text: str):
    with pytest.raises(InputError) as refused:
        parse_policy(text)
    assert "\n" not in str(refused.value)


def request(old: int, size: int, note: Note | None = None, proof=None) -> AddCheckpoint:
    made = consistency_proof(old, size, LOG.read_node) if proof is None else proof
    return AddCheckpoint(old_size=old, proof=tuple(made), note=note or LOG.note(KEY, size=size))


def test_a_request_is_read_as_it_was_written():
    one = request(3, 7)
    assert parse_add_checkpoint(format_add_checkpoint(one)) == one
    assert format_add_checkpoint(request(0, 1)).startswith(b"old 0\n\nexample.com/audit/main\n1\n")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"old 0\n",
        format_add_checkpoint(request(3, 7)).replace(b"old 3", b"old 03"),
        format_add_checkpoint(request(3, 7)).replace(b"old 3", b"new 3"),
        format_add_checkpoint(request(3, 7)).replace(b"old 3", b"old 8"),
        format_add_checkpoint(request(3, 7)).replace(b"old 3\n", b"old 3\n" + b"QQ==\n"),
        format_add_checkpoint(request(3, 7)).replace(b"old 3\n", b"old 3\n" + b"A" * 43 + b"=\n" * 1),
        b"old 0\n" + (b"A" * 43 + b"=\n") * 64 + b"\n" + format_add_checkpoint(request(0, 1))[7:],
        format_add_checkpoint(request(3, 7)).replace(b"old 3", "old \u0663".encode()),
        b"x" * (2 * 1024 * 1024 + 8 * 1024 + 1),
    ],
)
def test_a_request_of_another_form_is_refused(octets: bytes):
    if octets.startswith(b"old 3\nAAAA"):
        with pytest.raises(ProofInvalidError):
            check_growth(parse_add_checkpoint(octets), LOG.checkpoint(3))
        return
    with pytest.raises(InputError):
        parse_add_checkpoint(octets)


def test_a_witness_follows_only_what_extends_what_it_saw():
    check_growth(request(0, 7), None)
    check_growth(request(3, 7), LOG.checkpoint(3))
    check_growth(request(7, 7), LOG.checkpoint(7))
    with pytest.raises(StaleError) as stale:
        check_growth(request(3, 7), LOG.checkpoint(4))
    assert stale.value.size == 4
    with pytest.raises(StaleError) as stale:
        check_growth(request(3, 7), None)
    assert stale.value.size == 0
    other = SmallLog().append(*({"other": number} for number in range(7)))
    for bad, last in (
        (request(3, 7, note=other.note(KEY)), LOG.checkpoint(3)),
        (request(7, 7, note=other.note(KEY)), LOG.checkpoint(7)),
        (request(3, 7, proof=()), LOG.checkpoint(3)),
        (request(0, 7, proof=[bytes(32)]), None),
        (request(7, 7, proof=[bytes(32)]), LOG.checkpoint(7)),
    ):
        with pytest.raises(ProofInvalidError):
            check_growth(bad, last)


def test_an_empty_tree_has_one_root():
    text = "example.com/audit/main\n0\n{}\n"
    for root, good in ((EMPTY_ROOT, True), (bytes(32), False)):
        whole = text.format(format_base64(root))
        note = Note(text=whole, signatures=(KEY.sign(whole, LOG.origin),))
        one = AddCheckpoint(old_size=0, proof=(), note=note)
        if good:
            check_growth(one, None)
        else:
            with pytest.raises(ProofInvalidError):
                check_growth(one, None)


def test_a_proof_text_is_the_specification_s_form_and_proves_its_leaf():
    proof = TlogProof(index=5, path=LOG.path(5), note=LOG.note(KEY), extra=b"\x00hello")
    octets = format_tlog_proof(proof)
    assert octets.startswith(b"c2sp.org/tlog-proof@v1\nextra AGhlbGxv\nindex 5\n")
    read = parse_tlog_proof(octets)
    assert read == proof
    verify_inclusion(LOG.leaves[5], read.index, 7, read.path, LOG.checkpoint().root)
    assert parse_note(octets.partition(b"\n\n")[2]) == proof.note


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"@v1", b"@v2"),
        (b"index 5", b"index 05"),
        (b"index 5\n", b""),
        (b"index 5\n", b"index 5\nindex 5\n"),
        (b"\n\nexample", b"\nexample"),
        (b"index 5\n", b"extra QQ==\nextra QQ==\nindex 5\n"),
        (b"index 5\n", b"extra QR==\nindex 5\n"),
        (b"index 5\n", b"index 5\n" + (b"A" * 43 + b"=\n") * 64),
        (b"index 5", b"index 9223372036854775808"),
    ],
)
def test_a_proof_text_of_another_form_is_refused(old: bytes, new: bytes):
    octets = format_tlog_proof(TlogProof(index=5, path=LOG.path(5), note=LOG.note(KEY)))
    assert old in octets
    with pytest.raises(InputError):
        parse_tlog_proof(octets.replace(old, new, 1))
