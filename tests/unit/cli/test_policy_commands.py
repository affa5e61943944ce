"""The policy commands: what they print, where, and with which exit code."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from auditseal.access.rules.catalog import RULES
from auditseal.cli.entry import run

POLICIES = Path(__file__).resolve().parents[2] / "vectors" / "policies"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SESSION = "arn:aws:sts::111122223333:assumed-role/auditseal-signer/i-1"
SIGN = ("--context", "kms:SigningAlgorithm=ED25519_SHA_512", "--context", "kms:MessageType=RAW")


@pytest.fixture
def made(tmp_path: Path) -> SimpleNamespace:
    """The generated policies of a signer, as files."""
    files = {}
    for part in ("iam", "key"):
        files[part] = str(tmp_path / f"{part}.json")
        options = ["--role", "signer", "--algorithm", "ed25519", "--key-arn", KEY, "--part", part, "--out", files[part]]
        assert run(["policy", "generate", *options]) == 0
    return SimpleNamespace(**files)


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_lint_names_file_line_rule_and_fix(capsys: pytest.CaptureFixture[str]):
    file = str(POLICIES / "guidance.json")
    assert run(["policy", "lint", file]) == 1
    out, err = said(capsys)
    assert f"{file}:15:19  high  placeholder  AllowKmsSignVerifyGetPublicKey: " in out
    assert "    fix: Put the real value in." in out
    assert out.endswith("5 findings (2 medium, 2 low, 1 high) in 1 policy\n")
    assert err == ""


@pytest.mark.parametrize(("least", "code"), [("high", 0), ("medium", 0), ("low", 1)])
def test_fail_on_decides_what_is_bad(tmp_path: Path, least: str, code: int, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "p.json"
    file.write_text(json.dumps({"Statement": {"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"}}))
    assert run(["policy", "lint", str(file), "--fail-on", least]) == code
    assert "list-not-needed" in said(capsys)[0]


def test_lint_reads_standard_input_and_generated_policies_are_clean(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert run(["policy", "generate", "--algorithm", "ed25519", "--key-arn", KEY]) == 0
    text = said(capsys)[0]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    assert run(["policy", "lint", "-"]) == 0
    assert said(capsys)[0] == "no findings in 2 policies\n"


def test_what_could_not_be_read_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "main.tf"
    file.write_text('resource "aws_iam_policy" "p" {\n  policy = file("p.json")\n}\n')
    assert run(["policy", "lint", str(file)]) == 3
    assert "not checked: aws_iam_policy.p" in said(capsys)[0]


def test_a_file_without_policies_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "main.tf"
    file.write_text('variable "x" {}\n')
    assert run(["policy", "lint", str(file)]) == 3
    assert said(capsys)[0] == "nothing was checked\n"


@pytest.mark.parametrize(
    ("arguments", "said_"),
    [
        (["lint", "no-such-file.json"], "no-such-file.json cannot be read: No such file"),
        (["lint", "p.json", "--as", "bucket"], "--as bucket is no kind of policy"),
        (["lint", "p.json", "--fail-on", "fatal"], "'fatal' is no severity"),
        (["lint", "p.json", "--key-spec", "ED25519"], "--key-spec ED25519 is no key spec"),
        (["lint", "p.json", "-o", "yaml"], "-o yaml is not a format"),
        (["generate", "--algorithm", "ed25519"], "--key-arn is needed"),
        (["generate", "--algorithm", "ed448", "--key-arn", KEY], "unknown signature algorithm 'ed448'"),
        (
            ["generate", "--role", "king", "--algorithm", "ed25519", "--key-arn", KEY],
            "'king' is no role: use signer",
        ),
        (["generate", "--algorithm", "ed25519", "--key-arn", KEY, "--format", "pulumi"], "--format pulumi"),
        (["generate", "--algorithm", "ed25519", "--key-arn", KEY, "--region", "us-east-1"], "the Region is given as"),
        (["generate", "--algorithm", "ed25519", "--key-arn", "arn:aws:kms:REGION:ACCOUNT_ID:key/K"], "placeholder"),
        (
            ["generate", "--algorithm", "ed25519", "--key-arn", KEY, "--format", "terraform", "--part", "iam"],
            "--part is for --format json",
        ),
        (["simulate", "--action", "kms:Sign", "--principal", SESSION, "--resource", KEY], "0 key policies"),
        (["simulate", "--action", "kms:Sign", "--principal", SESSION, "--context", "x"], "is not KEY=VALUE"),
        (["simulate", "--action", "kms:Sign", "--principal", SESSION, "--expect", "maybe"], "--expect maybe"),
        (["who-can", "p.json"], "which key is meant is not said"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    said_: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    Path("p.json").write_text('{"Statement": {"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"}}')
    assert run(["policy", *arguments]) == 2
    out, err = said(capsys)
    assert out == ""
    assert said_ in err
    assert err.count("\n") == 1


def test_simulate_names_the_statement_that_decides(made: SimpleNamespace, capsys: pytest.CaptureFixture[str]):
    given = ["--identity", made.iam, "--key-policy", made.key, "--principal", SESSION, "--resource", KEY]
    assert run(["policy", "simulate", *given, "--action", "kms:Sign", *SIGN]) == 0
    assert said(capsys)[0].startswith("allowed: key policy\n  Allow  ")
    assert run(["policy", "simulate", *given, "--action", "kms:PutKeyPolicy"]) == 1
    assert "explicitly denied: key policy" in said(capsys)[0]
    assert run(["policy", "simulate", *given, "--action", "kms:GetPublicKey", "--expect", "denied", "-o", "json"]) == 0
    answer = json.loads(said(capsys)[0])
    assert answer["result"] == "implicitly denied"
    assert answer["statements"][0]["statement"] == "AccountAdministrators"


def test_simulate_takes_every_kind_of_policy(made: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    silent = tmp_path / "silent.json"
    silent.write_text(json.dumps({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}))
    given = ["--key-policy", made.key, "--principal", SESSION, "--resource", KEY, "--action", "kms:Sign", *SIGN]
    for kind in ("--boundary", "--scp", "--session"):
        assert run(["policy", "simulate", *given, kind, str(silent)]) == 1
        assert said(capsys)[0].startswith("implicitly denied: ")
    grants = tmp_path / "grants.json"
    user = "arn:aws:iam::111122223333:user/u"
    grant = {"GrantId": "g", "KeyId": KEY, "GranteePrincipal": user, "Operations": ["Verify"]}
    grants.write_text(json.dumps({"Grants": [grant]}))
    asked = ["--principal", user, "--resource", KEY, "--action", "kms:Verify", "--grants", str(grants)]
    assert run(["policy", "simulate", "--key-policy", made.key, *asked]) == 0
    assert "allowed: grant" in said(capsys)[0]


def test_simulate_refuses_placeholders_with_their_place(made: SimpleNamespace, capsys: pytest.CaptureFixture[str]):
    given = ["--identity", str(POLICIES / "guidance.json"), "--key-policy", made.key, "--principal", SESSION]
    assert run(["policy", "simulate", *given, "--resource", KEY, "--action", "kms:Sign"]) == 2
    assert "guidance.json: line 15, column 19: " in said(capsys)[1]


def test_who_can_names_principals_and_paths(made: SimpleNamespace, capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "who-can", made.key, made.iam, "--key", KEY]) == 0
    out = said(capsys)[0]
    assert out.startswith(
        "arn:aws:iam::111122223333:role/auditseal-signer\n    key policy, if kms:SigningAlgorithm is "
    )
    assert out.endswith("1 may kms:Sign\n")
    assert run(["policy", "who-can", made.key, "--key", KEY, "--action", "kms:Verify", "-o", "json"]) == 0
    (root,) = json.loads(said(capsys)[0])["principals"]
    assert root["principal"] == "arn:aws:iam::111122223333:root (the root user)"


def test_who_can_says_what_it_could_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = (POLICIES / "microservice.tf").read_text() + 'resource "aws_iam_policy" "x" { policy = file("x") }\n'
    file = tmp_path / "main.tf"
    file.write_text(text)
    assert run(["policy", "who-can", str(file)]) == 3
    assert "not checked: " in said(capsys)[0]


@pytest.mark.parametrize(
    ("form", "sign"),
    [("json", '"Resources"'), ("terraform", 'resource "aws_kms_key"'), ("cloudformation", "Resources:")],
)
def test_a_stack_needs_no_key(form: str, sign: str, capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "generate", "--stack", "--algorithm", "rsa-pss-sha256", "--format", form]) == 0
    assert sign in said(capsys)[0]


def test_the_guidances_profile_is_the_guidances_example(capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "generate", "--profile", "guidance", "--key-arn", KEY]) == 0
    made = json.loads(said(capsys)[0])
    assert made["iam_policy"]["Statement"][0]["Sid"] == "AllowKmsSignVerifyGetPublicKey"
    assert any("both-families" in comment for comment in made["comments"])


def test_every_form_of_findings_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = str(POLICIES / "platform.yaml")
    forms = {form: tmp_path / form for form in ("json", "sarif", "junit", "github", "md")}
    outputs = [option for form, path in forms.items() for option in ("-o", f"{form}={path}")]
    assert run(["policy", "lint", file, *outputs]) == 1
    assert said(capsys)[0] == ""
    findings = json.loads(forms["json"].read_text())["findings"]
    rules = [finding["rule"] for finding in findings]
    sarif = json.loads(forms["sarif"].read_text())["runs"][0]
    assert [result["ruleId"] for result in sarif["results"]] == rules
    assert {rule["id"] for rule in sarif["tool"]["driver"]["rules"]} == set(rules)
    for text in (forms["junit"].read_text(), forms["github"].read_text(), forms["md"].read_text()):
        assert all(rule in text for rule in rules)
    assert all(finding["page"] == RULES[finding["rule"]].page for finding in findings)
