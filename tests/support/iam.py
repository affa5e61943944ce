"""Keys, roles and sessions in an emulator that enforces policies.

ministack never matches a condition on kms:* and does not know aws:PrincipalArn: policies are put in place without
such conditions, and a Deny that is nothing without its condition is left out. The evaluator proves what is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3
from emulator import Emulator

ACCOUNT = "000000000000"
ANYBODY = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
_UNKNOWN = ("kms:", "aws:PrincipalArn")


def document(*statements: Mapping[str, Any]) -> str:
    """A policy as text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def without_conditions(policy: Mapping[str, Any]) -> str:
    """A policy without the conditions that the emulator never matches."""
    statements = []
    for statement in policy["Statement"]:
        kept = {
            operator: {key: value for key, value in keys.items() if not key.startswith(_UNKNOWN)}
            for operator, keys in statement.get("Condition", {}).items()
        }
        kept = {operator: keys for operator, keys in kept.items() if keys}
        changed = kept != statement.get("Condition", {})
        if changed and statement["Effect"] == "Deny":
            continue
        plain = {name: value for name, value in statement.items() if name != "Condition"}
        statements.append(plain | ({"Condition": kept} if kept else {}))
    return document(*statements)


class Cloud:
    """An account in the emulator, with all rights."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.kms = self.client("kms")
        self.iam = self.client("iam")
        self.trail = self.client("cloudtrail")

    def client(self, service: str, credentials: Mapping[str, str] | None = None) -> Any:
        """A client with somebody's credentials; without any, with all rights."""
        given = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test"}
        return boto3.client(
            service,
            endpoint_url=self._emulator.url,
            region_name=self._emulator.region,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given.get("SessionToken"),
        )

    def key(self, spec: str = "ECC_NIST_EDWARDS25519") -> str:
        """The ARN of a new key."""
        usage = "GENERATE_VERIFY_MAC" if spec.startswith("HMAC_") else "SIGN_VERIFY"
        arn: str = self.kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]
        return arn

    def put_key_policy(self, key: str, policy: str) -> None:
        """Puts a key policy in place, with the lock-out safety check."""
        self.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)

    def role(self, name: str, policy: str | None = None) -> str:
        """The ARN of a new role with an inline policy."""
        trust = document({"Effect": "Allow", "Principal": ANYBODY, "Action": "sts:AssumeRole"})
        arn: str = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        if policy is not None:
            self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
        return arn

    def session(self, role: str) -> Mapping[str, str]:
        """Credentials of a session of a role."""
        answer = self.client("sts").assume_role(RoleArn=role, RoleSessionName="session")
        credentials: Mapping[str, str] = answer["Credentials"]
        return credentials
