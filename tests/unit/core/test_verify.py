"""One test for each finding that a walk through a log can make, and that nothing passes unnoticed."""

import base64
import hashlib
import pickle
from dataclasses import replace
from itertools import pairwise

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.chain import entry_hash
from auditseal.core.entry import StoredEntry, StoredSignature
from auditseal.core.entry_check import Trust
from auditseal.core.registered_signer import Status
from auditseal.core.registry import Registry
from auditseal.core.report import Code, Verdict
from auditseal.core.validity import Bound
from auditseal.core.verify import Segment
from auditseal.errors import NotCheckedError, RejectedError, SignatureInvalidError, SignerError
from support.chains import make_entries, make_log, stored
from support.keys import SECRET, WITH_PUBLIC_KEY, sign, signer

ED25519 = AlgorithmId.ED25519
REGISTRY = Registry(signers=(signer(ED25519),))


def _verify(entries, registry=REGISTRY, *, mac_rules=None, expected_streams=(), batch=2):
    trust = Trust(registry=registry, mac_rules=mac_rules or {})
    whole = Segment(trust)
    for start in range(0, len(entries), batch):
        segment = Segment(trust)
        for entry in entries[start : start + batch]:
            segment.add(entry)
        whole.join(pickle.loads(pickle.dumps(segment.closed())))
    return whole.report("log", expected_streams=expected_streams)


def _found(entries, registry=REGISTRY, **options):
    return [(str(finding.code), finding.seq) for finding in _verify(entries, registry, **options).findings]


def _at(log, seq, **changes):
    return [replace(entry, **changes) if entry.seq == seq else entry for entry in log]


def _resigned(entry, algorithm=ED25519, **changes):
    """The entry with its hash and signature made anew over changed parts, as the key's holder could."""
    entry = replace(entry, **changes)
    hash_ = entry_hash(entry.body, entry.prev_hash)
    own = StoredSignature(
        signer=f"signer-{algorithm}", algorithm=str(algorithm), signature=sign(algorithm, hash_), entry_hash=hash_
    )
    return replace(entry, hash=hash_, signatures=(own,))


def _signature(entry, **changes):
    return {"signatures": (replace(entry.signatures[0], **changes),)}


def _with_body(entry, **changes):
    members = {name: value for name, value in (orjson.loads(entry.body) | changes).items() if value is not ...}
    return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("algorithm", AlgorithmId, ids=str)
def test_a_log_signed_with_any_algorithm_is_valid(algorithm):
    report = _verify(make_log(3, algorithm=algorithm), Registry(signers=(signer(algorithm),)))
    assert report.verdict is Verdict.VALID
    assert report.findings == ()
    assert report.checked == {"streams": 1, "entries": 3, "signatures": 3}


def test_the_summary_says_what_was_read():
    log = make_log(3, stream="a/b")
    (stream,) = _verify(log).streams
    assert (stream.stream, stream.entries, stream.signed, stream.first_seq, stream.last_seq) == ("a/b", 3, 3, 0, 2)
    assert (stream.first_time, stream.last_time) == ("2026-07-01T00:00:00.000000Z", "2026-07-01T00:00:02.000000Z")
    assert stream.head == log[-1].hash
    (part,) = stream.signed_by
    assert (part.signer, part.algorithm, part.first_seq, part.last_seq) == ("signer-ed25519", "ed25519", 0, 2)


def test_streams_may_be_interleaved():
    first, second = make_log(3, stream="a"), make_log(3, stream="b")
    mixed = [entry for pair in zip(first, second, strict=True) for entry in pair]
    report = _verify(mixed)
    assert report.verdict is Verdict.VALID
    assert [(stream.stream, stream.entries) for stream in report.streams] == [("a", 3), ("b", 3)]


def test_ranges_end_where_the_signer_changes():
    other = AlgorithmId.ECDSA_P256_SHA256
    entries = make_entries(5)
    log = [stored(entry, other if entry.seq == 2 else None if entry.seq == 3 else ED25519) for entry in entries]
    registry = Registry(signers=(signer(ED25519), signer(other, development=True)))
    (stream,) = _verify(log, registry).streams
    assert [(part.algorithm, part.first_seq, part.last_seq, part.development) for part in stream.signed_by] == [
        ("ed25519", 0, 1, False),
        ("ecdsa-p256-sha256", 2, 2, True),
        ("ed25519", 4, 4, False),
    ]


