"""Requests are decided in AWS's order, and the decision names the statement and the path."""

from __future__ import annotations

from typing import Any

import pytest

from auditseal.access.evaluate import Decision, Result, Surroundings, evaluate
from auditseal.access.grant import Grant, parse_grant
from auditseal.access.node import node_of
from auditseal.access.policy import Kind, Policy
from auditseal.access.policy_reading import policy_of
from auditseal.access.request import make_request
from auditseal.errors import InputError

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = "arn:aws:iam::111122223333:role/service/agent-manager"
SESSION = "arn:aws:sts::111122223333:assumed-role/agent-manager/i-1"
FOREIGN = "arn:aws:sts::444455556666:assumed-role/ci/job"
PURE = "ED25519_SHA_512"
ALIASES = ["alias/b", "alias/a"]
ROOT = {"AWS": "arn:aws:iam::111122223333:root"}


def statement(effect: str = "Allow", action: Any = "kms:Sign", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any], kind: Kind = Kind.IDENTITY) -> Policy:
    return policy_of({"Version": "2012-10-17", "Statement": list(statements)}, kind=kind, name="p")


def key_policy(*statements: dict[str, Any]) -> Policy:
    return policy(*statements, kind=Kind.KEY)


def decide(
    given: Surroundings,
    principal: str = SESSION,
    *,
    action: str = "kms:Sign",
    resource: str = KEY,
    context: Any = None,
    role: str | None = None,
) -> Decision:
    request = make_request(principal=principal, action=action, resource=resource, context=context, role=role)
    return evaluate(request, given)


HANDS_OVER = key_policy(statement(action="kms:*", Principal=ROOT))


def test_the_key_policy_hands_over_to_an_identity_policy():
    given = Surroundings(key_policy=HANDS_OVER, identity=[policy(statement(Sid="Signing", resource=KEY))])
    decision = decide(given)
    assert decision.is_allowed
    assert decision.path == "account root in the key policy and identity policy"
    assert [hit.statement.label for hit in decision.hits] == ["statement 1", "Signing"]
    assert [hit.label for hit in decision.hits] == ["p: statement 1", "p: Signing"]


def test_without_the_account_in_the_key_policy_identity_policies_count_for_nothing():
    other = key_policy(statement(Principal={"AWS": "arn:aws:iam::111122223333:role/another"}))
    decision = decide(Surroundings(key_policy=other, identity=[policy(statement())]))
    assert decision.result is Result.IMPLICITLY_DENIED
    assert "neither names the caller nor hands over" in decision.path


def test_the_key_policy_alone_can_allow_a_role_of_its_account():
    named = key_policy(statement(Principal={"AWS": ROLE}))
    assert decide(Surroundings(key_policy=named)).path == "key policy"


def test_a_role_with_a_path_is_told_from_one_without_where_its_arn_is_known():
    named = key_policy(statement(Principal={"AWS": "arn:aws:iam::111122223333:role/agent-manager"}))
    assert decide(Surroundings(key_policy=named)).is_allowed
    assert not decide(Surroundings(key_policy=named), role=ROLE).is_allowed


def test_a_deny_anywhere_wins_over_everything():
    grant = Grant(id="g", key=KEY, grantee=ROLE, operations=frozenset({"Sign"}))
    given = Surroundings(key_policy=HANDS_OVER, identity=[policy(statement(), statement("Deny"))], grants=[grant])
    decision = decide(given, role=ROLE)
    assert decision.result is Result.EXPLICITLY_DENIED
    assert decision.hits[0].statement.index == 1


@pytest.mark.parametrize("limit", ["boundaries", "session"])
def test_a_boundary_and_a_session_policy_limit_a_role(limit: str):
    silent = [policy(statement(action="kms:Verify"))]
    by_role = Surroundings(key_policy=key_policy(statement(Principal={"AWS": ROLE})), **{limit: silent})
    assert not decide(by_role).is_allowed
    by_session = Surroundings(key_policy=key_policy(statement(Principal={"AWS": SESSION})), **{limit: silent})
    assert decide(by_session).is_allowed


def test_every_level_of_service_control_policies_must_allow():
    wide, narrow = [policy(statement(action="*"))], [policy(statement(action="s3:*"))]
    given = Surroundings(key_policy=HANDS_OVER, identity=[policy(statement())], scps=[wide, wide])
    assert decide(given).is_allowed
    limited = Surroundings(key_policy=HANDS_OVER, identity=[policy(statement())], scps=[wide, narrow])
    assert "service control policy" in decide(limited).path


def test_another_account_needs_both_sides():
    theirs = key_policy(statement(Principal={"AWS": "arn:aws:iam::444455556666:root"}))
    identity = [policy(statement(resource=KEY))]
    assert decide(Surroundings(key_policy=theirs, identity=identity), FOREIGN).is_allowed
    assert "no identity policy of its own" in decide(Surroundings(key_policy=theirs), FOREIGN).path
    assert "key policy does not allow" in decide(Surroundings(key_policy=HANDS_OVER, identity=identity), FOREIGN).path


def test_the_root_user_is_what_the_root_statement_names():
    assert decide(Surroundings(key_policy=HANDS_OVER), "111122223333").path == "key policy"


def test_a_grant_allows_its_operations_and_no_other():
    grant = parse_grant(
        node_of({"GrantId": "g", "KeyId": KEY, "GranteePrincipal": ROLE, "Operations": ["Sign"], "Name": "audit"})
    )
    given = Surroundings(key_policy=HANDS_OVER, grants=[grant])
    decision = decide(given, role=ROLE)
    assert (decision.path, decision.grant) == ("grant", grant)
    assert grant.label == "grant audit"
    assert not decide(given, role=ROLE, action="kms:GetPublicKey").is_allowed
    assert not decide(given, principal=FOREIGN).is_allowed


