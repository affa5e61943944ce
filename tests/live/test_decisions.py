"""The evaluator and an emulator that enforces IAM decide alike, for what the emulator knows.

It knows identity policies, key policies, session policies, explicit Denies, NotAction, wildcards and roles; not kms:*
conditions, boundaries of every kind and grants. Cases are made by a seeded generator; each is put in place, and calls
are made as the role.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulator import Emulator

from auditseal.access.evaluate import Surroundings, evaluate
from auditseal.access.policy import Kind
from auditseal.access.policy_reading import policy_of
from auditseal.access.request import make_request
from support.iam import ACCOUNT, Cloud

CASES = 60
NAME = "decided"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{NAME}"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/{NAME}/session"
ACTIONS = ("kms:Sign", "kms:GetPublicKey", "kms:DescribeKey")
PATTERNS = ("kms:Sign", "kms:*", "kms:Get*", "kms:DescribeKey", "kms:S?gn", "*", "kms:Verify")


@pytest.fixture(scope="module")
def cloud(strict_emulator: Emulator) -> Cloud:
    return Cloud(strict_emulator)


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def statement(draw: random.Random, key: str, *, deny: float) -> dict[str, Any]:
    actions = sorted({draw.choice(PATTERNS) for _ in range(draw.randint(1, 2))})
    made: dict[str, Any] = {"Effect": "Deny" if draw.random() < deny else "Allow"}
    made["NotAction" if draw.random() < 0.1 else "Action"] = actions
    made["Resource"] = draw.choice((key, "*", key[:-4] + "*", key.replace("key/", "key/0")))
    return made


def key_statement(draw: random.Random, key: str) -> dict[str, Any]:
    who = draw.choice((f"arn:aws:iam::{ACCOUNT}:root", ROLE, f"arn:aws:iam::{ACCOUNT}:role/another"))
    return statement(draw, key, deny=0.15) | {"Principal": {"AWS": who}, "Resource": "*"}


def is_allowed(kms: Any, action: str, key: str) -> bool:
    try:
        if action == "kms:Sign":
            kms.sign(KeyId=key, Message=bytes(32), MessageType="RAW", SigningAlgorithm="ED25519_SHA_512")
        elif action == "kms:GetPublicKey":
            kms.get_public_key(KeyId=key)
        else:
            kms.describe_key(KeyId=key)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


def test_every_case_is_decided_alike(cloud: Cloud):
    draw = random.Random(20261128)
    key = cloud.key()
    keeps = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:Put*"}
    cloud.role(NAME)
    kms = cloud.client("kms", cloud.session(ROLE))
    differing, outcomes = [], []
    for number in range(CASES):
        identity = policy(*(statement(draw, key, deny=0.1) for _ in range(draw.randint(1, 2))))
        own = policy(keeps | {"Resource": "*"}, *(key_statement(draw, key) for _ in range(draw.randint(1, 2))))
        cloud.iam.put_role_policy(RoleName=NAME, PolicyName="own", PolicyDocument=json.dumps(identity))
        cloud.put_key_policy(key, json.dumps(own))
        given = Surroundings(identity=[policy_of(identity)], key_policy=policy_of(own, kind=Kind.KEY))
        for action in ACTIONS:
            ours = evaluate(make_request(principal=SESSION, action=action, resource=key, role=ROLE), given).is_allowed
            theirs = is_allowed(kms, action, key)
            outcomes.append(ours)
            if ours != theirs:
                differing.append((number, action, ours, identity, own))
    assert differing[:2] == []
    assert min(outcomes.count(True), outcomes.count(False)) > CASES // 2