def test_hash_mismatch_where_the_body_was_changed():
    log = make_log(3)
    report = _verify(_at(log, 1, body=_with_body(log[1], payload={"n": 99})))
    (finding,) = report.findings
    assert (finding.code, finding.seq, finding.entry_id) == (Code.HASH_MISMATCH, 1, log[1].columns.id)
    assert finding.expected == log[1].hash.hex()
    assert finding.actual == hashlib.sha256(_with_body(log[1], payload={"n": 99}) + log[0].hash).hexdigest()
    assert report.verdict is Verdict.INVALID


def test_a_body_that_was_hashed_anew_without_the_key_is_a_broken_link_and_a_bad_signature():
    log = make_log(3)
    body = _with_body(log[1], payload={"n": 99})
    hash_ = entry_hash(body, log[1].prev_hash)
    found = _found(_at(log, 1, body=body, hash=hash_, **_signature(log[1], entry_hash=hash_)))
    assert found == [("bad-signature", 1), ("broken-link", 2)]


def test_broken_link_where_an_entry_was_replaced_by_one_that_the_key_signed():
    log = make_log(3)
    assert _found([log[0], _resigned(log[1], body=_with_body(log[1], payload={})), log[2]]) == [("broken-link", 2)]


def test_missing_entry_where_entries_were_taken_out():
    log = make_log(6)
    (finding,) = _verify([log[0], *log[3:]]).findings
    assert (finding.code, finding.seq, finding.last_seq) == (Code.MISSING_ENTRY, 1, 2)
    assert _found(log[2:]) == [("missing-entry", 0)]


def test_duplicate_seq_where_an_entry_stands_twice():
    log = make_log(3)
    assert _found([*log[:2], log[1], log[2]]) == [("duplicate-seq", 1)]


def test_fork_where_two_entries_follow_the_same_one():
    log = make_log(3)
    branch = _resigned(log[1], body=_with_body(log[1], type="other"), columns=replace(log[1].columns, type="other"))
    (finding,) = _verify([*log[:2], branch, log[2]], batch=3).findings
    assert (finding.code, finding.seq) == (Code.FORK, 1)
    assert (finding.expected, finding.actual) == (log[1].hash.hex(), branch.hash.hex())


@pytest.mark.parametrize(
    ("name", "value"), [("id", "x"), ("time", "x"), ("type", "x"), ("actor", None), ("actor", "x")]
)
def test_column_mismatch_where_a_copy_beside_the_body_was_changed(name, value):
    log = make_log(2)
    columns = replace(log[1].columns, **{name: value})
    (finding,) = _verify(_at(log, 1, columns=columns)).findings
    assert (finding.code, finding.seq, finding.actual) == (Code.COLUMN_MISMATCH, 1, f"{name} {value or 'null'}")
    assert finding.expected == f"{name} {getattr(log[1].columns, name)}"


def test_column_mismatch_where_every_copy_was_changed_names_each():
    log = make_log(2)
    columns = replace(log[1].columns, id="x", time="x", type="x", actor="x")
    assert [f.actual for f in _verify(_at(log, 1, columns=columns)).findings] == ["id x", "time x", "type x", "actor x"]


def test_column_mismatch_where_an_entry_was_moved_to_another_place():
    log = make_log(2)
    found = _verify([log[0], replace(log[1], seq=2)]).findings
    assert [(f.code, f.expected, f.actual) for f in found] == [
        (Code.MISSING_ENTRY, None, None),
        (Code.COLUMN_MISMATCH, "seq 1", "seq 2"),
    ]
    (moved,) = (f for f in _verify([*log, replace(log[0], stream="other")]).findings if f.stream == "other")
    assert (moved.code, moved.expected, moved.actual) == (Code.COLUMN_MISMATCH, "stream default", "stream other")
    (bare,) = _verify([replace(log[0], stream="other", columns=None)]).findings
    assert (bare.code, bare.actual) == (Code.COLUMN_MISMATCH, "stream other")


def test_column_mismatch_where_a_signature_was_stored_for_another_hash():
    log = make_log(2)
    (finding,) = _verify(_at(log, 1, **_signature(log[1], entry_hash=log[0].hash))).findings
    assert (finding.code, finding.seq) == (Code.COLUMN_MISMATCH, 1)
    assert finding.expected == f"entry_hash {log[1].hash.hex()}"
    assert finding.actual == f"entry_hash {log[0].hash.hex()}"
    assert _found(_at(log, 1, **_signature(log[1], entry_hash=b""))) == [("column-mismatch", 1)]


