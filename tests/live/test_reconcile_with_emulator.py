"""Reconciling with what ministack's recorder has of its own KMS, asked by LookupEvents over HTTP.

Its records have the request id, the time and the caller right. Their shape is not AWS's: parameters are named as on the
wire, the message is in full, `readOnly` is false, and there are no resources. `_as_aws_writes` puts that right, and
nothing else.
"""

import json

import pytest
from emulator import running_emulator

from auditseal.adapters.signers.aws_kms import KmsSigner
from auditseal.adapters.trail.folder import FolderTrail
from auditseal.adapters.trail.ledger import SqliteLedger
from auditseal.adapters.trail.lookup import LookupTrail
from auditseal.core.account import AccountCode
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.expectation import expect
from auditseal.core.key import parse_public_key
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.core.report import Verdict
from auditseal.core.times import Micros
from auditseal.service.accounting.reconcile import Asked, reconcile
from auditseal.service.ids import now_micros
from auditseal.wiring.logs import open_log
from support.kms import open_calls_to

ENTRIES = 12


@pytest.fixture(scope="module")
def recording():
    with running_emulator({"CLOUDTRAIL_RECORDING": "1"}) as emulator:
        yield emulator


@pytest.fixture
def world(recording, tmp_path, monkeypatch):
    for name, value in recording.environment().items():
        monkeypatch.setenv(name, value)
    calls = open_calls_to(recording.url, recording.region)
    made = calls.call("CreateKey", {"KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY"})
    arn = made.values["KeyMetadata"]["Arn"]
    public = calls.call("GetPublicKey", {"KeyId": arn}).values["PublicKey"]
    algorithm = ALGORITHMS[AlgorithmId.ED25519]
    registered = RegisteredSigner(
        signer_id="audit-2026", algorithm=algorithm, public_key=parse_public_key(public), key_arn=arn
    )
    signer = KmsSigner(signer_id="audit-2026", algorithm=algorithm, key_id=arn, calls=calls)
    log = open_log(f"sqlite:///{tmp_path}/audit.db", signer=signer, create=True)
    for number in range(ENTRIES):
        log.append("agent.spawned", {"n": number})
    yield log.store, Registry(signers=(registered,))
    log.close()


def account(store, registry, trail):
    ledger = SqliteLedger()
    try:
        return reconcile(
            store,
            registry,
            trail,
            ledger,
            expectation=expect(registry, principals=["arn:aws:iam::000000000000:user/test"]),
            asked=Asked(settle_s=0, accept_without_digests=True),
            clock=lambda: Micros(now_micros() + 2_000_000),
        )
    finally:
        ledger.close()


def _as_aws_writes(record):
    parameters = {name[:1].lower() + name[1:]: value for name, value in (record["requestParameters"] or {}).items()}
    parameters.pop("message", None)
    key = parameters.get("keyId", "")
    resources = [{"type": "AWS::KMS::Key", "ARN": key}] if ":key/" in key else []
    return record | {"requestParameters": parameters, "readOnly": True, "resources": resources}


def test_what_was_signed_is_accounted_for_by_what_the_emulator_recorded(world, tmp_path):
    store, registry = world
    trail = LookupTrail(sleep=lambda _: None)
    (tmp_path / "trail").mkdir()
    for number, file in enumerate(trail.files()):
        records = [_as_aws_writes(record) for record in json.loads(trail.read(file))["Records"]]
        (tmp_path / "trail" / f"{number}.json").write_text(json.dumps({"Records": records}))
    trail.close()
    report = account(store, registry, FolderTrail(tmp_path / "trail"))
    assert (report.verdict, report.checked["accounted"], report.checked["unaccounted"]) == (Verdict.VALID, ENTRIES, 0)


def test_records_of_another_shape_than_aws_s_are_no_false_alarm_and_no_proof(world):
    store, registry = world
    trail = LookupTrail(sleep=lambda _: None)
    report = account(store, registry, trail)
    trail.close()
    assert report.verdict is Verdict.INCONCLUSIVE
    assert {finding.code for finding in report.findings} == {AccountCode.TRAIL_BLIND, AccountCode.NOTHING_TO_CHECK}
    assert report.checked["accounted"] == 0
