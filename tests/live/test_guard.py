"""The guard: exit code 0 only where nothing but the configured KMS key can sign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from emulator import Emulator

from auditseal.cli.entry import run
from support.iam import Cloud


@pytest.fixture
def cloud(strict_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    """The emulator as AWS, and a working directory of its own."""
    for name, value in strict_emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return Cloud(strict_emulator)


@pytest.fixture
def key(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """A key that is configured as it should be."""
    arn = cloud.key()
    assert run(["keys", "export", arn, "--signer-id", "audit", "--signers", "signers.json"]) == 0
    monkeypatch.setenv("AUDIT_SIGNING_KMS_KEY_ID", arn)
    monkeypatch.setenv("AUDIT_SIGNER_KID", "audit")
    monkeypatch.setenv("AUDITSEAL_SIGNERS", "signers.json")
    monkeypatch.setenv("REQUIRE_KMS", "true")
    capsys.readouterr()
    return arn


def guard(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    code = run(["guard", "-o", "json", *options])
    captured = capsys.readouterr()
    return code, (json.loads(captured.out) if captured.out else captured.err)


def rules(report: Any) -> list[str]:
    return [finding["rule"] for finding in report["findings"]]


def test_a_configured_key_passes(key: str, capsys: pytest.CaptureFixture[str]):
    code, report = guard(capsys)
    assert (code, report["verdict"], report["findings"]) == (0, "valid", [])


def test_without_require_kms_nothing_is_guarded(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("REQUIRE_KMS")
    code, report = guard(capsys)
    assert (code, report["verdict"]) == (3, "inconclusive")
    assert "REQUIRE_KMS is not true" in report["not_checked"][0]["why"]


def test_a_local_key_in_a_deployment_file_is_an_annotation_on_its_line(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "env.yaml"
    file.write_text("env:\n  REQUIRE_KMS: 'true'\n  AUDIT_SIGNING_PRIVATE_KEY: hush\n")
    assert run(["guard", "env.yaml", "-o", "github"]) == 1
    out = capsys.readouterr().out
    assert out.startswith(
        "::error file=env.yaml,line=3,col=3,title=local-key (fail)::AUDIT_SIGNING_PRIVATE_KEY is set: "
        "with REQUIRE_KMS no local key may be configured. "
    )
    assert "[exit 1]" in out
    assert "hush" not in out


def test_a_local_key_in_the_environment_is_named_without_its_value(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AUDIT_SIGNING_PRIVATE_KEY", "hush")
    monkeypatch.setenv("AUDIT_SIGNING_KEY_SOURCE", "env")
    code, report = guard(capsys)
    assert (code, rules(report)) == (1, ["local-key", "local-key"])
    assert "hush" not in json.dumps(report)


def test_local_keys_in_the_settings_file_and_beside_the_log_are_named(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "auditseal.toml").write_text('log = "sqlite:///audit.db"\n# key_path = "x"\n')
    (tmp_path / ".auditseal").mkdir(exist_ok=True)
    (tmp_path / ".auditseal" / "development-key.pem").write_text("x")
    code, report = guard(capsys)
    assert (code, rules(report)) == (1, ["local-key"])
    assert report["findings"][0]["message"] == "a development key lies beside the log"


def test_no_key_is_bad(key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("AUDIT_SIGNING_KMS_KEY_ID")
    code, report = guard(capsys)
    assert (code, rules(report)) == (1, ["key"])


def test_a_disabled_key_is_bad(key: str, cloud: Cloud, capsys: pytest.CaptureFixture[str]):
    cloud.kms.disable_key(KeyId=key)
    code, report = guard(capsys)
    assert (code, rules(report)) == (1, ["key"])


def test_a_key_that_does_not_exist_is_bad(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AUDIT_SIGNING_KMS_KEY_ID", "alias/nowhere")
    code, report = guard(capsys)
    assert (code, rules(report)) == (1, ["key"])


def test_a_key_of_another_algorithm_is_bad(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AUDIT_SIGNING_ALG", "rsa-sha256")
    code, report = guard(capsys)
    assert (code, rules(report)) == (1, ["algorithm"])


def test_a_key_that_is_not_in_the_registry_is_bad(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AUDIT_SIGNER_KID", "another")
    monkeypatch.setenv("AUDIT_SIGNING_ALG", "ed25519")
    code, report = guard(capsys)
    assert (code, rules(report)) == (1, ["registry"])
    assert "keys export" in report["findings"][0]["fix"]


def test_an_outage_is_not_a_verdict(key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    code, said = guard(capsys)
    assert code == 4
    assert "AWS cannot be reached" in said


def test_an_outage_does_not_hide_a_local_key(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AUDIT_SIGNING_KEY_PATH", "/etc/key")
    code, report = guard(capsys)
    assert (code, rules(report)) == (1, ["local-key"])
    assert "AWS cannot be reached" in report["not_checked"][0]["why"]


@pytest.mark.parametrize("name", ["missing.env", "large.env"])
def test_a_file_that_cannot_be_read_is_one_line(
    name: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "large.env").write_text("x" * (2 * 1024 * 1024))
    code, said = guard(capsys, name)
    assert code == 2
    assert said.startswith(f"auditseal: {name} ")