def test_a_source_without_columns_is_compared_by_place_alone():
    log = [replace(e, columns=None, signatures=(replace(e.signatures[0], entry_hash=None),)) for e in make_log(2)]
    assert _found(log) == []


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda body: body.replace(b'"actor":', b'"actor": '),
        lambda body: body.replace(b'{"n":1}', b'{"n":1.0}'),
        lambda body: body.replace(b'{"n":1}', b'{"n":0,"n":1}'),
        lambda body: body.replace(b'"v":1', b'"v":2'),
        lambda body: body.replace(b'"seq":1', b'"seq":"1"'),
        lambda body: body.replace(b'"type":"test.event",', b""),
        lambda body: body[:-1],
        lambda body: body + b" ",
        lambda body: b"\xff",
        lambda body: b"",
        lambda body: b"[]",
        lambda body: b"[" * 100_000,
    ],
    ids=range(12),
)
def test_not_canonical_where_even_the_keys_holder_stored_another_form(rewrite):
    log = make_log(2)
    changed = rewrite(log[1].body)
    assert changed != log[1].body
    assert _found([log[0], _resigned(log[1], body=changed)]) == [("not-canonical", 1)]


def test_not_canonical_where_a_stream_was_continued_backwards_from_its_beginning():
    (first,) = make_log(1)
    assert ("not-canonical", -1) in _found([_resigned(first, seq=-1, body=_with_body(first, seq=-1)), first])


def test_not_canonical_where_a_line_could_not_be_read():
    broken = StoredEntry(stream="", seq=-1, body=b"", prev_hash=b"", hash=b"", malformed="log.jsonl:3: not JSON")
    report = _verify([*make_log(2), broken])
    (finding,) = report.findings
    assert (finding.code, finding.stream, finding.seq) == (Code.NOT_CANONICAL, None, None)
    assert finding.message == "log.jsonl:3: not JSON"
    assert report.verdict is Verdict.INVALID
    assert report.checked["entries"] == 2


@pytest.mark.parametrize("payload", [{"n": 1e17}, {"n": -(2.0**53)}, {"n": 1e-7, "m": -0.0}])
def test_numbers_that_are_read_back_as_other_types_stay_canonical(payload):
    assert _found([stored(entry) for entry in make_entries(1, payloads=[payload])]) == []


def test_a_body_as_deep_as_its_writer_allowed_stays_canonical():
    payload = {}
    for _ in range(63):
        payload = {"a": payload}
    assert _found([stored(entry) for entry in make_entries(1, payloads=[payload])]) == []


def test_time_runs_back_where_an_entry_claims_an_earlier_time():
    log = make_log(2)
    early = "2026-06-30T23:59:59.999999Z"
    changed = _resigned(log[1], body=_with_body(log[1], time=early), columns=replace(log[1].columns, time=early))
    (finding,) = _verify([log[0], changed]).findings
    assert (finding.code, finding.seq, finding.actual) == (Code.TIME_RUNS_BACK, 1, early)


@pytest.mark.parametrize("algorithm", AlgorithmId, ids=str)
def test_bad_signature_where_it_verifies_for_another_entry(algorithm):
    log = make_log(2, algorithm=algorithm)
    changed = _at(log, 1, **_signature(log[1], signature=log[0].signatures[0].signature))
    report = _verify(changed, Registry(signers=(signer(algorithm),)))
    (finding,) = report.findings
    assert (finding.code, finding.seq) == (Code.BAD_SIGNATURE, 1)
    assert report.verdict is Verdict.INVALID


@pytest.mark.parametrize("algorithm", AlgorithmId, ids=str)
def test_bad_signature_where_the_stored_hash_was_cut(algorithm):
    log = make_log(2, algorithm=algorithm)
    found = _found(_at(log, 1, hash=log[1].hash[:31]), Registry(signers=(signer(algorithm),)))
    assert found == [("hash-mismatch", 1), ("column-mismatch", 1), ("bad-signature", 1)]


@pytest.mark.parametrize("algorithm", AlgorithmId, ids=str)
@pytest.mark.parametrize("change", [lambda s: s + b"\0", lambda s: s[:-1], lambda s: b""], ids=["junk", "cut", "none"])
def test_malformed_signature_where_its_length_is_no_signatures(algorithm, change):
    log = make_log(2, algorithm=algorithm)
    changed = _at(log, 1, **_signature(log[1], signature=change(log[1].signatures[0].signature)))
    assert _found(changed, Registry(signers=(signer(algorithm),))) == [("malformed-signature", 1)]


