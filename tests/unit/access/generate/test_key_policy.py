"""A signing key's whole policy, made before the key is: who is named in it, who signs, and what no rule finds."""

from __future__ import annotations

import json

import pytest

from auditseal.access.documents.load import load_documents
from auditseal.access.evaluate import Surroundings, evaluate
from auditseal.access.generate.key_policy import key_policy
from auditseal.access.generate.policies import generate
from auditseal.access.generate.roles import Role, parse_role
from auditseal.access.policy import Kind
from auditseal.access.policy_reading import policy_of
from auditseal.access.request import make_request
from auditseal.access.rules.lint import lint
from auditseal.access.who_can import who_can
from auditseal.core.algorithm import ALGORITHMS, Algorithm, AlgorithmId
from auditseal.errors import InputError

HOME, AWAY = "111122223333", "444455556666"
KEY = f"arn:aws:kms:eu-central-1:{HOME}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ED25519 = ALGORITHMS[AlgorithmId.ED25519]


def role(name: str, account: str = HOME) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


EVERYBODY = {
    Role.SIGNER: role("agent-manager"),
    Role.VERIFIER: role("auditor", AWAY),
    Role.CI: role("ci"),
    Role.ROTATOR: role("rotator"),
    Role.ADMIN: role("admin"),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda algorithm: str(algorithm.id))
def test_one_signs_others_do_their_work_and_no_rule_finds_anything(algorithm: Algorithm):
    made = key_policy(EVERYBODY, account=HOME, algorithm=algorithm)
    report = lint(load_documents([("key.json", json.dumps(made).encode())], Kind.KEY))
    assert {finding.rule.id for finding in report.findings} <= {"one-side"}
    action = "kms:GenerateMac" if algorithm.is_mac else "kms:Sign"
    found = who_can(action, KEY, [policy_of(made, kind=Kind.KEY)])
    assert [one.principal for one in found] == [EVERYBODY[Role.SIGNER]]
    changing = who_can("kms:PutKeyPolicy", KEY, [policy_of(made, kind=Kind.KEY)])
    assert {one.principal for one in changing} == {EVERYBODY[Role.ADMIN], f"arn:aws:iam::{HOME}:root (the root user)"}


def test_a_witness_beside_the_signer_may_sign_as_well():
    made = key_policy({Role.SIGNER: role("a"), Role.WITNESS: role("w")}, account=HOME, algorithm=ED25519)
    found = who_can("kms:Sign", KEY, [policy_of(made, kind=Kind.KEY)])
    assert {one.principal for one in found} == {role("a"), role("w")}


def test_with_an_alias_requests_must_name_it():
    made = key_policy({Role.SIGNER: role("a")}, account=HOME, algorithm=ED25519, alias="alias/audit")
    context = {"kms:SigningAlgorithm": "ED25519_SHA_512", "kms:MessageType": "RAW"}
    given = Surroundings(key_policy=policy_of(made, kind=Kind.KEY))

    def allowed(**more: str) -> bool:
        request = make_request(principal=role("a"), action="kms:Sign", resource=KEY, context=context | more)
        return evaluate(request, given).is_allowed

    assert allowed(**{"kms:RequestAlias": "alias/audit"})
    assert not allowed()


def test_another_partition_names_its_own_root():
    roles = {Role.SIGNER: f"arn:aws-cn:iam::{HOME}:role/a"}
    made = key_policy(roles, account=HOME, algorithm=ED25519, partition="aws-cn")
    assert made["Statement"][0]["Principal"] == {"AWS": f"arn:aws-cn:iam::{HOME}:root"}


def test_the_policies_of_one_role_may_name_the_others_too():
    others = {Role.EXPORTER: role("exporter"), Role.ADMIN: role("admin")}
    made = generate(Role.SIGNER, ED25519, key_arn=KEY, role_arn=role("agent-manager"), also=others)
    whole = key_policy({Role.SIGNER: role("agent-manager"), **others}, account=HOME, algorithm=ED25519)
    assert made.key_policy == whole
    assert "GetPublicKey" not in json.dumps(made.iam_policy)


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({}, "needs somebody who signs"),
        ({Role.EXPORTER: role("x")}, "needs somebody who signs"),
        ({Role.SIGNER: role("a"), Role.ADMIN: role("b", AWAY)}, "no other account change a key"),
        ({Role.SIGNER: f"arn:aws:iam::{HOME}:root"}, "is no role and no user"),
        ({Role.SIGNER: "agent-manager"}, "is not an ARN"),
        ({Role.SIGNER: "arn:aws:iam::ACCOUNT_ID:role/a"}, "still holds the placeholder ACCOUNT_ID"),
    ],
)
def test_roles_that_do_not_fit_are_refused(roles: dict[Role, str], said: str):
    with pytest.raises(InputError, match=said):
        key_policy(roles, account=HOME, algorithm=ED25519)


def test_an_account_and_a_role_must_be_ones():
    with pytest.raises(InputError, match="twelve digits"):
        key_policy({Role.SIGNER: role("a")}, account="12", algorithm=ED25519)
    with pytest.raises(InputError, match="'boss' is no role: use signer, verifier"):
        parse_role("boss")
    with pytest.raises(InputError, match="named twice"):
        generate(Role.SIGNER, ED25519, key_arn=KEY, also={Role.SIGNER: role("a")})
