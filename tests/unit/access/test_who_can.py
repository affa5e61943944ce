"""Everybody who may sign is named, with the path; nobody is left out where a text leaves it open."""

from __future__ import annotations

from typing import Any

import pytest

from auditseal.access.documents.load import load_documents
from auditseal.access.grant import Grant
from auditseal.access.policy import Kind, Policy
from auditseal.access.policy_reading import policy_of
from auditseal.access.who_can import who_can
from auditseal.errors import InputError

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROOT = {"Sid": "Root", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}
AGENT = "arn:aws:iam::111122223333:role/agent-manager"


def statement(effect: str = "Allow", action: str = "kms:Sign", resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any], kind: Kind = Kind.IDENTITY, owner: str | None = None) -> Policy:
    return policy_of({"Version": "2012-10-17", "Statement": list(statements)}, kind=kind, owner=owner, name="p")


def key_policy(*statements: dict[str, Any]) -> Policy:
    return policy(*statements, kind=Kind.KEY)


def names(found: Any) -> dict[str, str]:
    return {one.principal: one.path for one in found}


def test_each_path_is_named():
    own = key_policy(
        ROOT,
        statement(Principal={"AWS": "arn:aws:iam::111122223333:user/alice"}),
        statement(Principal={"AWS": "arn:aws:iam::444455556666:root"}),
        statement(Principal={"Service": "backup.amazonaws.com"}),
    )
    pinned = statement(Condition={"StringEquals": {"kms:SigningAlgorithm": ["RSASSA_PSS_SHA_256", "ED25519_SHA_512"]}})
    grant = Grant(id="g1", key=KEY, grantee="arn:aws:iam::111122223333:role/batch", operations=frozenset({"Sign"}))
    found = who_can("kms:Sign", KEY, [own, policy(pinned, owner=AGENT)], grants=[grant])
    assert names(found) == {
        "backup.amazonaws.com (Service)": "key policy",
        AGENT: "account root in the key policy and identity policy",
        "arn:aws:iam::111122223333:root (the root user)": "key policy",
        "arn:aws:iam::111122223333:user/alice": "key policy",
        "arn:aws:iam::111122223333:role/batch": "grant",
        "any principal of account 444455556666 that its own IAM policies allow": "key policy",
    }
    agent = next(one for one in found if one.principal == AGENT)
    assert agent.when == {"kms:SigningAlgorithm": "RSASSA_PSS_SHA_256"}
    assert agent.by[0].startswith("p: Root")


def test_a_deny_and_an_action_of_its_own_leave_nobody():
    own = key_policy(ROOT | {"Action": "kms:Describe*"}, statement("Deny", Principal="*"))
    assert who_can("kms:Sign", KEY, [own, policy(statement(), owner=AGENT)]) == []


def test_everybody_is_named_as_such():
    found = who_can("kms:Sign", KEY, [key_policy(statement(Principal="*"))])
    assert "everybody, of any account" in names(found)
    spared = {"Effect": "Allow", "NotPrincipal": {"AWS": AGENT}, "Action": "kms:Sign", "Resource": "*"}
    assert f"everybody but {AGENT}" in names(who_can("kms:Sign", KEY, [key_policy(spared)]))


def test_a_boundary_and_service_control_policies_leave_people_out():
    own, identity = key_policy(ROOT), policy(statement(), owner=AGENT)
    silent = policy(statement(action="s3:*"))
    assert AGENT in names(who_can("kms:Sign", KEY, [own, identity]))
    assert AGENT not in names(who_can("kms:Sign", KEY, [own, identity], boundaries={AGENT: [silent]}))
    assert who_can("kms:Sign", KEY, [own, identity], scps=[[silent]]) == []


def test_a_template_is_answered_in_its_own_words():
    text = """
Resources:
  AuditKey:
    Type: AWS::KMS::Key
    Properties:
      KeyPolicy:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {AWS: !Sub "arn:aws:iam::${AWS::AccountId}:root"}
            Action: kms:*
            Resource: "*"
          - Effect: Allow
            Principal: {AWS: !GetAtt Exporter.Arn}
            Action: kms:Sign
            Resource: "*"
  Policy:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      Roles: [agent-manager]
      PolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Action: kms:Sign, Resource: !GetAtt AuditKey.Arn}]
"""
    found = names(who_can("kms:Sign", KEY, load_documents([("t.yaml", text.encode())]).policies))
    assert "agent-manager" in found
    assert "Exporter (known at deployment)" in found


