"""Keys and aliases: what is stored, and how a key is named in a request."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fakes.kms.refusal import RefusalError
from fakes.kms.specs import SPECS, Spec

_KEY_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|mrk-[0-9a-f]{32}")
_ARN = re.compile(r"arn:aws:kms:([a-z0-9-]+):(\d{12}):(key/.+|alias/.+)")


@dataclass(slots=True, kw_only=True)
class Key:
    id: str
    arn: str
    spec_name: str
    usage: str
    description: str
    policy: str
    material: Any
    state: str = "Enabled"
    created: float = field(default_factory=time.time)
    deletion_date: float | None = None
    tags: dict[str, str] = field(default_factory=dict)
    grants: list[dict] = field(default_factory=list)
    last_usage: dict | None = None

    @property
    def spec(self) -> Spec:
        return SPECS[self.spec_name]

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    def public_der(self) -> bytes:
        return self.material.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def metadata(self) -> dict:
        """KeyMetadata of DescribeKey."""
        signs = self.usage == "SIGN_VERIFY"
        return {
            "AWSAccountId": self.account,
            "KeyId": self.id,
            "Arn": self.arn,
            "CreationDate": self.created,
            "Enabled": self.state == "Enabled",
            "Description": self.description,
            "KeyUsage": self.usage,
            "KeyState": self.state,
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "KeySpec": self.spec_name,
            "MultiRegion": False,
            **({"CustomerMasterKeySpec": self.spec_name} if self.spec.deprecated_name else {}),
            **({"SigningAlgorithms": list(self.spec.signing)} if signs else {}),
            **({"MacAlgorithms": list(self.spec.mac)} if self.spec.mac else {}),
            **({"DeletionDate": self.deletion_date} if self.deletion_date else {}),
        }


class KeyStore:
    """All keys of one account and Region."""

    def __init__(self, *, region: str, account: str) -> None:
        self.region = region
        self.account = account
        self.keys: dict[str, Key] = {}
        self.aliases: dict[str, dict] = {}

    def arn(self, resource: str) -> str:
        return f"arn:aws:kms:{self.region}:{self.account}:{resource}"

    def add(self, *, spec_name: str, usage: str, description: str, policy: str | None, tags: dict[str, str]) -> Key:
        key_id = str(uuid4())
        key = Key(
            id=key_id,
            arn=self.arn(f"key/{key_id}"),
            spec_name=spec_name,
            usage=usage,
            description=description,
            policy=policy or self.default_policy(),
            material=SPECS[spec_name].make(),
            tags=tags,
        )
        self.keys[key_id] = key
        return key

    def default_policy(self) -> str:
        root = {
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{self.account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
        return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [root]})

    def find(self, name: str, *, alias_allowed: bool) -> Key:
        """The key of a key id, key ARN, alias name or alias ARN."""
        resource = name
        if name.startswith("arn:"):
            match = _ARN.fullmatch(name)
            if not match:
                raise RefusalError("InvalidArnException", f"Invalid arn {name}")
            region, account, resource = match.groups()
            if region != self.region or account != self.account:
                raise RefusalError("NotFoundException", f"Invalid arn {region}")
            resource = resource.removeprefix("key/")
        if resource.startswith("alias/"):
            if not alias_allowed:
                raise RefusalError("NotFoundException", f"Invalid keyId {name}")
            alias = self.aliases.get(resource)
            if alias is None:
                raise RefusalError("NotFoundException", f"Alias {self.arn(resource)} is not found.")
            return self.keys[alias["TargetKeyId"]]
        if not _KEY_ID.fullmatch(resource):
            raise RefusalError("NotFoundException", f"Invalid keyId {name}")
        if resource not in self.keys:
            raise RefusalError("NotFoundException", f"Key '{self.arn(f'key/{resource}')}' does not exist")
        return self.keys[resource]
