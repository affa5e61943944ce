"""The checklist on facts that an emulator cannot have: each violation fails its own item, and no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from auditseal.access.checked import Reading, Status
from auditseal.access.checklist import Checklist
from auditseal.access.documents.found import FoundTrail
from auditseal.access.facts import Facts, Identity, KeyFacts
from auditseal.access.generate.policies import generate
from auditseal.access.generate.roles import Role
from auditseal.access.policy import Kind, Policy
from auditseal.access.policy_reading import policy_of
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId

HOME = "111122223333"
KEY = f"arn:aws:kms:eu-central-1:{HOME}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
AGENT = f"arn:aws:iam::{HOME}:role/agent-manager"
ROW = ALGORITHMS[AlgorithmId.RSA_SHA256]
MADE = generate(Role.SIGNER, ROW, key_arn=KEY, role_arn=AGENT)
TRUST = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}


def key_policy(*statements: Any) -> Policy:
    return policy_of({"Version": "2012-10-17", "Statement": list(statements)}, kind=Kind.KEY, name="the key policy")


def trust(**more: Any) -> Policy:
    return policy_of({"Version": "2012-10-17", "Statement": [TRUST | more]}, kind=Kind.TRUST, owner=AGENT)


SIGNER = Identity(arn=AGENT, policies=(policy_of(MADE.iam_policy, owner=AGENT, name="own"),), trust=trust())
GOOD = Facts(
    key=Reading(
        KeyFacts(
            arn=KEY,
            spec="RSA_2048",
            usage="SIGN_VERIFY",
            state="Enabled",
            algorithms=("RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PSS_SHA_256"),
        )
    ),
    key_policy=Reading(key_policy(*MADE.key_policy["Statement"])),
    other_policies=Reading(()),
    grants=Reading(()),
    aliases=Reading(("alias/audit",)),
    role=Reading(SIGNER),
    others=Reading(()),
    trails=Reading((FoundTrail(name="all"),)),
)


def outcomes(facts: Facts = GOOD, **more: Any) -> dict[str, Status]:
    items = Checklist(facts=facts, **({"algorithm": ROW, "require_kms": True} | more)).items()
    return {item.id: item.status for item in items}


def failed(facts: Facts = GOOD, **more: Any) -> set[str]:
    return {id_ for id_, status in outcomes(facts, **more).items() if status is Status.FAIL}


def test_what_is_as_it_should_be_passes():
    assert set(outcomes().values()) == {Status.PASS}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"other_policies": Reading(("AWS_RAM",))}, {"key-policies"}),
        ({"key_policy": Reading(key_policy(MADE.key_policy["Statement"][1]))}, {"who-changes", "rules"}),
        ({"trails": Reading((FoundTrail(name="t", kms=False),))}, {"trail"}),
        ({"trails": Reading((FoundTrail(name="t", logging=False),))}, {"trail"}),
        ({"role": Reading(replace(SIGNER, trust=trust(Principal={"AWS": "444455556666"})))}, {"who-assumes"}),
        ({"role": Reading(replace(SIGNER, policies=()))}, set()),
    ],
)
def test_each_violation_fails_its_own_item(change: dict[str, Any], expected: set[str]):
    assert failed(replace(GOOD, **change)) == expected


def test_an_alias_that_leads_elsewhere_and_a_missing_require_kms_are_named():
    assert "alias" in failed(alias="alias/other")
    assert failed(require_kms=False) == {"require-kms"}
    assert outcomes(require_kms=None)["require-kms"] is Status.NOT_CHECKED


@pytest.mark.parametrize("part", ["key", "key_policy", "other_policies", "grants", "role", "others", "trails"])
def test_a_part_that_was_not_read_is_never_a_pass(part: str):
    before = outcomes()
    after = outcomes(replace(GOOD, **{part: Reading(why="no permission")}))
    assert set(after) == set(before)
    changed = {id_ for id_ in after if after[id_] is not Status.PASS}
    assert changed
    assert {after[id_] for id_ in changed} == {Status.NOT_CHECKED}


def test_only_what_the_key_offers_counts_as_another_way_to_sign():
    wide = {"Effect": "Allow", "Action": "kms:Sign", "Resource": KEY}
    own = policy_of({"Version": "2012-10-17", "Statement": [wide]}, owner=AGENT, name="own")
    facts = replace(
        GOOD,
        role=Reading(replace(SIGNER, policies=(own,))),
        key_policy=Reading(key_policy(MADE.key_policy["Statement"][0])),
    )
    (item,) = [one for one in Checklist(facts=facts, algorithm=ROW).items() if one.id == "signer-pinned"]
    assert "RSASSA_PSS_SHA_256 DIGEST" in item.detail
    assert "ECDSA" not in item.detail