def test_malformed_signature_where_der_is_not_the_one_form():
    algorithm = AlgorithmId.ECDSA_P256_SHA256
    log = make_log(1, algorithm=algorithm)
    der = log[0].signatures[0].signature
    longer = b"\x30\x81" + der[1:]
    assert _found(_at(log, 0, **_signature(log[0], signature=longer)), Registry(signers=(signer(algorithm),))) == [
        ("malformed-signature", 0)
    ]


@given(st.data())
def test_no_two_byte_strings_are_read_as_one_ecdsa_signature(data):
    """What `malformed-signature` relies on: the library reads DER alone, so that no encoding can be changed."""
    der = bytearray(sign(AlgorithmId.ECDSA_P256_SHA256, data.draw(st.sampled_from([bytes(32), b"\xff" * 32]))))
    for place in data.draw(st.lists(st.integers(0, len(der) - 1), max_size=3)):
        der[place : place + data.draw(st.integers(0, 1))] = data.draw(st.sampled_from([b"", b"\0", b"\x02", b"\x81"]))
    try:
        numbers = decode_dss_signature(bytes(der))
    except ValueError:
        numbers = None
    assert numbers is None or encode_dss_signature(*numbers) == der


def test_malformed_signature_where_another_algorithm_is_named():
    log = make_log(1)
    (finding,) = _verify(_at(log, 0, **_signature(log[0], algorithm="rsa-sha256"))).findings
    assert finding.code is Code.MALFORMED_SIGNATURE
    assert finding.message == "labelled rsa-sha256, and signer-ed25519 is registered for ed25519"


def test_malformed_signature_where_the_source_could_not_read_it():
    log = make_log(1)
    (finding,) = _verify(_at(log, 0, **_signature(log[0], malformed="the signature is not base64"))).findings
    assert (finding.code, finding.message) == (Code.MALFORMED_SIGNATURE, "the signature is not base64")


def test_unsigned_where_no_signature_stands_and_neighbours_are_one_range():
    report = _verify(make_log(4, algorithm=None))
    (finding,) = report.findings
    assert (finding.code, finding.seq, finding.last_seq) == (Code.UNSIGNED, 0, 3)
    assert report.verdict is Verdict.INCONCLUSIVE
    with pytest.raises(NotCheckedError):
        report.require_ok()


def test_unknown_signer_where_the_registry_does_not_have_it():
    report = _verify(make_log(3), Registry())
    (finding,) = report.findings
    assert (finding.code, finding.seq, finding.last_seq) == (Code.UNKNOWN_SIGNER, 0, 2)
    assert finding.actual == "signer-ed25519"
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.checked["signatures"] == 0


def test_an_unknown_signer_beside_a_good_signature_changes_nothing():
    log = make_log(1)
    other = replace(log[0].signatures[0], signer="other")
    assert _found(_at(log, 0, signatures=(other, *log[0].signatures))) == []


def test_a_bad_signature_beside_a_good_one_is_told():
    algorithm = AlgorithmId.ECDSA_P256_SHA256
    log = make_log(1)
    other = StoredSignature(signer=f"signer-{algorithm}", algorithm=algorithm, signature=sign(algorithm, b"\0" * 32))
    registry = Registry(signers=(signer(ED25519), signer(algorithm)))
    report = _verify(_at(log, 0, signatures=(*log[0].signatures, other)), registry)
    assert [finding.code for finding in report.findings] == [Code.BAD_SIGNATURE]
    assert report.streams[0].signed == 1


@pytest.mark.parametrize(
    ("limits", "seqs"),
    [
        ({"valid_from": Bound(seq={"default": 1})}, [0]),
        ({"valid_until": Bound(seq={"default": 1})}, [1, 2]),
        ({"valid_from": Bound(time="2026-07-01T00:00:02Z")}, [0, 1]),
        ({"valid_until": Bound(time="2026-07-01T00:00:02Z")}, [2]),
        ({"status": Status.REVOKED}, [0, 1, 2]),
        ({"valid_until": Bound(seq={"other": 0})}, []),
        ({"status": Status.RETIRED}, []),
    ],
)
def test_signer_not_valid_here_where_its_validity_ends(limits, seqs):
    report = _verify(make_log(3), Registry(signers=(signer(ED25519, **limits),)))
    found = [(finding.code, seq) for finding in report.findings for seq in range(finding.seq, finding.last_seq + 1)]
    assert found == [(Code.SIGNER_NOT_VALID_HERE, seq) for seq in seqs]
    assert report.verdict is (Verdict.INVALID if seqs else Verdict.VALID)
    assert report.streams[0].signed == 3 - len(seqs)


