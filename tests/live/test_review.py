"""The review: one page and a folder that answer a reviewer's questions, and say what could not be read."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

import pytest
from emulator import Emulator

from auditseal.access.generate.policies import Generated, generate
from auditseal.access.generate.roles import Role
from auditseal.cli.entry import run
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from support.iam import Cloud, document

ROW = ALGORITHMS[AlgorithmId.ED25519]


@pytest.fixture
def cloud(strict_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    """The emulator as AWS, and a working directory of its own."""
    for name, value in strict_emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return Cloud(strict_emulator)


@pytest.fixture
def made(cloud: Cloud) -> Generated:
    """A key and a signer as they should be."""
    name = f"arn:aws:iam::000000000000:role/signer-{uuid4().hex[:8]}"
    generated = generate(Role.SIGNER, ROW, key_arn=cloud.key(), role_arn=name)
    cloud.role(name.rpartition("/")[2], json.dumps(generated.iam_policy))
    cloud.put_key_policy(generated.key, json.dumps(generated.key_policy))
    return generated


def review(made: Generated, *options: str) -> int:
    given = ["--key-id", made.key, "--role-arn", made.principal, "--algorithm", "ed25519", "--signer-id", "audit-2026"]
    return run(["review", *given, *options])


class _Checker(HTMLParser):
    """Fails on tags that are not closed, and keeps the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in {"meta", "br", "wbr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(folder: Path) -> str:
    checker = _Checker()
    source = (folder / "review.html").read_text()
    checker.feed(source)
    assert checker.open == []
    assert "<script" not in source
    assert "http" not in source.replace("https://", "http") or "src=" not in source
    return html.unescape(checker.text)


def test_the_page_and_the_folder_answer_the_reviewers_questions(
    made: Generated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert review(made, "--out", "folder") in {1, 3}
    out = capsys.readouterr().out
    assert f"may sign: {made.principal}" in out
    text = page(tmp_path / "folder")
    for wanted in (
        made.key,
        made.principal,
        "NobodyElseSigns",
        "kms:PutKeyPolicy",
        "audit-2026",
        "Every 365 days",
        "kept for 3653 days",
        "auditseal policy check",
        "Everything that was asked for could be read.",
    ):
        assert wanted in text
    names = {path.name for path in (tmp_path / "folder").iterdir()}
    assert names == {
        "review.html",
        "key-policy.json",
        "role-inline-own.json",
        "role-the-trust-policy.json",
        "who-can.json",
        "checklist.json",
        "findings.json",
        "signers-entry.json",
        "proposed-iam-policy.json",
        "proposed-key-policy.json",
        "not-read.json",
    }
    assert json.loads((tmp_path / "folder" / "key-policy.json").read_text()) == made.key_policy
    who = json.loads((tmp_path / "folder" / "who-can.json").read_text())
    signer, taker = who["kms:Sign"]
    assert signer["principal"] == made.principal
    assert taker["path"] == f"takes on {made.principal} (sts:AssumeRole)"


def test_the_proposed_entry_verifies_what_the_key_signs(
    made: Generated, cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    review(made, "--out", "folder")
    capsys.readouterr()
    assert run(["signers", "check", "folder/signers-entry.json"]) == 0
    (entry,) = json.loads((tmp_path / "folder" / "signers-entry.json").read_text())["signers"]
    assert (entry["signerId"], entry["keyArn"], len(entry["fingerprint"])) == ("audit-2026", made.key, 64)


def test_the_folders_own_policies_lint_clean(made: Generated, capsys: pytest.CaptureFixture[str]):
    review(made, "--out", "folder")
    assert run(["policy", "lint", "folder/key-policy.json", "folder/role-inline-own.json"]) == 0


def test_every_finding_leads_to_its_reason_and_to_the_changed_text(
    made: Generated, cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    wide = {"Effect": "Allow", "Action": ["kms:Sign", "kms:CreateGrant"], "Resource": "*"}
    logs = {"Sid": "Logs", "Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "*"}
    name = made.principal.rpartition("/")[2]
    cloud.iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=document(wide, logs))
    assert review(made, "--out", "folder") == 1
    source = (tmp_path / "folder" / "review.html").read_text()
    targets = set(re.findall(r'id="([^"]+)"', source))
    links = set(re.findall(r'href="#([^"]+)"', source))
    assert links <= targets
    assert {"rule-wildcard-key", "rule-signer-administers", "policy-role-inline-more-json"} <= links
    assert re.search(r"<del>-[^<]*kms:CreateGrant[^<]*</del>", source)
    capsys.readouterr()
    changed = json.loads((tmp_path / "folder" / "changed-role-inline-more.json").read_text())
    assert changed["Statement"] == [*made.iam_policy["Statement"], logs]
    assert run(["policy", "lint", "folder/key-policy.json", "folder/changed-role-inline-more.json"]) == 0


def test_findings_and_failures_are_on_the_page(
    made: Generated, cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    wide = {"Effect": "Allow", "Action": ["kms:Sign", "kms:CreateGrant"], "Resource": "*", "Sid": "<b>Wide</b>"}
    name = made.principal.rpartition("/")[2]
    cloud.iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=document(wide))
    assert review(made, "--out", "folder", "-o", "json") == 1
    summary = json.loads(capsys.readouterr().out)
    assert {"wildcard-key", "signer-administers"} <= set(summary["findings"])
    source = (tmp_path / "folder" / "review.html").read_text()
    assert "<b>Wide</b>" not in source
    assert "&lt;b&gt;Wide&lt;/b&gt;" in source
    assert "docs/rules/wildcard-key.md" in source


def test_what_could_not_be_read_is_said_first(
    made: Generated, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    role = cloud.role(
        f"reader-{uuid4().hex[:8]}", document({"Effect": "Allow", "Action": "kms:Desc*", "Resource": "*"})
    )
    session = cloud.session(role)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])
    assert review(made, "--out", "folder") == 3
    text = page(tmp_path / "folder")
    assert "Could not be read" in text
    assert "the key policy: no permission for kms:GetKeyPolicy" in text
    assert "the public key: no permission for kms:GetPublicKey" in text
    assert "could not be read: grants" in capsys.readouterr().out
    assert session["SecretAccessKey"] not in text


def test_an_hmac_key_has_an_entry_without_a_key(cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["review", "--key-id", cloud.key("HMAC_256"), "--out", "folder", "--no-account"]) in {1, 3}
    (entry,) = json.loads((tmp_path / "folder" / "signers-entry.json").read_text())["signers"]
    assert entry["algorithm"] == "hmac-sha256"
    assert "publicKey" not in entry


def test_another_folders_content_is_not_touched(made: Generated, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.json").write_text("{}")
    assert review(made, "--out", "mine") == 2
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "mine" / "notes.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "which key is not said"),
        (["--key-id", "alias/x", "--rotate-days", "9", "--retain-days", "3"], "at least as long"),
    ],
)
def test_bad_input_is_one_line(options: list[str], said: str, cloud: Cloud, capsys: pytest.CaptureFixture[str]):
    assert run(["review", *options]) == 2
    assert said in capsys.readouterr().err
