"""Checkpoints with a key of every algorithm in KMS, by the commands, in SQLite, PostgreSQL and an export of either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditseal.cli.entry import run
from auditseal.core.algorithm import AlgorithmId
from fakes.kms import FakeKms

ALGORITHMS = [each for each in AlgorithmId if each is not AlgorithmId.HMAC_SHA256]
ML_DSA = {AlgorithmId.ML_DSA_44, AlgorithmId.ML_DSA_65, AlgorithmId.ML_DSA_87}


def _configure(request, monkeypatch, tmp_path: Path, algorithm: AlgorithmId, *, log: str | None = None) -> None:
    """A working directory with a key in KMS, registered, and an empty log in checkpoint mode."""
    monkeypatch.chdir(tmp_path)
    if algorithm in ML_DSA:  # the emulator does not have them
        kms: FakeKms = request.getfixturevalue("kms")
        environment = {"AWS_ENDPOINT_URL_KMS": kms.url, "AWS_REGION": kms.region}
    else:
        environment = request.getfixturevalue("emulator").environment()
    alias = f"alias/{algorithm}-{tmp_path.name}"
    settings = {
        **environment,
        "AUDIT_SIGNING_KMS_KEY_ID": alias,
        "AUDIT_SIGNER_KID": "audit-2026",
        "AUDITSEAL_SIGNERS": "signers.json",
        "AUDITSEAL_LOG": log or "sqlite:///audit.db",
        "AUDITSEAL_ORIGIN": "example.com/audit",
        "AUDITSEAL_SIGNING_MODE": "checkpoint",
        "REQUIRE_KMS": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    created = ["keys", "create", "--algorithm", str(algorithm), "--alias", alias]
    assert run([*created, "--signer-id", "audit-2026", "--signers", "signers.json"]) == 0
    assert run(["init"]) == 0


def _append(stream: str = "default") -> None:
    assert run(["append", "--type", "agent.spawned", "--payload", '{"agent_id": "a-1"}', "--stream", stream]) == 0


def _report(capsys, *arguments: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = run(["verify", *arguments, "-o", "json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_each_algorithm_signs_checkpoints_that_verify_offline(
    request, monkeypatch, tmp_path, capsys, algorithm: AlgorithmId
):
    _configure(request, monkeypatch, tmp_path, algorithm)
    _append()
    code, report = _report(capsys)
    assert (code, report["verdict"], report["checked"]["checkpoints"]) == (0, "valid", 1)
    assert report["checked"]["signatures"] == 0
    assert run(["prove", "0", "--to", "entry.bundle"]) == 0
    assert run(["prove", "0", "--to", "entry.tlog-proof"]) == 0
    _append()
    assert run(["checkpoint", "consistency", "2", "4", "--to", "growth.json"]) == 0
    monkeypatch.delenv("AWS_ENDPOINT_URL_KMS", raising=False)  # from here on nobody is asked
    for proof in ("entry.bundle", "growth.json"):
        code, report = _report(capsys, proof)
        assert (code, report["verdict"]) == (0, "valid")
    text = Path("entry.bundle").read_text()
    Path("entry.bundle").write_text(text.replace("a-1", "a-2"))
    assert _report(capsys, "entry.bundle")[0] == 1


def test_an_hmac_key_s_checkpoints_are_verified_by_kms_alone(request, monkeypatch, tmp_path, capsys):
    _configure(request, monkeypatch, tmp_path, AlgorithmId.HMAC_SHA256)
    _append()
    assert _report(capsys)[0] == 3
    code, report = _report(capsys, "--ask-kms")
    assert (code, report["verdict"], report["checked"]["checkpoints"]) == (0, "valid", 1)


def test_a_log_in_postgresql_is_checkpointed_exported_and_verified_alike(
    request, monkeypatch, tmp_path, capsys, postgres
):
    address = postgres.url(postgres.create_database())
    _configure(request, monkeypatch, tmp_path, AlgorithmId.ED25519, log=address)
    _append()
    _append("payments")
    assert run(["checkpoint", "create"]) == 0
    code, report = _report(capsys, "--state", "proven.json", "--require", "G1")
    assert (code, report["verdict"]) == (0, "valid")
    assert {stream["stream"] for stream in report["streams"]} == {"default", "payments", "auditseal/heads"}
    assert run(["prove", "payments#0", "--to", "entry.bundle"]) == 0
    assert _report(capsys, "entry.bundle")[0] == 0
    assert run(["export", "--to", "copy.jsonl"]) == 0
    assert _report(capsys, "copy.jsonl", "--state", "proven.json")[0] == 0
    _append()
    code, report = _report(capsys, "--state", "proven.json")
    assert (code, report["checked"]["remembered"]) == (0, 3)
    assert run(["anchor", "publish", "file:anchor.jsonl"]) == 0
    assert _report(capsys, "--anchor", "file:anchor.jsonl")[0] == 0
    code, report = _report(capsys, "copy.jsonl", "--anchor", "file:anchor.jsonl")
    assert code == 1
    assert "truncated" in {finding["code"] for finding in report["findings"]}
    code, report = _report(capsys, "copy.jsonl", "--state", "proven.json")
    assert code == 1
    assert "rolled-back" in {finding["code"] for finding in report["findings"]}