def test_signer_not_valid_here_is_said_only_of_signatures_that_verify():
    log = make_log(1)
    registry = Registry(signers=(signer(ED25519, status=Status.REVOKED),))
    assert _found(_at(log, 0, **_signature(log[0], signature=bytes(64))), registry) == [("bad-signature", 0)]


def test_a_signer_limited_by_time_is_not_valid_where_the_time_cannot_be_read():
    log = make_log(1)
    registry = Registry(signers=(signer(ED25519, valid_until=Bound(time="2030-01-01T00:00:00Z")),))
    assert _found([_resigned(log[0], body=b"{}")], registry) == [("not-canonical", 0), ("signer-not-valid-here", 0)]


def test_nothing_to_check_where_the_log_is_empty():
    report = _verify([])
    (finding,) = report.findings
    assert (finding.code, finding.stream) == (Code.NOTHING_TO_CHECK, None)
    assert report.verdict is Verdict.INCONCLUSIVE


def test_nothing_to_check_where_a_stream_that_was_asked_for_has_no_entries():
    report = _verify(make_log(1), expected_streams=["default", "other"])
    (finding,) = report.findings
    assert (finding.code, finding.stream) == (Code.NOTHING_TO_CHECK, "other")
    assert report.verdict is Verdict.INCONCLUSIVE


def _remote():
    return Registry(signers=(signer(AlgorithmId.HMAC_SHA256, secret=None, key_arn="arn:aws:kms:key"),))


def test_a_mac_without_its_secret_is_not_checked_and_says_what_to_do():
    report = _verify(make_log(2, algorithm=AlgorithmId.HMAC_SHA256), _remote())
    (finding,) = report.findings
    assert (finding.code, finding.seq, finding.last_seq) == (Code.UNKNOWN_SIGNER, 0, 1)
    assert "--ask-kms" in finding.message
    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_mac_that_a_kms_can_be_asked_about_is_checked():
    def ask(mac, digest):
        if mac != sign(AlgorithmId.HMAC_SHA256, digest):
            raise SignatureInvalidError("no")

    log = make_log(2, algorithm=AlgorithmId.HMAC_SHA256)
    rules = {"signer-hmac-sha256": ask}
    assert _verify(log, _remote(), mac_rules=rules).verdict is Verdict.VALID
    changed = _at(log, 1, **_signature(log[1], signature=bytes(32)))
    assert _found(changed, _remote(), mac_rules=rules) == [("bad-signature", 1)]


def test_a_kms_that_does_not_answer_leaves_the_verdict_open_and_counts_nothing():
    def ask(mac, digest):
        raise SignerError("KMS did not answer", reason="unreachable", retryable=True)

    log = make_log(2, algorithm=AlgorithmId.HMAC_SHA256)
    report = _verify(log, _remote(), mac_rules={"signer-hmac-sha256": ask})
    assert (report.verdict, report.unreachable) == (Verdict.INCONCLUSIVE, "KMS did not answer")
    assert report.findings == ()
    assert report.checked["signatures"] == 0


def test_a_walk_goes_on_after_a_finding_and_names_every_place():
    log = make_log(6)
    log = _at(log, 1, body=_with_body(log[1], payload={}))
    log = _at(log, 3, **_signature(log[3], signature=bytes(64)))
    log = _at(log, 5, columns=replace(log[5].columns, actor="x"))
    report = _verify(log)
    assert [(f.code, f.seq) for f in report.findings] == [
        (Code.HASH_MISMATCH, 1),
        (Code.BAD_SIGNATURE, 3),
        (Code.COLUMN_MISMATCH, 5),
    ]
    with pytest.raises(RejectedError, match="hash-mismatch at 1, bad-signature at 1, column-mismatch at 1"):
        report.require_ok()


