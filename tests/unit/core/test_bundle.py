"""Proof bundles: what they prove, and that no part can be swapped."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest

from auditseal.core.bundle import MAX_BUNDLE_BYTES, Bundle, ProvenEntry, bundled_signer, format_bundle, parse_bundle
from auditseal.core.bundle_proof import verify_bundle
from auditseal.core.checkpoint import format_checkpoint
from auditseal.core.heads import HEADS_STREAM, HEADS_TYPE, Cover, HeadsRoot, check_cover, cover_texts
from auditseal.core.registered_signer import Status
from auditseal.core.validity import Bound
from auditseal.core.witness_policy import parse_policy
from auditseal.errors import (
    InputError,
    NotCheckedError,
    PolicyNotMetError,
    ProofInvalidError,
    RejectedError,
    SignatureInvalidError,
    SignerNotAllowedError,
    VerificationError,
)
from support.evidence import Key, SmallLog, Witness, registry_of

OLD, NEW = Key("audit-2025"), Key("audit-2026")
REGISTRY = registry_of(OLD, NEW)
WITNESS = Witness("witness.example/w1")
POLICY = parse_policy(f"witness w1 {WITNESS.key.vkey()}\nquorum w1\n")


def proven(log: SmallLog, seq: int, checkpoint: str, size: int | None = None) -> ProvenEntry:
    entry = log.entries[seq]
    return ProvenEntry(body=entry.body, prev_hash=entry.prev_hash, path=log.path(seq, size), checkpoint=checkpoint)


def direct(stream: str, key: Key, *, count: int = 9, seq: int = 4, witnesses=(WITNESS,)) -> Bundle:
    log = SmallLog(stream).append(*({"n": number, "in": stream} for number in range(count)))
    text = log.signed_text(key, witnesses=witnesses, time_s=1_780_000_100)
    return Bundle(entry=proven(log, seq, text), signer=bundled_signer(key.registered))


def covered(key: Key, streams: tuple[str, ...] = ("a", "b", "c"), pick: int = 1) -> Bundle:
    logs = [SmallLog(name).append({"in": name}, {"more": 1}, {"most": name}) for name in streams]
    texts = [format_checkpoint(log.checkpoint()) for log in logs]
    root, paths = cover_texts(texts)
    heads = SmallLog(HEADS_STREAM).append({"earlier": True})
    heads.append(root.to_payload(), type_=HEADS_TYPE).append({"later": True})
    return Bundle(
        entry=proven(logs[pick], 2, texts[pick]),
        signer=bundled_signer(key.registered),
        cover=Cover(seq=1, index=pick, count=len(texts), path=paths[pick]),
        heads=proven(heads, 1, heads.signed_text(key, witnesses=[WITNESS], time_s=1_780_000_100)),
    )


@pytest.mark.parametrize("bundle", [direct("main", OLD), direct("x/y", NEW, count=1, seq=0), covered(NEW)])
def test_a_bundle_proves_its_entry_alone(bundle: Bundle):
    read = parse_bundle(format_bundle(bundle))
    assert read == bundle
    proof = verify_bundle(read, REGISTRY, policy=POLICY)
    assert proof.body.payload == json.loads(bundle.entry.body)["payload"]
    assert proof.cosigned is not None
    assert proof.cosigned.times == {"w1": 1_780_000_100}
    assert verify_bundle(read, REGISTRY).cosigned is None


def parts(members: dict, where: tuple = ()):
    """Every path to a member, containers and leaves alike."""
    for name, value in members.items() if isinstance(members, dict) else enumerate(members):
        yield (*where, name)
        if isinstance(value, dict | list):
            yield from parts(value, (*where, name))


def get(members, where):
    for name in where:
        members = members[name]
    return members


def put(members, where, value):
    changed = json.loads(json.dumps(members))
    get(changed, where[:-1])[where[-1]] = value
    return changed


def swaps():
    """Each pair of bundles, and each part that differs between them."""
    bundles = {
        "old": direct("main", OLD),
        "new": direct("other", NEW),
        "later": direct("main", NEW, count=11, seq=5),
        "covered": covered(NEW),
        "covered-otherwise": covered(NEW, streams=("a", "b", "x", "y"), pick=2),
    }
    read = {name: json.loads(format_bundle(bundle)) for name, bundle in bundles.items()}
    for (one, mine), (two, theirs) in itertools.permutations(read.items(), 2):
        for where in parts(mine):
            try:
                other = get(theirs, where)
            except (KeyError, IndexError):
                continue
            if other != get(mine, where):
                yield pytest.param(mine, where, other, id=f"{one}-{'.'.join(map(str, where))}-of-{two}")


@pytest.mark.parametrize(("members", "where", "other"), list(swaps()))
def test_swapping_any_part_between_two_valid_bundles_fails(members, where, other):
    verify_bundle(parse_bundle(json.dumps(members).encode()), REGISTRY)
    swapped = put(members, where, other)
    with pytest.raises((VerificationError, InputError)):
        verify_bundle(parse_bundle(json.dumps(swapped).encode()), REGISTRY)


def test_swapping_every_pair_of_parts_at_once_fails_unless_it_is_the_other_bundle():
    mine = json.loads(format_bundle(direct("main", OLD)))
    theirs = json.loads(format_bundle(direct("main", NEW, count=11, seq=5)))
    names = [name for name in mine if mine[name] != theirs[name]]
    assert len(names) == 4
    for count in range(1, len(names)):
        for chosen in itertools.combinations(names, count):
            mixed = {**mine, **{name: theirs[name] for name in chosen}}
            with pytest.raises((VerificationError, InputError)):
                verify_bundle(parse_bundle(json.dumps(mixed).encode()), REGISTRY)


def test_a_cosignature_of_another_checkpoint_does_not_count():
    mine, theirs = direct("main", OLD), direct("main", OLD, count=11, seq=5)
    text, _, lines = mine.entry.checkpoint.partition("\n\n")
    own = lines.splitlines(keepends=True)
    foreign = theirs.entry.checkpoint.partition("\n\n")[2].splitlines(keepends=True)
    entry = dataclasses.replace(mine.entry, checkpoint=f"{text}\n\n{own[0]}{foreign[1]}")
    with pytest.raises(PolicyNotMetError) as refused:
        verify_bundle(dataclasses.replace(mine, entry=entry), REGISTRY, policy=POLICY)
    assert refused.value.missing == ("w1",)
    entry = dataclasses.replace(mine.entry, checkpoint=f"{text}\n\n{foreign[0]}{own[1]}")
    with pytest.raises(SignatureInvalidError):
        verify_bundle(dataclasses.replace(mine, entry=entry), REGISTRY, policy=POLICY)


def test_witnesses_that_were_asked_for_and_are_missing_fail_the_bundle():
    with pytest.raises(PolicyNotMetError):
        verify_bundle(direct("main", OLD, witnesses=()), REGISTRY, policy=POLICY)
    with pytest.raises(PolicyNotMetError):
        verify_bundle(direct("main", OLD), REGISTRY, policy=parse_policy("quorum none\n"))


def test_a_signer_that_the_registry_does_not_know_proves_nothing():
    bundle = direct("main", OLD)
    with pytest.raises(NotCheckedError):
        verify_bundle(bundle, registry_of(NEW))
    impostor = Key(OLD.signer_id)
    with pytest.raises(SignerNotAllowedError):
        verify_bundle(bundle, registry_of(impostor))


def test_a_signer_proves_only_entries_at_which_it_is_valid():
    bundle = direct("main", OLD)
    later = REGISTRY.with_changed(OLD.signer_id, valid_from=Bound(seq={"main": 5}))
    with pytest.raises(SignerNotAllowedError):
        verify_bundle(bundle, later)
    revoked = REGISTRY.with_changed(OLD.signer_id, status=Status.REVOKED)
    with pytest.raises(SignerNotAllowedError):
        verify_bundle(bundle, revoked)


def test_a_checkpoint_of_another_stream_or_with_more_lines_does_not_prove_the_entry():
    log = SmallLog("main").append({"a": 1}, {"b": 2})
    for text, error in (
        (format_checkpoint(log.checkpoint()).replace("audit/main", "audit/other"), ProofInvalidError),
        (format_checkpoint(log.checkpoint()) + "an extension\n", InputError),
    ):
        origin = text.split("\n", 1)[0]
        signed = f"{text}\n{OLD.sign(text, origin).line()}"
        bundle = Bundle(entry=proven(log, 1, signed), signer=bundled_signer(OLD.registered))
        with pytest.raises(error):
            verify_bundle(bundle, REGISTRY)


def test_a_cover_of_another_log_does_not_count():
    bundle = covered(NEW)
    assert bundle.heads is not None
    text, _, _ = bundle.heads.checkpoint.partition("\n\n")
    foreign = text.replace("example.com/audit", "example.org/audit") + "\n"
    signed = f"{foreign}\n{NEW.sign(foreign, foreign.split(chr(10), 1)[0]).line()}"
    with pytest.raises(ProofInvalidError):
        verify_bundle(dataclasses.replace(bundle, heads=dataclasses.replace(bundle.heads, checkpoint=signed)), REGISTRY)


def test_an_unsigned_checkpoint_in_a_bundle_proves_nothing():
    bundle = covered(NEW)
    with pytest.raises(InputError):
        verify_bundle(dataclasses.replace(bundle, cover=None, heads=None), REGISTRY)
    with pytest.raises(InputError):
        dataclasses.replace(bundle, cover=None)


GOOD = json.loads(format_bundle(direct("main", OLD)))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{}",
        b"[]",
        b"not json",
        b"\xff\xfe",
        format_bundle(direct("main", OLD))[:-20],
        b'{"bundle":1,"bundle":1}',
        json.dumps({**GOOD, "bundle": 2}).encode(),
        json.dumps({**GOOD, "bundle": True}).encode(),
        json.dumps({**GOOD, "more": 1}).encode(),
        json.dumps({**GOOD, "heads": None}).encode(),
        json.dumps({**GOOD, "heads": {}}).encode(),
        json.dumps({**GOOD, "path": ["AA=="] * 3}).encode(),
        json.dumps({**GOOD, "path": GOOD["path"][:1] * 64}).encode(),
        json.dumps({**GOOD, "path": "AA=="}).encode(),
        json.dumps({**GOOD, "checkpoint": 5}).encode(),
        json.dumps({**GOOD, "entry": {**GOOD["entry"], "prev_hash": "AB" * 32}}).encode(),
        json.dumps({**GOOD, "entry": {**GOOD["entry"], "prev_hash": "ab"}}).encode(),
        json.dumps({**GOOD, "entry": {**GOOD["entry"], "body": 1}}).encode(),
        json.dumps({**GOOD, "signer": {**GOOD["signer"], "publicKey": "%"}}).encode(),
        json.dumps({**GOOD, "signer": {**GOOD["signer"], "secret": "x"}}).encode(),
        b" " * (MAX_BUNDLE_BYTES + 1),
    ],
)
def test_what_is_no_bundle_is_refused_in_one_line(octets: bytes):
    with pytest.raises(InputError) as refused:
        parse_bundle(octets)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("size", ["99999999999999999999", str(2**63)])
def test_a_checkpoint_of_a_size_beyond_the_range_is_refused(size: str):
    members = {**GOOD, "checkpoint": GOOD["checkpoint"].replace("\n9\n", f"\n{size}\n")}
    with pytest.raises(InputError):
        verify_bundle(parse_bundle(json.dumps(members).encode()), REGISTRY)


def test_a_root_over_heads_is_read_as_it_was_written_and_binds_each_text():
    texts = [f"example.com/audit/s{number}\n1\nx\n" for number in range(7)]
    root, paths = cover_texts(texts)
    assert HeadsRoot.from_payload(root.to_payload()) == root
    for index, path in enumerate(paths):
        cover = Cover(seq=3, index=index, count=7, path=path)
        assert Cover.from_members(cover.to_members()) == cover
        check_cover(texts[index], cover, root)
        for other, broken in ((texts[index - 1], cover), (texts[index], dataclasses.replace(cover, count=8))):
            with pytest.raises(RejectedError):
                check_cover(other, broken, root)
    for payload in ({}, {"count": 0, "root": root.to_payload()["root"]}, {"count": "1", "root": "x"}):
        with pytest.raises(InputError):
            HeadsRoot.from_payload(payload)
    good = Cover(seq=3, index=0, count=7, path=paths[0]).to_members()
    for change in ({"seq": -1}, {"index": 2**53}, {"path": "x"}, {"path": ["x"]}, {"more": 1}, {"count": True}):
        with pytest.raises(InputError):
            Cover.from_members({**good, **change})
