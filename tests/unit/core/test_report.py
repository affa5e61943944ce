import pytest

from auditseal.core.report import Code, Finding, Findings, Report, Severity, Verdict, summarize
from auditseal.errors import NotCheckedError, RejectedError

GAPS = {
    Code.UNSIGNED,
    Code.UNKNOWN_SIGNER,
    Code.OVERDUE,
    Code.NOTHING_TO_CHECK,
    Code.MISSING_CHECKPOINT,
    Code.NOT_COSIGNED,
    Code.NOT_ANCHORED,
    Code.BELOW_GRADE,
}
NOTES = {Code.NOT_COVERED, Code.CONTINUES}


def _finding(code=Code.UNSIGNED, seq=0, **members):
    return Finding(**{"code": code, "stream": "s", "seq": seq, "message": "m"} | members)


def _report(*codes, **members):
    findings = tuple(_finding(code) for code in codes)
    return Report(**{"source": "log", "findings": findings, "checked": {"entries": 1}} | members)


def _collected(*findings):
    collected = Findings()
    for finding in findings:
        collected.add(finding)
    return collected.in_order()


def test_the_codes_are_these_and_no_others():
    assert sorted(Code) == [
        "bad-checkpoint",
        "bad-proof",
        "bad-rotation",
        "bad-signature",
        "below-grade",
        "broken-link",
        "column-mismatch",
        "continues",
        "duplicate-seq",
        "fork",
        "hash-mismatch",
        "malformed-signature",
        "misdated",
        "missing-checkpoint",
        "missing-entry",
        "not-anchored",
        "not-canonical",
        "not-cosigned",
        "not-covered",
        "nothing-to-check",
        "overdue",
        "rolled-back",
        "signer-not-valid-here",
        "split-view",
        "time-runs-back",
        "truncated",
        "unknown-signer",
        "unsigned",
    ]


@pytest.mark.parametrize("code", Code, ids=str)
def test_the_severity_follows_from_the_code_and_the_verdict_from_the_severity(code):
    expected = Severity.GAP if code in GAPS else Severity.NOTE if code in NOTES else Severity.ERROR
    assert _finding(code).severity is expected
    verdicts = {
        Severity.ERROR: Verdict.INVALID,
        Severity.GAP: Verdict.INCONCLUSIVE,
        Severity.NOTE: Verdict.VALID,
    }
    assert _report(code).verdict is verdicts[expected]


def test_a_log_without_findings_is_valid():
    report = _report()
    assert report.verdict is Verdict.VALID
    assert report.require_ok() is report


def test_what_is_proven_wrong_outweighs_what_is_unproven():
    assert _report(Code.UNSIGNED, Code.FORK, Code.NOT_COVERED).verdict is Verdict.INVALID


@pytest.mark.parametrize("checked", [{}, {"entries": 0}, {"streams": 1, "signatures": 5}])
def test_nothing_checked_is_not_success(checked):
    report = _report(checked=checked)
    assert report.verdict is Verdict.INCONCLUSIVE
    with pytest.raises(NotCheckedError, match="log is inconclusive: nothing was checked"):
        report.require_ok()


def test_a_key_that_could_not_be_asked_leaves_the_verdict_open():
    assert _report(unreachable="no answer").verdict is Verdict.INCONCLUSIVE
    assert _report(Code.HASH_MISMATCH, unreachable="no answer").verdict is Verdict.INVALID


def test_what_is_not_ok_is_raised_with_its_codes():
    with pytest.raises(RejectedError, match="log is invalid: fork at 1, unsigned at 1"):
        _report(Code.FORK, Code.UNSIGNED).require_ok()
    with pytest.raises(NotCheckedError, match="log is inconclusive: unsigned at 1"):
        _report(Code.UNSIGNED).require_ok()


def test_the_same_of_neighbours_is_kept_as_one_range():
    (finding,) = _collected(*(_finding(seq=seq, entry_id=str(seq)) for seq in range(5)))
    assert (finding.seq, finding.last_seq, finding.count, finding.entry_id) == (0, 4, 5, None)


def test_a_range_joins_across_other_codes_and_streams():
    findings = _collected(
        _finding(seq=0),
        _finding(Code.HASH_MISMATCH, seq=0),
        _finding(seq=0, stream="t"),
        _finding(seq=1),
        _finding(seq=1, stream="t"),
    )
    assert [(f.stream, f.code, f.seq, f.last_seq) for f in findings] == [
        ("s", "hash-mismatch", 0, 0),
        ("s", "unsigned", 0, 1),
        ("t", "unsigned", 0, 1),
    ]


@pytest.mark.parametrize(
    "second",
    [
        {"seq": 2},
        {"seq": 0},
        {"seq": 1, "stream": "t"},
        {"seq": 1, "code": Code.UNKNOWN_SIGNER},
        {"seq": 1, "actual": "x"},
        {"seq": 1, "expected": "x"},
        {"seq": None},
    ],
    ids=str,
)
def test_what_is_not_the_same_of_the_next_entry_stays_apart(second):
    assert len(_collected(_finding(seq=0), _finding(**second))) == 2


def test_findings_that_prove_something_each_keep_their_place():
    findings = _collected(*(_finding(Code.BAD_SIGNATURE, seq=seq) for seq in range(3)))
    assert [finding.seq for finding in findings] == [0, 1, 2]


def test_a_range_that_was_given_as_one_joins_too():
    (finding,) = _collected(_finding(seq=0, last_seq=3), _finding(seq=4))
    assert (finding.seq, finding.last_seq) == (0, 4)


def test_findings_stand_in_the_order_of_stream_and_place():
    findings = _collected(
        _finding(seq=7, stream="t"), _finding(seq=9), _finding(Code.FORK, seq=3), _finding(seq=None, stream=None)
    )
    assert [(finding.stream, finding.seq) for finding in findings] == [(None, None), ("s", 3), ("s", 9), ("t", 7)]


def test_a_finding_without_a_place_counts_as_one():
    assert _finding(seq=None).count == 1
    assert _finding(seq=3).count == 1


def test_a_summary_counts_entries_and_not_findings():
    findings = [_finding(seq=0, last_seq=9), _finding(Code.FORK, seq=3, last_seq=3), _finding(Code.FORK, seq=4)]
    assert summarize(findings) == ["unsigned at 10", "fork at 2"]
