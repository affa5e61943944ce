"""The whole way, with records of the strict fake KMS: `auditseal append` over HTTP, its CloudTrail, `reconcile`."""

import json
import time

import pytest

from auditseal.adapters.registry_file import save_registry
from auditseal.adapters.signers.aws_kms import KmsSigner
from auditseal.cli.entry import run
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.key import parse_public_key
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.wiring.logs import open_log
from fakes.kms.principals import Principal
from support.kms import calls_to

ENTRIES = 24
SIGNER_ROLE = "arn:aws:iam::111122223333:role/agent-manager"


@pytest.fixture
def account(kms, tmp_path):
    """A log with entries signed by the fake, one of them after an answer that got lost, and its registry."""
    kms.service.principals.add(Principal(access_key="ASIASIGNER0000000001", name="agent-manager"))
    key = kms.create("ECC_NIST_EDWARDS25519", alias="alias/audit")
    registry = Registry(
        signers=(
            RegisteredSigner(
                signer_id="audit-2026",
                algorithm=ALGORITHMS[AlgorithmId.ED25519],
                public_key=parse_public_key(key.public_der()),
                key_arn=key.arn,
            ),
        )
    )
    save_registry(tmp_path / "signers.json", registry)
    return key


def append(kms, tmp_path, monkeypatch, count=ENTRIES):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIASIGNER0000000001")
    signer = KmsSigner(
        signer_id="audit-2026", algorithm=ALGORITHMS[AlgorithmId.ED25519], key_id="alias/audit", calls=calls_to(kms)
    )
    with open_log(f"sqlite:///{tmp_path}/audit.db", signer=signer, create=True) as log:
        for number in range(count):
            log.append("agent.spawned", {"n": number})


def reconcile(kms, tmp_path, capsys, *arguments):
    (tmp_path / "trail.json").write_text(json.dumps({"Records": kms.records()}))
    capsys.readouterr()
    code = run(
        [
            "reconcile",
            *("--log", f"sqlite:///{tmp_path}/audit.db"),
            *("--signers", str(tmp_path / "signers.json")),
            *("--trail", str(tmp_path / "trail.json")),
            *("--principal", SIGNER_ROLE),
            *("--settle", "0s", "--without-digests", "-o", "json"),
            *arguments,
        ]
    )
    return code, json.loads(capsys.readouterr().out)


def codes(report):
    return [(finding["code"], finding["kind"]) for finding in report["findings"] if finding["severity"] != "note"]


def wait_for_the_next_second():
    """CloudTrail's times have whole seconds, and a window ends before its last one."""
    time.sleep(1.01 - time.time() % 1)


def test_what_the_signer_did_is_all_accounted_for(kms, account, tmp_path, monkeypatch, capsys):
    append(kms, tmp_path, monkeypatch)
    wait_for_the_next_second()
    code, report = reconcile(kms, tmp_path, capsys)
    assert (code, codes(report), report["checked"]["accounted"]) == (0, [], ENTRIES)


def test_a_signature_whose_answer_got_lost_is_known_for_a_retry(kms, account, tmp_path, monkeypatch, capsys):
    kms.faults.add("reset-after", operation="Sign", times=1, skip=5)
    append(kms, tmp_path, monkeypatch)
    wait_for_the_next_second()
    code, report = reconcile(kms, tmp_path, capsys)
    assert (code, codes(report)) == (3, [("unaccounted-signature", "retry-beside")])


def test_a_stranger_with_the_key_is_named(kms, account, tmp_path, monkeypatch, capsys):
    append(kms, tmp_path, monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAINTRUDER00000001")
    with_stolen_right = calls_to(kms)
    request = {"KeyId": account.arn, "SigningAlgorithm": "ED25519_SHA_512", "MessageType": "RAW", "Message": b"x" * 32}
    with_stolen_right.call("Sign", request)
    with_stolen_right.close()
    wait_for_the_next_second()
    code, report = reconcile(kms, tmp_path, capsys)
    assert (code, codes(report)) == (1, [("unaccounted-signature", "unexpected-principal")])
    assert report["findings"][0]["principal"].endswith("user/caller-000001")


def test_the_text_names_the_finding_and_its_request(kms, account, tmp_path, monkeypatch, capsys):
    append(kms, tmp_path, monkeypatch, count=3)
    lost = kms.records("Sign")[1]
    left = [item for item in kms.records() if item != lost]
    monkeypatch.setattr(kms, "records", lambda *_: left)
    wait_for_the_next_second()
    reconcile(kms, tmp_path, capsys)
    code = run(
        [
            "reconcile",
            *("--log", f"sqlite:///{tmp_path}/audit.db", "--signers", str(tmp_path / "signers.json")),
            *("--trail", str(tmp_path / "trail.json"), "--principal", SIGNER_ROLE),
            *("--settle", "0s", "--without-digests"),
            *("--metrics", str(tmp_path / "reconcile.prom")),
        ]
    )
    said = capsys.readouterr().out
    assert code == 1
    assert "unwitnessed-signature  default #1" in said
    assert lost["requestID"] in said
    assert 'findings{code="unwitnessed-signature",severity="error"} 1' in (tmp_path / "reconcile.prom").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--settle", "soon"],
        ["--since", "yesterday"],
        ["--key", "audit"],
        ["--webhook", "https://example.org/"],
        ["--digest-keys", "no-such-file"],
    ],
)
def test_a_wrong_option_is_a_usage_error(kms, account, tmp_path, capsys, arguments):
    (tmp_path / "trail.json").write_text('{"Records":[]}')
    usual = ["--log", "audit.jsonl", "--signers", str(tmp_path / "signers.json"), "--trail", str(tmp_path)]
    assert run(["reconcile", *usual, *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
