"""The policy commands on bad input: one line that says what, where and what to do; and nothing asked of AWS for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditseal.cli.entry import run

KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = "arn:aws:iam::111122223333:role/agent"
IDENTITY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:Sign", "Resource": KEY}]}
ROOT = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}
FILES = {
    "identity.json": json.dumps(IDENTITY),
    "key.json": json.dumps({"Version": "2012-10-17", "Statement": [ROOT]}),
    "words.json": '{"Statement":\n{"Effect": "Allow", "Action": "kms:Sign",\n"Resource": "arn:aws:kms:REGION:1:key"}}',
    "list.json": "[1, 2]",
    "version.json": '{"Version": "2030-01-01", "Statement": [{"Effect": "Allow"}]}',
    "large.json": "x" * (2 * 1024 * 1024),
}
SIMULATE = ["policy", "simulate", "--principal", ROLE, "--action", "kms:Sign", "--resource", KEY]
GENERATE = ["policy", "generate", "--algorithm", "ed25519"]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["policy", "lint", "large.json"], "large.json has 1,048,577 bytes: no policy or template is larger"),
        (["policy", "lint", "list.json"], "list.json: line 1, column 2: this is not a policy"),
        (["policy", "lint", "version.json"], "version.json: line 1, column 13: unknown policy version '2030-01-01'"),
        ([*SIMULATE, "--key-policy", "identity.json"], "line 1, column 41: a key policy's statement needs a Principal"),
        ([*SIMULATE, "--key-policy", "key.json", "--identity", "words.json"], "words.json: line 3, column 13: "),
        ([*SIMULATE, "--key-policy", "key.json", "--action", "kms:Sgin"], "no action kms:Sgin: did you mean kms:Sign?"),
        ([*SIMULATE, "--key-policy", "key.json", "--resource", "alias/x"], "--resource alias/x is not an ARN"),
        ([*SIMULATE], "0 key policies: give the key's one"),
        (["policy", "who-can", "key.json"], "which key is meant is not said: give its ARN as --key"),
        (["policy", "who-can", "key.json", "words.json", "--key", KEY], "still holds the placeholder REGION"),
        (["policy", "who-can", "key.json", "--key", KEY, "--action", "kms:Sgin"], "did you mean kms:Sign?"),
        (["policy", "cost", "--rate", "inf", "--algorithm", "ed25519"], "must be positive"),
        ([*GENERATE], "--key-arn is needed"),
        ([*GENERATE, "--key-arn", KEY, "--region", "us-east-1"], "the Region is given as us-east-1, and "),
        ([*GENERATE, "--key-arn", "arn:aws:kms:REGION:ACCOUNT_ID:key/KEY_ID"], "still holds the placeholder REGION"),
        ([*GENERATE, "--key-arn", KEY, "--out", "nowhere/p.json"], "--out nowhere/p.json cannot be written"),
        ([*GENERATE, "--key-arn", KEY, "--with", "exporter"], "--with exporter is not ROLE=ARN"),
        ([*GENERATE, "--part", "key", "--account", "111122223333"], "--role-arn is needed: the signer"),
        ([*GENERATE, "--stack", "--key-arn", KEY], "--key-arn has no place in a --stack"),
        (["policy", "check", "--key-id", "nonsense/x"], "'nonsense/x' names no KMS key"),
        (["policy", "check", "--key-id", KEY.replace("eu-central-1", "REGION")], "still holds the placeholder REGION"),
        (["policy", "check", "--key-id", KEY.replace("eu-central-1", "us-east-1")], "AWS_REGION is eu-central-1, and "),
        (["review", "--key-id", KEY, "--role-arn", f"{ROLE}".replace("role/", "user/")], "is no role"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")


def test_a_new_keys_policy_needs_no_key(capsys: pytest.CaptureFixture[str]):
    given = ["--part", "key", "--account", "111122223333", "--role-arn", ROLE, "--with", f"ci={ROLE}-ci"]
    assert run([*GENERATE, *given]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["Version"] == "2012-10-17"
    assert {"SignAuditEntriesAsSigner", "CheckKeyStateAsCi", "NobodyElseSigns"} <= {
        statement["Sid"] for statement in made["Statement"]
    }
    assert KEY not in json.dumps(made)


def test_who_can_says_how_many_and_by_which_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "who-can", "key.json", "identity.json", "--key", KEY, "-o", "json", "-o", "text=t"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in report["principals"]] == [
        "account root in the key policy and identity policy",
        "key policy",
    ]
    assert (tmp_path / "t").read_text().endswith("2 may kms:Sign\n")
