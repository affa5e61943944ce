import copy
import json
import random
import string
from pathlib import Path

import pytest

from auditseal.core.agent_manager.payload import parse_rows_text
from auditseal.core.agent_manager.row import parse_row
from auditseal.core.agent_manager.verify import parse_table, verify_rows
from auditseal.core.entry_check import Trust
from auditseal.core.registry import Registry
from auditseal.core.report import Code, Severity, Verdict
from auditseal.errors import InputError
from support.agent_manager import KEY, REGISTRY, head_of, make_row, make_rows

VECTORS = Path(__file__).resolve().parents[3] / "vectors"
GOLDEN = [json.loads(path.read_text()) for path in sorted(VECTORS.glob("golden_*_*.json"))]
COLUMNS = ("id", "actor_id", "event_type", "payload", "signature", "signer_kid", "prev_hash", "created_at")


def _verify(rows, registry=REGISTRY):
    parsed = [parse_row(row) for row in parse_table(parse_rows_text(json.dumps(rows)))]
    return verify_rows("rows.json", parsed, Trust(registry=registry))


def _faults(rows, registry=REGISTRY):
    report = _verify(rows, registry)
    return [(str(found.code), found.seq) for found in report.findings if found.severity is not Severity.NOTE]


def _golden(vector):
    return [{name: row[name] for name in COLUMNS} for row in vector["rows"]]


def _registry(vector):
    return Registry.parse(json.dumps(vector["signers"]).encode())


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda vector: vector["algorithm"])
def test_a_golden_chain_verifies_up_to_its_head(vector):
    report = _verify(_golden(vector), _registry(vector))
    assert report.verdict is Verdict.VALID
    assert report.checked == {"streams": 1, "entries": vector["count"], "signatures": vector["count"]}
    assert report.streams[0].head.hex() == vector["head_hash"]


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda vector: vector["algorithm"])
def test_the_canonical_text_and_hash_of_each_golden_row_are_its_writer_s(vector):
    for row in vector["rows"]:
        parsed = parse_row(parse_rows_text(json.dumps(row)))
        assert parsed.canonical == row["expected_canonical"].encode()
        assert parsed.hash.hex() == row["expected_hash"]


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda vector: vector["algorithm"])
@pytest.mark.parametrize("column", ["payload", "signature", "signer_kid", "prev_hash"])
def test_each_single_byte_change_of_a_protected_column_is_noticed(vector, column):
    rows, registry = _golden(vector), _registry(vector)
    chance = random.Random(column)
    parsed = [parse_row(parse_rows_text(json.dumps(row))) for row in rows]
    tried = 0
    for index, row in enumerate(rows):
        text = json.dumps(row[column])
        for place in range(len(text)):
            other = chance.choice([c for c in string.ascii_letters + string.digits if c != text[place]])
            changed = text[:place] + other + text[place + 1 :]
            try:
                value = parse_rows_text(changed)
            except InputError:
                continue  # the whole file is no JSON any more, and is refused as that
            if json.dumps(value) == text:
                continue
            before, after = parsed[max(0, index - 1) : index], parsed[index + 1 : index + 2]
            altered = parse_row(parse_rows_text(json.dumps(row)) | {column: value})
            report = verify_rows("rows.json", [*before, altered, *after], Trust(registry=registry))
            intact = verify_rows("rows.json", [*before, parsed[index], *after], Trust(registry=registry))
            assert _codes(report) - _codes(intact), (row["id"], column, place, changed)
            tried += 1
    assert tried > 100


def _codes(report):
    return {(found.code, found.entry_id) for found in report.findings if found.severity is not Severity.NOTE}


def test_the_report_says_which_columns_the_format_does_not_protect():
    report = _verify(make_rows(3))
    notes = [found.message for found in report.findings if found.code is Code.NOT_COVERED]
    assert report.verdict is Verdict.VALID
    assert all(name in notes[0] for name in ("actor_id", "event_type", "id", "created_at"))
    assert "removed from the end" in notes[1]


def test_rows_are_ordered_by_links_and_not_by_the_clock():
    rows = make_rows(30)
    for row in rows:
        row["created_at"] = "2026-11-23T17:22:12Z"
    random.Random(7).shuffle(rows)
    report = _verify(rows)
    assert report.verdict is Verdict.VALID
    assert report.streams[0].head.hex() == head_of(max(rows, key=lambda row: row["id"]))


def test_the_sister_deployment_s_columns_are_read():
    rows = make_rows(4)
    for row in rows:
        row |= {"hash": head_of(row), "ts": row.pop("created_at"), "signer_id": row.pop("signer_kid")}
    assert _verify(rows).verdict is Verdict.VALID
    rows[2]["payload"]["agent_id"] = "b"
    assert ("hash-mismatch", 2) in _faults(rows)


def test_a_changed_payload_is_named_with_its_row():
    rows = make_rows(5)
    rows[2]["payload"]["agent_id"] = "b"
    assert ("bad-signature", 2) in _faults(rows) or ("bad-signature", 4) in _faults(rows)
    assert any(code == "broken-link" for code, _ in _faults(rows))


@pytest.mark.parametrize(("removed", "left"), [(slice(0, 3), 7), (slice(4, 5), 9), (slice(4, 7), 7)])
def test_removed_rows_are_missed_by_the_one_that_follows_them(removed, left):
    rows = make_rows(10)
    del rows[removed]
    assert len(rows) == left
    assert _faults(rows) == [("missing-entry", removed.start)]


