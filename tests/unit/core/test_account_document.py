import json
from dataclasses import replace

import pytest

from auditseal.core.account import JOINED, AccountCode, AccountedRange, AccountFinding, AccountReport, TrailProof
from auditseal.core.account_document import document_of, format_account, parse_account
from auditseal.core.report import Severity
from auditseal.errors import InputError

RANGE = AccountedRange(stream="default", first_seq=3, last_seq=9, head=b"\x07" * 32)
REPORT = AccountReport(
    source="sqlite:///audit.db",
    trail="s3://audit-trail",
    trail_proof=TrailProof.DIGESTS,
    until="2026-08-01T00:00:00Z",
    checked={JOINED: 7},
    accounted=(RANGE,),
)


def made(report=REPORT):
    return document_of(report, keys=["arn:b", "arn:a"], principals=["arn:p"])


def test_a_document_is_read_as_it_was_written():
    document = made()
    assert (document.keys, document.ranges) == (("arn:a", "arn:b"), (RANGE,))
    assert parse_account(format_account(document)) == document


@pytest.mark.parametrize("severity", [Severity.ERROR, Severity.GAP])
def test_an_account_with_anything_open_speaks_for_nothing(severity):
    finding = AccountFinding(code=AccountCode.TRAIL_BLIND, message="m", severity=severity)
    assert made(replace(REPORT, findings=(finding,))) is None


def test_an_account_of_nothing_speaks_for_nothing():
    assert made(replace(REPORT, checked={})) is None


@pytest.mark.parametrize("change", [{"last_seq": 10}, {"head": "00" * 32}, {"stream": "other"}])
def test_a_range_that_was_edited_does_not_fit_the_checksum(change):
    members = json.loads(format_account(made()))
    members["ranges"][0] |= change
    with pytest.raises(InputError, match="checksum"):
        parse_account(json.dumps(members).encode())


@pytest.mark.parametrize("octets", [b"", b"[]", b"{}", b'{"account":2}', b"\xff", b'{"state":1,"streams":{}}'])
def test_what_is_no_account_is_refused(octets):
    with pytest.raises(InputError):
        parse_account(octets)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(RANGE, first_seq=-1),
        replace(RANGE, first_seq=10),
        replace(RANGE, head=b"\x07" * 31),
        replace(RANGE, head=None),
        replace(RANGE, stream="NOT A STREAM"),
    ],
)
def test_a_range_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        parse_account(format_account(replace(made(), ranges=(wrong,))))
