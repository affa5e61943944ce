"""The guidance's example and three flawed shapes from real life: exactly these findings, at these lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditseal.access.documents.load import load_documents, named_key
from auditseal.access.policy import Kind
from auditseal.access.rules.lint import lint
from auditseal.access.rules.rule import Severity, parse_severity
from auditseal.access.vocabulary import CHANGING
from auditseal.errors import InputError

POLICIES = Path(__file__).resolve().parents[3] / "vectors" / "policies"

EXPECTED = {
    "guidance.json": [
        (4, "both-families"),
        (4, "unpinned-algorithm"),
        (4, "more-than-signing"),
        (15, "placeholder"),
        (17, "list-not-needed"),
    ],
    "microservice.tf": [
        (30, "unpinned-algorithm"),
        (36, "signer-administers"),
        (38, "via-service"),
        (60, "both-families"),
        (60, "unpinned-algorithm"),
        (64, "alias-as-resource"),
        (66, "unpinned-algorithm"),
        (70, "wildcard-key"),
        (72, "for-all-values"),
    ],
    "platform.yaml": [
        (12, "no-account-root"),
        (17, "signer-administers"),
        (22, "open-principal"),
        (28, "deny-breaks-signer"),
        (35, "unknown-value"),
        (39, "confused-deputy"),
        (42, "inert-statement"),
        (53, "blind-trail"),
    ],
    "partner-key.json": [
        (1, "no-account-root"),
        (8, "unknown-action"),
        (11, "one-side"),
        (17, "mixed-families"),
        (17, "unknown-value"),
        (19, "both-families"),
        (19, "inert-statement"),
        (19, "unpinned-algorithm"),
        (22, "signer-administers"),
        (23, "not-action"),
    ],
}


def check(name: str, text: str, **options: str):
    documents = load_documents([(name, text.encode())])
    return lint(named_key(documents, options.get("spec")), account=options.get("account"))


@pytest.mark.parametrize("name", EXPECTED)
def test_every_planted_flaw_is_found_and_nothing_else(name: str):
    report = lint(load_documents([(name, (POLICIES / name).read_bytes())]))
    assert [(finding.place.line, finding.rule.id) for finding in report.findings] == EXPECTED[name]
    assert {finding.source for finding in report.findings} == {name}


def test_a_finding_says_what_where_and_what_it_may_have_meant():
    report = lint(load_documents([("p.json", (POLICIES / "partner-key.json").read_bytes())]))
    messages = {finding.rule.id: finding.message for finding in report.findings}
    assert messages["unknown-value"] == "kms:MacAlgorithm is never 'HMAC_SHA256': did you mean HMAC_SHA_256?"
    assert messages["unknown-action"] == "there is no action kms:Sing: did you mean kms:Sign?"


def test_a_spec_from_outside_tells_the_family_of_a_bare_policy():
    text = '{"Statement": {"Effect": "Allow", "Action": "kms:Sign", "Resource": "arn:aws:kms:eu-west-1:1:key/1"}}'
    assert "wrong-family" in {finding.rule.id for finding in check("p.json", text, spec="HMAC_256").findings}
    assert "wrong-family" not in {finding.rule.id for finding in check("p.json", text, spec="RSA_2048").findings}


def test_an_identity_policy_on_another_accounts_key_needs_the_key_policy():
    text = (
        '{"Statement": {"Effect": "Allow", "Action": "kms:GetPublicKey",'
        ' "Resource": "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}}'
    )
    assert {finding.rule.id for finding in check("p.json", text, account="444455556666").findings} == {"one-side"}
    assert check("p.json", text, account="111122223333").findings == ()


def test_two_policies_of_one_role_are_looked_at_together():
    text = """
resource "aws_iam_role_policy" "sign" {
  role   = "agent"
  policy = jsonencode({ Statement = [{ Effect = "Allow", Action = "kms:Sign", Resource = aws_kms_key.k.arn }] })
}
resource "aws_iam_role_policy" "rotate" {
  role   = "agent"
  policy = jsonencode({ Statement = [{ Effect = "Allow", Action = "kms:UpdateAlias", Resource = "*" }] })
}
"""
    found = [finding for finding in check("a.tf", text).findings if finding.rule.id == "signer-administers"]
    assert [finding.policy for finding in found] == ["aws_iam_role_policy.rotate"]


def test_a_deny_about_the_network_or_other_callers_is_not_judged():
    text = """{"Statement": [
      {"Effect": "Allow", "Action": "kms:Verify", "Resource": "arn:aws:kms:eu-west-1:1:key/1"},
      {"Effect": "Deny", "Action": "kms:*", "Resource": "*",
       "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
      {"Effect": "Deny", "Action": "kms:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    ]}"""
    assert check("p.json", text).findings == ()


def test_a_key_policy_is_linted_as_such_only_if_it_is_one():
    text = '{"Statement": {"Effect": "Allow", "Action": "kms:Verify", "Resource": "*"}}'
    bare = lint(load_documents([("p.json", text.encode())], Kind.KEY))
    assert {finding.rule.id for finding in bare.findings} == {"inert-statement", "lock-out"}


def test_severities_have_an_order_and_names():
    report = lint(load_documents([("p.json", (POLICIES / "guidance.json").read_bytes())]))
    assert [len(report.at_or_above(severity)) for severity in (Severity.HIGH, Severity.MEDIUM, Severity.LOW)] == [
        1,
        3,
        5,
    ]
    assert parse_severity("high") is Severity.HIGH
    with pytest.raises(InputError):
        parse_severity("fatal")


@pytest.mark.parametrize("action", sorted(CHANGING))
@pytest.mark.parametrize("kind", ["iam", "key"])
def test_a_signer_may_have_no_right_to_change_the_key(action: str, kind: str):
    who = {} if kind == "iam" else {"Principal": {"AWS": "arn:aws:iam::111122223333:role/agent"}}
    statements = [{"Effect": "Allow", "Action": name, "Resource": "*", **who} for name in ("kms:Sign", action)]
    found = check("p.json", json.dumps({"Version": "2012-10-17", "Statement": statements})).findings
    (finding,) = [one for one in found if one.rule.id == "signer-administers"]
    assert action in finding.message
    assert finding.statement == "statement 2"


@pytest.mark.parametrize(
    ("action", "spec"),
    [
        ("kms:Sign", "HMAC_256"),
        ("kms:Verify", "HMAC_256"),
        ("kms:GenerateMac", "RSA_2048"),
        ("kms:VerifyMac", "ML_DSA_65"),
    ],
)
def test_an_action_of_the_other_family_is_found(action: str, spec: str):
    text = json.dumps({"Statement": {"Effect": "Allow", "Action": action, "Resource": "arn:aws:kms:eu-west-1:1:key/1"}})
    assert "wrong-family" in {finding.rule.id for finding in check("p.json", text, spec=spec).findings}


@pytest.mark.parametrize(
    "resource", ["*", "arn:aws:kms:*:*:*", "arn:aws:kms:eu-west-1:111122223333:key/*", "arn:aws:kms:*"]
)
@pytest.mark.parametrize("action", ["kms:Sign", "kms:GenerateMac", "kms:S*", "kms:*"])
def test_every_pattern_that_lets_several_keys_sign_is_found(action: str, resource: str):
    text = json.dumps({"Statement": {"Effect": "Allow", "Action": action, "Resource": resource}})
    assert "wildcard-key" in {finding.rule.id for finding in check("p.json", text).findings}