def test_no_rows_are_nothing_to_check():
    report = _verify([])
    assert (report.verdict, [found.code for found in report.findings]) == (
        Verdict.INCONCLUSIVE,
        [Code.NOTHING_TO_CHECK],
    )


def test_a_fork_is_named_with_its_branches():
    trunk = make_rows(5)
    branch = make_rows(3, prev=head_of(trunk[1]), start=2, branch=1)
    report = _verify(trunk + branch)
    (fork,) = [found for found in report.findings if found.code is Code.FORK]
    assert "2 branches" in fork.message
    assert f"{trunk[2]['id']} with 3 rows" in fork.message
    assert f"{branch[0]['id']} with 3 rows" in fork.message
    assert report.verdict is Verdict.INVALID


def test_eight_writers_that_share_a_head_fork_and_nothing_else():
    trunk = make_rows(2)
    rows = trunk + [make_rows(1, prev=head_of(trunk[-1]), start=9, branch=number)[0] for number in range(8)]
    assert [code for code, _ in _faults(rows)] == ["fork"]


def test_two_first_rows_are_a_fork():
    assert [code for code, _ in _faults(make_rows(2) + make_rows(2, branch=1))] == ["fork"]


def test_a_row_that_stands_twice_is_named():
    rows = make_rows(3)
    assert _faults([*rows, copy.deepcopy(rows[1])]) == [("duplicate-seq", 3)]


@pytest.mark.parametrize("tail", ["A", "=", "AAAA", "\n", " "])
def test_junk_behind_a_signature_is_named(tail):
    rows = make_rows(3)
    rows[1]["signature"] += tail
    assert _faults(rows) == [("malformed-signature", 1)]


def test_another_encoding_of_a_signature_is_named():
    import base64

    rows = make_rows(3)
    rows[1]["signature"] = base64.b64decode(rows[1]["signature"]).hex()
    assert _faults(rows) == [("malformed-signature", 1)]


def test_a_table_whose_signatures_are_all_in_hex_verifies():
    import base64

    rows = make_rows(3)
    for row in rows:
        row["signature"] = base64.b64decode(row["signature"]).hex()
    assert _verify(rows).verdict is Verdict.VALID


@pytest.mark.parametrize("garbage", ["zz", "not a hash", "00zz", "0" * 63])
def test_a_garbage_prev_hash_on_the_first_row_is_named(garbage):
    rows = make_rows(3)
    rows[0]["prev_hash"] = garbage
    assert ("broken-link", 0) in _faults(rows) or ("broken-link", 2) in _faults(rows)


def test_prev_hash_in_capitals_is_named():
    rows = make_rows(3)
    rows[2]["prev_hash"] = rows[2]["prev_hash"].upper()
    assert _faults(rows) == [("not-canonical", 2)]


@pytest.mark.parametrize(
    ("written", "changed"),
    [("9007199254740992", "9007199254740993"), ("0.1", "0.10000000000000000001"), ("1e22", "10000000000000000000001")],
)
def test_a_number_changed_beyond_double_precision_is_named(written, changed):
    row, _ = make_row({"n": json.loads(written)}, None, 0)
    text = json.dumps([row])
    before = f'"n": {json.dumps(json.loads(written))}'
    assert before in text
    rows = [parse_row(members) for members in parse_rows_text(text.replace(before, f'"n": {changed}'))]
    (found,) = [
        found
        for found in verify_rows("rows.json", rows, Trust(registry=REGISTRY)).findings
        if found.severity is Severity.ERROR and found.code is Code.NOT_CANONICAL
    ]
    assert found.actual == changed


def test_an_edit_older_than_two_hundred_rows_is_noticed():
    rows = make_rows(450)
    rows[3]["payload"]["score"] = 0.2
    assert any(code == "bad-signature" for code, _ in _faults(rows))


def test_a_row_without_a_signature_and_one_of_an_unknown_signer_are_inconclusive():
    rows = make_rows(3)
    rows[1]["signature"] = None
    assert _faults(rows) == [("unsigned", 1)]
    rows = make_rows(3)
    rows[1]["signer_kid"] = "nobody"
    report = _verify(rows)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert [found.code for found in report.findings if found.severity is Severity.GAP] == [Code.UNKNOWN_SIGNER]


@pytest.mark.parametrize("text", ['[{"payload": {"a": 1, "a": 2}}]', "[1", '[{"payload": NaN}]', "[" * 100_000])
def test_a_document_that_two_readers_take_differently_is_refused(text):
    with pytest.raises(InputError):
        parse_rows_text(text)


@pytest.mark.parametrize("members", [[], 7, None, {}, {"payload": 1, "signature": ""}])
def test_what_is_no_row_is_refused(members):
    with pytest.raises(InputError):
        parse_row(members)


@pytest.mark.parametrize("document", [{"rows": 1}, {}, "x", None])
def test_what_is_no_table_is_refused(document):
    with pytest.raises(InputError):
        parse_table(document)


def test_the_key_of_these_tests_is_not_one_of_the_golden_chains():
    assert KEY.public_key().public_bytes_raw().hex() not in json.dumps(GOLDEN)