def test_without_a_key_policy_nothing_is_said():
    with pytest.raises(InputError, match="0 key policies"):
        who_can("kms:Sign", KEY, [policy(statement(), owner=AGENT)])


def trust(owner: str, *statements: dict[str, Any]) -> Policy:
    return policy(*(one | {"Action": "sts:AssumeRole"} for one in statements), kind=Kind.TRUST, owner=owner)


def trusting(principal: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}


def takers(*policies: Policy) -> dict[str, str]:
    signs = policy(statement(), owner=AGENT)
    found = who_can("kms:Sign", KEY, [key_policy(ROOT | {"Principal": {"AWS": AGENT}}), signs, *policies])
    assert names(one for one in found if one.is_direct) == {AGENT: "key policy"}
    return names(one for one in found if not one.is_direct)


def test_who_may_take_on_the_role_is_named_and_so_on_up_the_chain():
    batch, alice = "arn:aws:iam::111122223333:role/batch", "arn:aws:iam::111122223333:user/alice"
    assert takers(trust(AGENT, trusting({"AWS": batch})), trust(batch, trusting({"AWS": alice}))) == {
        batch: f"takes on {AGENT} (sts:AssumeRole)",
        alice: f"takes on {batch} (sts:AssumeRole)",
    }


def test_a_trust_in_the_account_leaves_it_to_identity_policies():
    alice, bob = "arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/bob"
    found = takers(
        trust(AGENT, trusting({"AWS": "arn:aws:iam::111122223333:root"})),
        policy(statement(action="sts:AssumeRole", resource=AGENT), owner=alice),
        policy(statement(action="sts:AssumeRole", resource=f"{AGENT}-2"), owner=bob),
    )
    assert set(found) == {alice, "arn:aws:iam::111122223333:root (the root user)"}


def test_services_federations_accounts_and_everybody_are_named_as_takers():
    oidc = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    federated = policy(
        trusting({"Federated": oidc})
        | {"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"aud": "sts"}}},
        trusting({"Service": "ec2.amazonaws.com"}),
        trusting({"AWS": "444455556666"}),
        trusting("*"),
        kind=Kind.TRUST,
        owner=AGENT,
    )
    assert takers(federated) == {
        f"{oidc} (Federated)": f"takes on {AGENT} (sts:AssumeRoleWithWebIdentity)",
        "ec2.amazonaws.com (Service)": f"takes on {AGENT} (sts:AssumeRole)",
        "any principal of account 444455556666 that its own IAM policies allow": f"takes on {AGENT} (sts:AssumeRole)",
        "everybody, of any account": f"takes on {AGENT} (sts:AssumeRole)",
    }


def test_roles_that_trust_each_other_end():
    other = "arn:aws:iam::111122223333:role/other"
    found = takers(trust(AGENT, trusting({"AWS": other})), trust(other, trusting({"AWS": AGENT})))
    assert other in found


def test_a_trust_that_is_denied_names_nobody():
    assert takers(trust(AGENT, trusting({"AWS": "444455556666"}), trusting("*") | {"Effect": "Deny"})) == {
        "any principal of account 444455556666 that its own IAM policies allow": f"takes on {AGENT} (sts:AssumeRole)",
    }


def test_a_role_of_another_account_is_named_though_its_own_policies_are_not_here():
    partner = "arn:aws:iam::444455556666:role/auditor"
    (found,) = who_can("kms:Sign", KEY, [key_policy(statement(Principal={"AWS": partner}))])
    assert found.principal == f"{partner}, if its own account allows it"
    assert (found.arn, found.path) == (partner, "key policy and identity policy of the caller's account")
    assert found.by[1] == "the IAM policies of account 444455556666: not read"
    silent = policy(statement(action="s3:*"), owner=partner)
    assert who_can("kms:Sign", KEY, [key_policy(statement(Principal={"AWS": partner})), silent]) == []
