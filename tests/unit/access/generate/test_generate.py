"""Generated policies let each role do its work and nothing else, in every format; no rule finds anything in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auditseal.access import vocabulary
from auditseal.access.documents.load import load_documents
from auditseal.access.evaluate import Surroundings, evaluate
from auditseal.access.generate.guidance import guidance_example
from auditseal.access.generate.policies import Generated, generate
from auditseal.access.generate.render import RENDERERS
from auditseal.access.generate.roles import SAME_ACCOUNT_ONLY, Role
from auditseal.access.policy import Kind
from auditseal.access.policy_reading import policy_of
from auditseal.access.request import make_request
from auditseal.access.rules.lint import lint
from auditseal.access.who_can import who_can
from auditseal.core.algorithm import ALGORITHMS, Algorithm, AlgorithmId
from auditseal.errors import InputError

HOME, AWAY = "111122223333", "444455556666"
KEY = f"arn:aws:kms:eu-central-1:{HOME}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALL = f"arn:aws:iam::{HOME}:user/all-powerful"
ENDINGS = {"json": "p.json", "terraform": "p.tf", "cloudformation": "p.yaml"}
NOT_FOR_MAC = {Role.EXPORTER, Role.WITNESS}
PAIRS = [
    (role, algorithm)
    for role in Role
    for algorithm in ALGORITHMS.values()
    if not (algorithm.is_mac and role in NOT_FOR_MAC)
]


def ids(pair: Any) -> str:
    return str(getattr(pair, "id", pair))


def make(role: Role, algorithm: Algorithm, **options: Any) -> Generated:
    return generate(role, algorithm, key_arn=KEY, **options)


def expected_actions(role: Role, algorithm: Algorithm) -> set[str]:
    mac = algorithm.is_mac
    public = set() if mac else {"kms:GetPublicKey"}
    return {
        Role.SIGNER: {"kms:GenerateMac" if mac else "kms:Sign"},
        Role.WITNESS: {"kms:Sign"},
        Role.VERIFIER: {"kms:VerifyMac" if mac else "kms:Verify"},
        Role.EXPORTER: {"kms:GetPublicKey", "kms:DescribeKey"},
        Role.CI: {"kms:DescribeKey"} | public,
        Role.ROTATOR: {"kms:DescribeKey", "kms:DisableKey"} | public,
        Role.ADMIN: {
            "kms:CancelKeyDeletion",
            "kms:DescribeKey",
            "kms:DisableKey",
            "kms:EnableKey",
            "kms:GetKeyPolicy",
            "kms:ListGrants",
            "kms:ListKeyPolicies",
            "kms:ListResourceTags",
            "kms:PutKeyPolicy",
            "kms:RevokeGrant",
            "kms:ScheduleKeyDeletion",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateKeyDescription",
        },
    }[role]


def context(algorithm: Algorithm, **more: str) -> dict[str, str]:
    if algorithm.is_mac:
        return {"kms:MacAlgorithm": algorithm.kms_signing_algorithm, **more}
    assert algorithm.kms_message_type is not None
    return {
        "kms:SigningAlgorithm": algorithm.kms_signing_algorithm,
        "kms:MessageType": algorithm.kms_message_type,
        **more,
    }


def allowed(made: Generated, action: str, asked: dict[str, str], principal: str | None = None) -> bool:
    wide = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    identity = made.iam_policy if principal is None else wide
    given = Surroundings(identity=[policy_of(identity)], key_policy=policy_of(made.key_policy, kind=Kind.KEY))
    request = make_request(principal=principal or made.principal, action=action, resource=KEY, context=asked)
    return evaluate(request, given).is_allowed


@pytest.mark.parametrize(("role", "algorithm"), PAIRS, ids=ids)
@pytest.mark.parametrize("crossing", [False, True], ids=["same-account", "cross-account"])
def test_a_role_may_do_its_work_and_nothing_else(role: Role, algorithm: Algorithm, crossing: bool):
    if crossing and role in SAME_ACCOUNT_ONLY:
        with pytest.raises(InputError, match="no other account"):
            make(role, algorithm, cross_account=AWAY)
        return
    made = make(role, algorithm, cross_account=AWAY if crossing else None)
    may = {action for action in vocabulary.names() if allowed(made, action, context(algorithm))}
    on_key = {action for action in may if "key" in vocabulary.actions()[action.lower()].resources}
    assert on_key == expected_actions(role, algorithm)


@pytest.mark.parametrize(("role", "algorithm"), PAIRS, ids=ids)
@pytest.mark.parametrize("form", RENDERERS)
def test_no_rule_finds_anything_in_any_format(role: Role, algorithm: Algorithm, form: str):
    for crossing in (None, AWAY) if role not in SAME_ACCOUNT_ONLY else (None,):
        made = make(role, algorithm, alias="alias/audit", cross_account=crossing)
        documents = load_documents([(ENDINGS[form], RENDERERS[form](made).encode())])
        report = lint(documents, account=crossing or HOME)
        expected = {"one-side"} if form == "cloudformation" and crossing else set()
        assert {finding.rule.id for finding in report.findings} == expected
        assert report.unread == ()


@pytest.mark.parametrize("form", RENDERERS)
def test_every_format_holds_the_same_policy(form: str):
    made = make(Role.SIGNER, ALGORITHMS[AlgorithmId.ED25519], alias="alias/audit")
    documents = load_documents([(ENDINGS[form], RENDERERS[form](made).encode())])
    found = next(policy for policy in documents.policies if policy.kind is Kind.IDENTITY)
    wanted = policy_of(made.iam_policy)
    assert [(s.sid, str(s.actions), str(s.resources)) for s in found.statements] != []
    assert [
        (s.sid, [str(a) for a in s.actions or ()], [str(r) for r in s.resources or ()]) for s in found.statements
    ] == [(s.sid, [str(a) for a in s.actions or ()], [str(r) for r in s.resources or ()]) for s in wanted.statements]
    assert [str(c) for s in found.statements for c in s.conditions] == [
        str(c) for s in wanted.statements for c in s.conditions
    ]


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ids)
def test_nobody_but_the_signer_signs_whatever_other_policies_say(algorithm: Algorithm):
    made = make(Role.SIGNER, algorithm)
    action = "kms:GenerateMac" if algorithm.is_mac else "kms:Sign"
    assert allowed(made, action, context(algorithm))
    assert not allowed(made, action, context(algorithm), ALL)
    assert not allowed(made, action, context(algorithm), HOME)
    assert allowed(made, "kms:PutKeyPolicy", {}, ALL)
    able = who_can(
        action, KEY, [policy_of(made.key_policy, kind=Kind.KEY), policy_of(made.iam_policy, owner=made.principal)]
    )
    assert [one.principal for one in able] == [made.principal]


def test_a_signer_changes_nothing_even_with_every_right():
    made = make(Role.SIGNER, ALGORITHMS[AlgorithmId.RSA_SHA256])
    for action in (
        "kms:PutKeyPolicy",
        "kms:CreateGrant",
        "kms:UpdateAlias",
        "kms:ScheduleKeyDeletion",
        "kms:DisableKey",
    ):
        assert not allowed(made, action, {}, made.principal)


@pytest.mark.parametrize(
    ("algorithm", "wrong"),
    [
        ("rsa-sha256", {"kms:SigningAlgorithm": "RSASSA_PSS_SHA_256"}),
        ("rsa-sha256", {"kms:MessageType": "RAW"}),
        ("ed25519", {"kms:MessageType": "DIGEST"}),
        ("hmac-sha256", {"kms:MacAlgorithm": "HMAC_SHA_512"}),
    ],
)
def test_the_algorithm_and_the_message_type_are_pinned(algorithm: str, wrong: dict[str, str]):
    row = ALGORITHMS[AlgorithmId(algorithm)]
    action = "kms:GenerateMac" if row.is_mac else "kms:Sign"
    assert not allowed(make(Role.SIGNER, row), action, context(row) | wrong)


def test_with_an_alias_requests_must_name_it_and_no_alias_is_a_resource():
    row = ALGORITHMS[AlgorithmId.ED25519]
    made = make(Role.SIGNER, row, alias=f"arn:aws:kms:eu-central-1:{HOME}:alias/audit")
    assert not allowed(made, "kms:Sign", context(row))
    assert allowed(made, "kms:Sign", context(row) | {"kms:RequestAlias": "alias/audit"})
    assert ":alias/" not in json.dumps(made.iam_policy)


def test_a_rotator_makes_keys_of_the_kind_and_moves_the_alias():
    made = make(Role.ROTATOR, ALGORITHMS[AlgorithmId.ED25519], alias="alias/audit")
    by_sid = {statement["Sid"]: statement for statement in made.iam_policy["Statement"]}
    assert by_sid["CreateNextKey"]["Condition"]["StringEquals"]["kms:KeySpec"] == "ECC_NIST_EDWARDS25519"
    assert by_sid["MoveAlias"]["Resource"].endswith(":alias/audit")
    assert by_sid["PointAliasAtKeys"]["Resource"].endswith(":key/*")


def test_both_sides_of_a_cross_account_permission_are_made():
    row = ALGORITHMS[AlgorithmId.ED25519]
    made = make(Role.EXPORTER, row, cross_account=AWAY)
    assert made.principal == f"arn:aws:iam::{AWAY}:role/auditseal-exporter"
    assert made.crosses_accounts
    assert "Both sides are needed" in " ".join(made.comments)
    request = make_request(principal=made.principal, action="kms:GetPublicKey", resource=KEY)
    one_side = Surroundings(key_policy=policy_of(made.key_policy, kind=Kind.KEY))
    assert not evaluate(request, one_side).is_allowed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key_arn": "arn:aws:kms:REGION:ACCOUNT_ID:key/KEY_ID"}, "placeholder"),
        ({"region": "us-east-1"}, "the Region is given as us-east-1"),
        ({"account": AWAY}, "the account is given as"),
        ({"alias": "arn:aws:kms:us-east-1:111122223333:alias/audit"}, "is not in eu-central-1"),
        ({"cross_account": HOME}, "the key's own account"),
        ({"cross_account": "4444"}, "twelve digits"),
        ({"role_arn": f"arn:aws:iam::{AWAY}:role/x"}, "no role of account"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(options: dict[str, str], said: str):
    with pytest.raises(InputError, match=said):
        generate(Role.SIGNER, ALGORITHMS[AlgorithmId.ED25519], **({"key_arn": KEY} | options))


@pytest.mark.parametrize("role", sorted(NOT_FOR_MAC))
def test_a_role_that_an_hmac_key_cannot_serve_is_refused(role: Role):
    with pytest.raises(InputError, match="HMAC"):
        make(role, ALGORITHMS[AlgorithmId.HMAC_SHA256])


def test_the_guidances_example_carries_what_is_wrong_in_it():
    made = guidance_example(KEY)
    text = RENDERERS["terraform"](made)
    for rule in ("both-families", "unpinned-algorithm", "more-than-signing", "list-not-needed"):
        assert f"# {rule} " in text
    assert "Do not use it as it is" in text
    assert made.iam_policy["Statement"][0]["Action"][0] == "kms:Sign"


@pytest.mark.parametrize(("form", "said"), [("terraform", "aws_iam_user_policy"), ("cloudformation", "Users:")])
def test_a_user_gets_a_user_policy(form: str, said: str):
    made = make(Role.SIGNER, ALGORITHMS[AlgorithmId.ED25519], role_arn=f"arn:aws:iam::{HOME}:user/ops/bob")
    text = RENDERERS[form](made)
    assert said in text
    found = next(one for one in load_documents([(ENDINGS[form], text.encode())]).policies if one.kind is Kind.IDENTITY)
    assert found.owner == "bob"