def test_what_is_no_grant_is_refused():
    with pytest.raises(InputError, match="this is no grant"):
        parse_grant(node_of({"GrantId": "g"}))


def test_an_alias_as_resource_gives_nothing_on_the_key():
    alias = "arn:aws:kms:eu-west-1:111122223333:alias/audit"
    given = Surroundings(key_policy=HANDS_OVER, identity=[policy(statement(resource=alias))])
    assert not decide(given).is_allowed


def test_what_has_no_policy_of_its_own_is_decided_by_identity_policies():
    given = Surroundings(identity=[policy(statement(action="kms:ListKeys"))])
    assert decide(given, action="kms:ListKeys", resource="*").path == "identity policy"
    assert not decide(Surroundings(), action="kms:ListKeys", resource="*").is_allowed


def test_not_principal_spares_whom_it_names():
    deny = {"Effect": "Deny", "NotPrincipal": {"AWS": [ROLE, SESSION]}, "Action": "kms:*", "Resource": "*"}
    given = Surroundings(key_policy=key_policy(statement(action="kms:*", Principal="*"), deny))
    assert decide(given).is_allowed
    assert decide(given, "arn:aws:iam::111122223333:user/alice").result is Result.EXPLICITLY_DENIED


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        ({"StringEquals": {"kms:SigningAlgorithm": "ED25519_SHA_512"}}, {"kms:SigningAlgorithm": PURE}, True),
        ({"StringEquals": {"kms:SigningAlgorithm": "ED25519"}}, {"kms:SigningAlgorithm": PURE}, False),
        ({"StringEquals": {"kms:MessageType": "RAW"}}, {}, False),
        ({"StringNotEquals": {"kms:MessageType": "RAW"}}, {}, True),
        ({"StringEqualsIfExists": {"kms:MessageType": "RAW"}}, {}, True),
        ({"ForAllValues:StringEquals": {"kms:ResourceAliases": "alias/a"}}, {}, True),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/a"}}, {}, False),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/a"}}, {"kms:ResourceAliases": ALIASES}, True),
        ({"StringEquals": {"kms:ResourceAliases": "alias/a"}}, {"kms:ResourceAliases": ["alias/a"]}, False),
        ({"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}, {}, False),
        ({"Null": {"kms:RequestAlias": "true"}}, {}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "10.1.1.1"}, True),
        ({"IpAddress": {"aws:SourceIp": "nonsense"}}, {"aws:SourceIp": "10.1.1.1"}, False),
        ({"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}, {"aws:MultiFactorAuthAge": "60"}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, {"aws:CurrentTime": "2027-01-01"}, False),
        ({"DateLessThan": {"aws:CurrentTime": "soon"}}, {"aws:CurrentTime": "2027-01-01"}, False),
        ({"BinaryEquals": {"aws:X": "QUJD"}}, {"aws:X": "QUJD"}, True),
        ({"BinaryEquals": {"aws:X": "?"}}, {"aws:X": "?"}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"aws:SecureTransport": "true"}, True),
        ({"StringEquals": {"kms:CallerAccount": "111122223333"}}, {}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/agent-*"}}, {}, True),
    ],
)  # fmt: skip
def test_conditions_hold_as_aws_says(condition: Any, context: Any, allowed: bool):
    given = Surroundings(key_policy=key_policy(statement(Principal={"AWS": SESSION}, Condition=condition)))
    assert decide(given, context=context).is_allowed is allowed


def test_an_operator_that_does_not_exist_is_refused_and_never_guessed():
    given = Surroundings(key_policy=key_policy(statement("Deny", Principal="*", Condition={"StringIs": {"a:b": "c"}})))
    with pytest.raises(InputError, match="no condition operator 'StringIs'"):
        decide(given)


@pytest.mark.parametrize(
    ("principal", "action"),
    [
        ("agent-manager", "kms:Sign"),
        (SESSION, "Sign"),
        (SESSION, "kms:*"),
        ("arn:aws:iam::ACCOUNT_ID:role/x", "kms:Sign"),
    ],
)
def test_a_request_that_is_none_is_refused(principal: str, action: str):
    with pytest.raises(InputError):
        make_request(principal=principal, action=action, resource=KEY)


def test_another_accounts_root_user_needs_the_key_policy_alone():
    root = "arn:aws:iam::444455556666:root"
    given = Surroundings(key_policy=key_policy(statement(Principal={"AWS": "444455556666"})))
    assert decide(given, root).is_allowed
    assert not decide(given, FOREIGN).is_allowed
    assert not decide(Surroundings(key_policy=HANDS_OVER), root).is_allowed


def test_a_key_policys_statement_without_a_principal_applies_to_nobody():
    assert not decide(Surroundings(key_policy=key_policy(statement()))).is_allowed


def test_a_role_is_taken_on_by_its_trust_policy_and_in_its_account_by_identity_policies():
    trust = key_policy(statement(action="sts:AssumeRole", Principal=ROOT))
    alice = "arn:aws:iam::111122223333:user/alice"
    may = policy(statement(action="sts:AssumeRole", resource=ROLE))
    asked = {"action": "sts:AssumeRole", "resource": ROLE}
    assert decide(Surroundings(key_policy=trust, identity=[may]), alice, **asked).is_allowed
    assert not decide(Surroundings(key_policy=trust), alice, **asked).is_allowed
    assert not decide(
        Surroundings(key_policy=trust, identity=[may]), "arn:aws:iam::444455556666:user/bob", **asked
    ).is_allowed
