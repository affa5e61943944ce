"""Every sort of misuse planted among 100,000 records of a month: each is found, each by its name, and nothing else."""

import gzip
from collections import Counter
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from auditseal.adapters.trail.folder import FolderTrail
from auditseal.adapters.trail.ledger import SqliteLedger
from auditseal.core.account import AccountCode, Kind
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.expectation import expect
from auditseal.core.key import parse_public_key
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.core.report import Verdict
from auditseal.core.times import Micros
from auditseal.service.accounting.reconcile import Asked, reconcile
from support.signed_log import SIGNER, ListSource, stored
from support.trail import ACCOUNT, KEY_ARN, ROLE, START, change_record, record, role_identity, sign_record

RECORDS = 100_000
SIGNATURES = 4_000
MONTH_S = 30 * 86_400
STEP_S = MONTH_S // SIGNATURES
INTRUDER = f"arn:aws:iam::{ACCOUNT}:role/intern"
PEM = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """The month's records of other services, and of KMS for other keys, on disk once for all tests."""
    folder = tmp_path_factory.mktemp("noise")
    other = {"resources": [{"type": "AWS::KMS::Key", "ARN": KEY_ARN.replace("1234", "9999")}]}
    shapes = [
        record("Decrypt", START, 0, **other),
        record("PutObject", START, 0, eventSource="s3.amazonaws.com", resources=[]),
        sign_record(START, 0, **other),
    ]
    count, per_file = RECORDS - SIGNATURES, 4_000
    for first in range(0, count, per_file):
        records = []
        for number in range(first, first + per_file):
            shape = shapes[number % len(shapes)]
            at = START + number * MONTH_S // count
            made = record(shape["eventName"], at, 1_000_000 + number)
            records.append(shape | {name: made[name] for name in ("eventTime", "requestID", "eventID")})
        write(folder / f"noise-{first:06d}.json.gz", records)
    return folder


def write(path: Path, records):
    path.write_bytes(gzip.compress(orjson.dumps({"Records": records}), 1))


def account(noise, tmp_path, entries, records):
    trail = tmp_path / "trail"
    trail.mkdir()
    for path in noise.iterdir():
        (trail / path.name).hardlink_to(path)
    write(trail / "signatures.json.gz", records)
    signer = RegisteredSigner(
        signer_id=SIGNER,
        algorithm=ALGORITHMS[AlgorithmId.ED25519],
        public_key=parse_public_key(PEM),
        key_arn=KEY_ARN,
    )
    ledger = SqliteLedger()
    try:
        return reconcile(
            ListSource(entries),
            Registry(signers=(signer,)),
            FolderTrail(trail),
            ledger,
            expectation=expect(Registry(signers=(signer,)), principals=[ROLE]),
            asked=Asked(accept_without_digests=True, until=START + MONTH_S - 2 * STEP_S),
            clock=lambda: Micros((START + 2 * MONTH_S) * 1_000_000),
        )
    finally:
        ledger.close()


@pytest.fixture(scope="module")
def month():
    entries = [stored("default", seq, START + seq * STEP_S) for seq in range(SIGNATURES)]
    return entries, [sign_record(START + seq * STEP_S, seq) for seq in range(SIGNATURES)]


def test_a_clean_month_has_no_finding(noise, month, tmp_path):
    report = account(noise, tmp_path, *month)
    faults = [finding for finding in report.findings if finding.code is not AccountCode.TRAIL_BLIND]
    assert (faults, report.verdict) == ([], Verdict.VALID)
    assert report.checked["records"] == RECORDS


def test_each_planted_misuse_is_found_and_named(noise, month, tmp_path):
    entries, records = list(month[0]), list(month[1])
    extra = 5_000_000
    at = START + MONTH_S // 2 + STEP_S // 2
    records += [
        sign_record(at, extra, userIdentity=role_identity(INTRUDER)),
        sign_record(at, extra + 1),
        sign_record(START + 700 * STEP_S + 1, extra + 2),
        change_record("PutKeyPolicy", at, extra + 3, requestParameters={"keyId": KEY_ARN, "policy": "{}"}),
        change_record("CreateGrant", at, extra + 4, requestParameters={"granteePrincipal": INTRUDER}),
    ]
    records[700] = sign_record(START + 700 * STEP_S + 2, 700)
    records[100] = sign_record(START + 100 * STEP_S, 100, userIdentity=role_identity(INTRUDER))
    records[200] = records[200] | {"awsRegion": "us-east-1"}
    rsa = {"keyId": "k", "messageType": "DIGEST", "signingAlgorithm": "RSASSA_PSS_SHA_256"}
    records[300] = sign_record(START + 300 * STEP_S, 300, requestParameters=rsa)
    records[400] = sign_record(START + 400 * STEP_S, 400, errorCode="AccessDenied")
    entries[500] = stored("default", 500, START + 450 * STEP_S)
    entries[600] = replace(entries[600], signatures=(replace(entries[600].signatures[0], request_id=None),))
    forged = stored("default", SIGNATURES, START + 800 * STEP_S)
    report = account(noise, tmp_path, [*entries, forged], records)
    found = Counter((finding.code, finding.kind) for finding in report.findings)
    assert found == {
        (AccountCode.UNACCOUNTED_SIGNATURE, Kind.UNEXPECTED_PRINCIPAL): 1,
        (AccountCode.UNACCOUNTED_SIGNATURE, Kind.EXPECTED_PRINCIPAL): 2,
        (AccountCode.UNACCOUNTED_SIGNATURE, Kind.RETRY_BESIDE): 1,
        (AccountCode.UNWITNESSED_SIGNATURE, Kind.FAILED_CALL): 1,
        (AccountCode.UNWITNESSED_SIGNATURE, Kind.OTHER_TIME): 1,
        (AccountCode.UNWITNESSED_SIGNATURE, Kind.NO_REQUEST_ID): 1,
        (AccountCode.UNWITNESSED_SIGNATURE, Kind.NO_CALL): 1,
        (AccountCode.UNEXPECTED_PRINCIPAL, None): 1,
        (AccountCode.UNEXPECTED_ALGORITHM, None): 1,
        (AccountCode.UNEXPECTED_REGION, None): 1,
        (AccountCode.KEY_CHANGED, None): 2,
        (AccountCode.TRAIL_BLIND, None): 1,
    }