def test_no_finding_shows_a_signature_a_payload_or_a_secret():
    entries = make_entries(2, payloads=[{"password": "hunter2"}, {"password": "hunter3"}])
    log = [stored(entry, AlgorithmId.HMAC_SHA256) for entry in entries]
    signature = log[0].signatures[0].signature
    changed = _with_body(log[1], payload={"password": "hunter4"})
    log = _at(log, 1, body=changed, **_signature(log[1], signature=signature))
    told = repr(_verify(log, Registry(signers=(signer(AlgorithmId.HMAC_SHA256),))))
    assert "hash-mismatch" in told
    assert "hunter" not in told
    for hidden in (signature.hex(), base64.b64encode(signature).decode(), SECRET.decode()):
        assert hidden not in told


_LOGS = {algorithm: make_log(3, algorithm=algorithm) for algorithm in WITH_PUBLIC_KEY}
_PARTS = ("body", "prev_hash", "hash", "signature", "entry_hash")


@pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
@given(st.data())
def test_any_one_bit_change_of_an_entry_is_noticed(algorithm, data):
    log = _LOGS[algorithm]
    seq = data.draw(st.integers(0, 2))
    part = data.draw(st.sampled_from([name for name in _PARTS if name != "prev_hash" or seq]))
    entry = log[seq]
    old = getattr(entry, part) if part in ("body", "prev_hash", "hash") else getattr(entry.signatures[0], part)
    bit = data.draw(st.integers(0, 8 * len(old) - 1))
    changed = bytearray(old)
    changed[bit // 8] ^= 1 << bit % 8
    new = {part: bytes(changed)}
    log = _at(log, seq, **(new if part in ("body", "prev_hash", "hash") else _signature(entry, **new)))
    report = _verify(log, Registry(signers=(signer(algorithm),)))
    assert report.verdict is Verdict.INVALID
    assert any(finding.seq == seq for finding in report.findings)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True))
def test_every_batch_size_and_order_of_removal_names_what_is_missing(kept):
    log = [_LOG_OF_FIVE[seq] for seq in sorted(kept)]
    last = max(kept)
    missing = sorted(set(range(last)) - set(kept))
    for batch in (1, 3):
        named = [
            seq
            for finding in _verify(log, batch=batch).findings
            if finding.code is Code.MISSING_ENTRY
            for seq in range(finding.seq, finding.last_seq + 1)
        ]
        assert named == missing


_LOG_OF_FIVE = make_log(5)
_DEFECTS = (
    lambda entry: entry,
    lambda entry: replace(entry, signatures=()),
    lambda entry: replace(entry, **_signature(entry, signer="nobody")),
    lambda entry: replace(entry, **_signature(entry, signature=bytes(64))),
    lambda entry: replace(entry, body=b"{}"),
    lambda entry: replace(entry, prev_hash=b"\7" * 32),
    lambda entry: replace(entry, columns=replace(entry.columns, actor="x")),
    lambda entry: _resigned(entry, body=_with_body(entry, time="2026-06-30T00:00:00.000000Z")),
    lambda entry: None,
)


@given(st.lists(st.sampled_from(_DEFECTS), min_size=5, max_size=5), st.lists(st.integers(0, 10), max_size=4))
def test_a_report_is_the_same_wherever_the_log_is_cut_into_segments(defects, cuts):
    """But for the event's id, which the entry at a cut has lost."""
    mended = [defect(entry) for defect, entry in zip(defects, _LOG_OF_FIVE, strict=True)]
    streams = [entry for entry in mended if entry], make_log(5, stream="other")
    entries = [*streams[0], *streams[1]]
    places = sorted({0, len(entries), *(min(cut, len(entries)) for cut in cuts)})
    trust = Trust(registry=REGISTRY)
    whole, joined = Segment(trust), Segment(trust)
    for entry in entries:
        whole.add(entry)
    for start, end in pairwise(places):
        segment = Segment(trust)
        for entry in entries[start:end]:
            segment.add(entry)
        joined.join(segment.closed())
    reports = [segment.report("log") for segment in (whole, joined)]
    facts = [(r.verdict, r.streams, r.checked, [replace(f, entry_id=None) for f in r.findings]) for r in reports]
    assert facts[0] == facts[1]


def test_a_signer_that_is_only_announced_is_unknown_since_the_verifiers_registry_is_old():
    report = _verify(make_log(2), Registry(signers=(signer(ED25519, status=Status.ANNOUNCED),)))
    assert (report.verdict, {finding.code for finding in report.findings}) == (
        Verdict.INCONCLUSIVE,
        {Code.UNKNOWN_SIGNER},
    )
