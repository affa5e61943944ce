"""The doctor against an emulator: a healthy signer passes, and each fault has a line of its own with the fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from emulator import Emulator

from auditseal.cli.entry import run
from fakes.kms import FakeKms
from support.iam import Cloud, document
from support.postgres_server import PASSWORD, PostgresServer

SETTINGS = ("AUDIT_SIGNING_KMS_KEY_ID", "AUDIT_SIGNER_KID", "AUDIT_SIGNING_ALG", "AUDITSEAL_LOG", "AUDITSEAL_SIGNERS")


@pytest.fixture
def cloud(strict_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    """The emulator as AWS, and a working directory of its own."""
    for name, value in strict_emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return Cloud(strict_emulator)


@pytest.fixture
def key(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """A key that is configured, registered and used by a log."""
    arn = cloud.key()
    assert run(["keys", "export", arn, "--signer-id", "audit", "--signers", "signers.json"]) == 0
    values = (arn, "audit", "ed25519", "sqlite:///audit.db", "signers.json")
    for name, value in zip(SETTINGS, values, strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REQUIRE_KMS", "true")
    assert run(["init"]) == 0
    capsys.readouterr()
    return arn


def doctor(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    code = run(["doctor", "-o", "json", *options])
    report = json.loads(capsys.readouterr().out)
    assert report["exit_code"] == code
    return code, {item["id"]: item for item in report["items"]}


def statuses(items: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {id_: item["status"] for id_, item in items.items()}


def signer_role(cloud: Cloud, key: str, *more: str) -> str:
    statement = {"Effect": "Allow", "Action": ["kms:Sign", *more], "Resource": key}
    return cloud.role(f"signer-{uuid4().hex[:8]}", document(statement))


def take_on(cloud: Cloud, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.session(role)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])


def test_a_healthy_signer_passes_with_a_real_signature(key: str, capsys: pytest.CaptureFixture[str]):
    code, items = doctor(capsys, "--probe", "sign")
    expected = dict.fromkeys(
        ("require-kms", "credentials", "clock", "key", "algorithm", "may-sign", "registry", "database", "backlog"),
        "pass",
    )
    assert statuses(items) == expected | {"policy": "not checked"}
    assert "signed and verified, KMS request " in items["may-sign"]["detail"]
    assert "root in account 000000000000" in items["credentials"]["detail"]
    assert code == 3


def test_dry_run_is_not_tried_where_it_might_sign(key: str, capsys: pytest.CaptureFixture[str]):
    _, items = doctor(capsys)
    assert items["may-sign"]["status"] == "not checked"
    assert "may take DryRun for a real call" in items["may-sign"]["detail"]
    _, items = doctor(capsys, "--probe", "dry-run")
    assert "does not honour DryRun: it signed" in items["may-sign"]["detail"]


def test_the_caller_role_is_judged_and_what_it_may_not_read_is_not_checked(
    key: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    take_on(cloud, signer_role(cloud, key, "kms:DescribeKey"), monkeypatch)
    code, items = doctor(capsys, "--probe", "sign")
    assert items["may-sign"]["status"] == "pass"
    assert "assumed-role/signer-" in items["credentials"]["detail"]
    assert items["policy"]["status"] == "not checked"
    assert "no permission for " in items["policy"]["detail"]
    assert items["registry"]["detail"] == "no permission for kms:GetPublicKey, or the key is disabled"
    assert code == 3


def test_a_role_that_may_too_much_is_named(key: str, cloud: Cloud, capsys: pytest.CaptureFixture[str]):
    role = signer_role(cloud, key, "kms:ScheduleKeyDeletion")
    code, items = doctor(capsys, "--role-arn", role)
    assert (code, items["policy"]["status"]) == (1, "fail")
    assert "signer-changes-nothing" in items["policy"]["detail"]
    assert items["policy"]["fix"] == f"auditseal policy check --role-arn {role}"


def test_a_role_that_may_not_sign_is_named(
    key: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    take_on(
        cloud,
        cloud.role(f"none-{uuid4().hex[:8]}", document({"Effect": "Deny", "Action": "kms:*", "Resource": "*"})),
        monkeypatch,
    )
    code, items = doctor(capsys, "--probe", "sign")
    assert code == 1
    assert items["may-sign"]["status"] == "fail"
    assert "AccessDenied" in items["may-sign"]["detail"]
    assert items["key"]["detail"] == "no permission for kms:DescribeKey"


def test_a_disabled_key_is_named(key: str, cloud: Cloud, capsys: pytest.CaptureFixture[str]):
    cloud.kms.disable_key(KeyId=key)
    code, items = doctor(capsys)
    assert (code, items["key"]["status"]) == (1, "fail")
    assert "enable-key" in items["key"]["fix"]


def test_another_key_in_the_registry_is_named(
    key: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AUDIT_SIGNING_KMS_KEY_ID", cloud.key())
    code, items = doctor(capsys)
    assert (code, items["registry"]["status"]) == (1, "fail")
    assert items["registry"]["fix"].startswith("auditseal keys export arn:aws:kms:")


def test_a_wrong_algorithm_is_named(key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("AUDIT_SIGNING_ALG", "rsa-sha256")
    code, items = doctor(capsys)
    assert (code, items["algorithm"]["status"]) == (1, "fail")


def test_a_missing_database_and_a_development_key_are_named(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AUDITSEAL_LOG", "sqlite:///elsewhere.db")
    (tmp_path / ".auditseal").mkdir(exist_ok=True)
    (tmp_path / ".auditseal" / "development-key.pem").write_text("x")
    code, items = doctor(capsys)
    assert code == 1
    assert items["database"]["status"] == "fail"
    assert items["backlog"]["status"] == "not checked"
    assert items["require-kms"]["status"] == "fail"


def test_contradicting_settings_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("REQUIRE_KMS", "true")
    monkeypatch.setenv("AUDIT_SIGNING_PRIVATE_KEY", "secret-text")
    assert run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "settings  FAIL         the settings are consistent: " in out
    assert "secret-text" not in out


def test_without_a_kms_key_nothing_of_kms_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    code, items = doctor(capsys)
    assert code == 3
    assert items["key"]["status"] == items["may-sign"]["status"] == "not checked"


def test_the_database_is_named_without_its_password(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDITSEAL_LOG", postgres.url(postgres.create_log_database()))
    assert run(["doctor"]) == 3
    out = capsys.readouterr().out
    assert "postgresql://" in out
    assert PASSWORD not in out


def test_an_endpoint_that_does_not_answer_is_named(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    code, items = doctor(capsys)
    assert (code, items["endpoint"]["status"]) == (1, "fail")
    assert items["database"]["status"] == "pass"


def test_dry_run_is_asked_where_it_is_honoured(
    kms: FakeKms,
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", kms.url)
    monkeypatch.setenv("AWS_REGION", kms.region)
    assert run(["keys", "create", "--algorithm", "ed25519", "--alias", "alias/audit"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("AUDIT_SIGNING_KMS_KEY_ID", "alias/audit")
    monkeypatch.setenv("AUDIT_SIGNING_ALG", "ed25519")
    _, items = doctor(capsys, "--probe", "dry-run")
    assert (items["may-sign"]["status"], items["may-sign"]["detail"]) == ("pass", "DryRun")


def test_an_unknown_probe_is_refused(key: str, capsys: pytest.CaptureFixture[str]):
    assert run(["doctor", "--probe", "maybe"]) == 2
    assert "--probe maybe is not one of" in capsys.readouterr().err
