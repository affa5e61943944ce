"""The changed policies: what a rule objects to is gone, what else a policy says has stayed, and no rule finds more."""

from __future__ import annotations

from typing import Any

from auditseal.access.documents.found import Documents
from auditseal.access.generate.guidance import guidance_example
from auditseal.access.generate.policies import generate
from auditseal.access.generate.roles import Role
from auditseal.access.policy import Kind, Policy
from auditseal.access.policy_reading import policy_of
from auditseal.access.remedy import Change, changes
from auditseal.access.rules.lint import lint
from auditseal.access.who_can import who_can
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId

HOME = "111122223333"
KEY = f"arn:aws:kms:eu-central-1:{HOME}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
AGENT, CI = f"arn:aws:iam::{HOME}:role/agent-manager", f"arn:aws:iam::{HOME}:role/ci"
PROPOSED = generate(Role.SIGNER, ALGORITHMS[AlgorithmId.RSA_SHA256], key_arn=KEY, role_arn=AGENT)
ROOT = {"AWS": f"arn:aws:iam::{HOME}:root"}
HANDOVER = {"Sid": "Default", "Effect": "Allow", "Principal": ROOT, "Action": "kms:*", "Resource": "*"}
EXPORTS = {"Sid": "Ci", "Effect": "Allow", "Principal": {"AWS": CI}, "Action": "kms:GetPublicKey", "Resource": "*"}


def key_policy(*statements: Any) -> Policy:
    return policy_of({"Version": "2012-10-17", "Statement": list(statements)}, kind=Kind.KEY, name="the key policy")


def own(name: str, *statements: Any) -> Policy:
    return policy_of({"Version": "2012-10-17", "Statement": list(statements)}, name=name, owner=AGENT)


def changed(*policies: Policy) -> dict[str, Change]:
    findings = lint(Documents(policies=policies)).findings
    return {change.policy: change for change in changes(policies, findings, PROPOSED)}


def test_the_guidances_policies_become_the_generated_ones():
    legacy = guidance_example(KEY)
    made = changed(key_policy(HANDOVER, EXPORTS), own("own", *legacy.iam_policy["Statement"]))
    assert made["own"].after == PROPOSED.iam_policy
    after = made["the key policy"].after
    assert after is not None
    assert after["Statement"] == [HANDOVER, EXPORTS, *PROPOSED.key_policy["Statement"][1:]]


def test_nothing_is_found_in_the_changed_policies_and_one_role_signs():
    partner = {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": ["kms:Sign", "kms:Verify"]}
    wide = {"Sid": "Wide", "Effect": "Allow", "Action": ["kms:Sign", "kms:CreateGrant"], "Resource": "*"}
    made = changed(key_policy(HANDOVER, partner | {"Resource": "*"}, EXPORTS), own("own", wide))
    policies = []
    for change, kind in ((made["the key policy"], Kind.KEY), (made["own"], Kind.IDENTITY)):
        assert change.after is not None
        policies.append(policy_of(dict(change.after), kind=kind, owner=AGENT if kind is Kind.IDENTITY else None))
    assert lint(Documents(policies=tuple(policies))).findings == ()
    assert [one.principal for one in who_can("kms:Sign", KEY, policies)] == [AGENT]


def test_what_has_nothing_to_do_with_the_key_stays():
    logs = {"Sid": "Logs", "Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "*"}
    lists = {"Sid": "List", "Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"}
    made = changed(key_policy(*PROPOSED.key_policy["Statement"]), own("own", lists, logs))
    assert set(made) == {"own"}
    assert made["own"].after == {"Version": "2012-10-17", "Statement": [logs]}
    assert changed(own("own", lists))["own"].after is None


def test_policies_as_they_should_be_do_not_change():
    assert changed(key_policy(*PROPOSED.key_policy["Statement"]), own("own", *PROPOSED.iam_policy["Statement"])) == {}
    single = policy_of({"Version": "2012-10-17", "Statement": PROPOSED.iam_policy["Statement"][0]}, name="own")
    assert changed(single) == {}
