"""Generated policies in an emulator that enforces them: each role does its work, and each other action is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from emulator import Emulator

from auditseal.access.generate.policies import Generated, generate
from auditseal.access.generate.roles import Role
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from support.iam import Cloud, without_conditions

DIGEST = bytes(32)
OTHER_ROLE = "arn:aws:iam::000000000000:role/other"
ALGORITHM = {
    "rsa-sha256": "RSA_2048",
    "rsa-pss-sha256": "RSA_2048",
    "ecdsa-p256-sha256": "ECC_NIST_P256",
    "ed25519": "ECC_NIST_EDWARDS25519",
    "hmac-sha256": "HMAC_256",
}


@pytest.fixture(scope="module")
def cloud(strict_emulator: Emulator) -> Cloud:
    return Cloud(strict_emulator)


def calls(key: str, algorithm: AlgorithmId, signature: bytes) -> dict[str, Callable[[Any], object]]:
    """Every action on a key that a role could try."""
    row = ALGORITHMS[algorithm]
    name = row.kms_signing_algorithm
    asymmetric = {"KeyId": key, "Message": DIGEST, "MessageType": row.kms_message_type, "SigningAlgorithm": name}
    mac = {"KeyId": key, "Message": DIGEST, "MacAlgorithm": name}
    uses: dict[str, Callable[[Any], object]] = (
        {
            "kms:GenerateMac": lambda kms: kms.generate_mac(**mac),
            "kms:VerifyMac": lambda kms: kms.verify_mac(**mac, Mac=signature),
        }
        if row.is_mac
        else {
            "kms:Sign": lambda kms: kms.sign(**asymmetric),
            "kms:Verify": lambda kms: kms.verify(**asymmetric, Signature=signature),
            "kms:GetPublicKey": lambda kms: kms.get_public_key(KeyId=key),
        }
    )
    tag = {"TagKey": "a", "TagValue": "b"}
    return uses | {
        "kms:DescribeKey": lambda kms: kms.describe_key(KeyId=key),
        "kms:GetKeyPolicy": lambda kms: kms.get_key_policy(KeyId=key, PolicyName="default"),
        "kms:PutKeyPolicy": lambda kms: kms.put_key_policy(KeyId=key, PolicyName="default", Policy="{}"),
        "kms:ListKeyPolicies": lambda kms: kms.list_key_policies(KeyId=key),
        "kms:ListGrants": lambda kms: kms.list_grants(KeyId=key),
        "kms:CreateGrant": lambda kms: kms.create_grant(KeyId=key, GranteePrincipal=OTHER_ROLE, Operations=["Verify"]),
        "kms:CreateAlias": lambda kms: kms.create_alias(AliasName=f"alias/{uuid4()}", TargetKeyId=key),
        "kms:TagResource": lambda kms: kms.tag_resource(KeyId=key, Tags=[tag]),
        "kms:UntagResource": lambda kms: kms.untag_resource(KeyId=key, TagKeys=["a"]),
        "kms:UpdateKeyDescription": lambda kms: kms.update_key_description(KeyId=key, Description="x"),
        "kms:DisableKey": lambda kms: kms.disable_key(KeyId=key),
        "kms:EnableKey": lambda kms: kms.enable_key(KeyId=key),
        "kms:ScheduleKeyDeletion": lambda kms: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=30),
        "kms:CancelKeyDeletion": lambda kms: kms.cancel_key_deletion(KeyId=key),
    }


def is_refused(call: Callable[[Any], object], kms: Any) -> bool:
    try:
        call(kms)
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDeniedException"
    return False


def put_in_place(cloud: Cloud, made: Generated) -> Any:
    """Puts both policies in place and takes on the role; the lock-out check of PutKeyPolicy is passed on the way."""
    name = made.principal.rpartition("/")[2]
    cloud.role(name, without_conditions(made.iam_policy))
    cloud.put_key_policy(made.key, without_conditions(made.key_policy))
    return cloud.client("kms", cloud.session(made.principal))


@pytest.mark.parametrize("algorithm", ALGORITHM)
@pytest.mark.parametrize("role", ["signer", "verifier", "exporter", "ci"])
def test_a_role_does_its_work_and_everything_else_is_refused(cloud: Cloud, role: str, algorithm: str):
    row = ALGORITHMS[AlgorithmId(algorithm)]
    if row.is_mac and role == "exporter":
        role = "verifier"
    key = cloud.key(ALGORITHM[algorithm])
    name = f"arn:aws:iam::000000000000:role/{role}-{uuid4().hex[:8]}"
    made = generate(Role(role), row, key_arn=key, role_arn=name)
    everything = calls(key, row.id, b"")
    signed: Any = everything["kms:GenerateMac" if row.is_mac else "kms:Sign"](cloud.kms)
    everything = calls(key, row.id, signed["Mac" if row.is_mac else "Signature"])
    expected = {
        "signer": {"kms:GenerateMac"} if row.is_mac else {"kms:Sign"},
        "verifier": {"kms:VerifyMac"} if row.is_mac else {"kms:Verify"},
        "exporter": {"kms:GetPublicKey", "kms:DescribeKey"},
        "ci": {"kms:DescribeKey"} if row.is_mac else {"kms:GetPublicKey", "kms:DescribeKey"},
    }[role]
    kms = put_in_place(cloud, made)
    allowed = {action for action, call in everything.items() if not is_refused(call, kms)}
    assert allowed == expected


def test_an_administrator_changes_the_key_and_cannot_use_it(cloud: Cloud):
    key = cloud.key()
    row = ALGORITHMS[AlgorithmId.ED25519]
    name = f"arn:aws:iam::000000000000:role/admin-{uuid4().hex[:8]}"
    kms = put_in_place(cloud, generate(Role.ADMIN, row, key_arn=key, role_arn=name))
    everything = calls(key, row.id, bytes(64))
    assert is_refused(everything["kms:Sign"], kms)
    assert is_refused(everything["kms:Verify"], kms)
    assert is_refused(everything["kms:CreateGrant"], kms)
    for action in ("kms:GetKeyPolicy", "kms:DisableKey", "kms:EnableKey", "kms:ScheduleKeyDeletion"):
        assert not is_refused(everything[action], kms)


def test_a_signer_cannot_sign_with_another_key(cloud: Cloud):
    key, other = cloud.key(), cloud.key()
    row = ALGORITHMS[AlgorithmId.ED25519]
    name = f"arn:aws:iam::000000000000:role/signer-{uuid4().hex[:8]}"
    kms = put_in_place(cloud, generate(Role.SIGNER, row, key_arn=key, role_arn=name))
    assert not is_refused(calls(key, row.id, b"")["kms:Sign"], kms)
    assert is_refused(calls(other, row.id, b"")["kms:Sign"], kms)
