"""What each role may do, as policy statements.

A signer calls Sign or GenerateMac and nothing else; who exports public keys reads them; an administrator changes the
key and cannot use it. Each family of actions has a statement of its own, with the conditions that its actions have.

Source: KMS Developer Guide, "Key policies in AWS KMS" and "Condition keys for AWS KMS"; `docs/kms-guidance.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from auditseal.access.arn import split_arn
from auditseal.access.node import OPEN
from auditseal.core.algorithm import Algorithm
from auditseal.errors import InputError

Statement = dict[str, Any]


class Role(StrEnum):
    """Who the policy is for."""

    SIGNER = "signer"
    VERIFIER = "verifier"
    EXPORTER = "exporter"
    CI = "ci"
    ROTATOR = "rotator"
    ADMIN = "admin"
    WITNESS = "witness"


def parse_role(text: str) -> Role:
    """A role by its name.

    Raises:
        InputError: another word.
    """
    try:
        return Role(text)
    except ValueError:
        raise InputError(f"{text[:20]!r} is no role: use {', '.join(Role)}") from None


SAME_ACCOUNT_ONLY: Final = frozenset({Role.ROTATOR, Role.ADMIN})
"""KMS lets no other account change a key or its aliases."""
CHANGES: Final = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""What a signer is kept from even if another policy allows it."""
_ADMINISTERS: Final = (
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:GetKeyPolicy",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:RevokeGrant",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
ACCOUNT_SID: Final = "AccountAdministrators"
_DELETION_DAYS: Final = 30
_SPARING: Final = {"BoolIfExists": {"kms:BypassPolicyLockoutSafetyCheck": "false"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The key that is meant, by ARNs or by references to a template's resources.

    Attributes:
        key: the key's ARN.
        account: the key's account.
        algorithm: what it signs with.
        alias: `alias/…`, if requests must name it.
        alias_arn: the ARN of that alias.
    """

    key: str
    account: str
    algorithm: Algorithm
    alias: str | None = None
    alias_arn: str | None = None
    partition: str = "aws"

    @property
    def all_keys(self) -> str:
        """All keys of the key's account and Region, for what concerns a key not made yet."""
        arn = split_arn(self.key)
        if arn is None or OPEN in self.key:
            return "*"
        return f"arn:{arn.partition}:kms:{arn.region}:{arn.account}:key/*"


def statements(role: Role, target: Target) -> list[Statement]:
    """The role's statements without Principal, on the key's ARN.

    Raises:
        InputError: the role makes no sense for the algorithm.
    """
    made = _MAKERS[role](target)
    return [{"Sid": sid, "Effect": "Allow", **rest} for sid, rest in made.items()]


def _on_key(target: Target, *actions: str, conditions: dict[str, Any] | None = None) -> Statement:
    block = dict(conditions or {})
    if target.alias is not None and all(action in _BY_ALIAS for action in actions):
        block["StringEquals"] = {**block.get("StringEquals", {}), "kms:RequestAlias": target.alias}
    made: Statement = {"Action": actions[0] if len(actions) == 1 else list(actions), "Resource": target.key}
    return {**made, "Condition": block} if block else made


_BY_ALIAS: Final = frozenset({"kms:Sign", "kms:Verify", "kms:GenerateMac", "kms:VerifyMac"})
"""What is asked for by the alias, where there is one; who reads a key may name it either way."""


def _pins(algorithm: Algorithm) -> dict[str, Any]:
    if algorithm.is_mac:
        return {"StringEquals": {"kms:MacAlgorithm": algorithm.kms_signing_algorithm}}
    return {
        "StringEquals": {
            "kms:SigningAlgorithm": algorithm.kms_signing_algorithm,
            "kms:MessageType": algorithm.kms_message_type,
        }
    }


def _signer(target: Target) -> dict[str, Statement]:
    action = "kms:GenerateMac" if target.algorithm.is_mac else "kms:Sign"
    return {"SignAuditEntries": _on_key(target, action, conditions=_pins(target.algorithm))}


def _witness(target: Target) -> dict[str, Statement]:
    if target.algorithm.is_mac:
        raise InputError("a witness's signatures must be checked by others: an HMAC key cannot serve one")
    return {"CosignCheckpoints": _on_key(target, "kms:Sign", conditions=_pins(target.algorithm))}


def _verifier(target: Target) -> dict[str, Statement]:
    action = "kms:VerifyMac" if target.algorithm.is_mac else "kms:Verify"
    return {"VerifyAuditEntries": _on_key(target, action, conditions=_pins(target.algorithm))}


def _exporter(target: Target) -> dict[str, Statement]:
    if target.algorithm.is_mac:
        raise InputError("an HMAC key has no public key to export: verify through the role verifier (VerifyMac)")
    return {
        "ExportPublicKey": _on_key(target, "kms:GetPublicKey"),
        "DescribeKey": _on_key(target, "kms:DescribeKey"),
    }


def _ci(target: Target) -> dict[str, Statement]:
    describe = {"CheckKeyState": _on_key(target, "kms:DescribeKey")}
    if target.algorithm.is_mac:
        return describe
    return describe | {"ComparePublicKey": _on_key(target, "kms:GetPublicKey")}


def _admin(target: Target) -> dict[str, Statement]:
    longest = {"NumericGreaterThanEqualsIfExists": {"kms:ScheduleKeyDeletionPendingWindowInDays": str(_DELETION_DAYS)}}
    return {
        "AdministerKey": {"Action": list(_ADMINISTERS), "Resource": target.key},
        "ChangeKeyPolicy": {"Action": "kms:PutKeyPolicy", "Resource": target.key, "Condition": _SPARING},
        "ScheduleDeletion": {"Action": "kms:ScheduleKeyDeletion", "Resource": target.key, "Condition": longest},
    }


def _rotator(target: Target) -> dict[str, Statement]:
    algorithm = target.algorithm
    spec = {"kms:KeySpec": algorithm.kms_key_specs[0], "kms:KeyUsage": algorithm.kms_key_usage}
    made: dict[str, Statement] = {
        "CreateNextKey": {
            "Action": "kms:CreateKey",
            "Resource": "*",
            "Condition": {"StringEquals": spec, **_SPARING},
        },
        "DescribeKeys": {"Action": "kms:DescribeKey", "Resource": target.all_keys},
        "DisableOldKey": {"Action": "kms:DisableKey", "Resource": target.key},
    }
    if not algorithm.is_mac:
        made["ExportNextKey"] = {"Action": "kms:GetPublicKey", "Resource": target.all_keys}
    if target.alias_arn is not None:
        made["MoveAlias"] = {"Action": ["kms:CreateAlias", "kms:UpdateAlias"], "Resource": target.alias_arn}
        made["PointAliasAtKeys"] = {
            "Action": ["kms:CreateAlias", "kms:UpdateAlias"],
            "Resource": target.all_keys,
            "Condition": {"StringEquals": spec},
        }
    return made


_MAKERS: Final = {
    Role.SIGNER: _signer,
    Role.VERIFIER: _verifier,
    Role.EXPORTER: _exporter,
    Role.CI: _ci,
    Role.ROTATOR: _rotator,
    Role.ADMIN: _admin,
    Role.WITNESS: _witness,
}


def key_statements(role: Role, target: Target, principal: str) -> list[Statement]:
    """The role's statements for the key policy: what is about this key, with the role as Principal."""
    made = []
    for statement in statements(role, target):
        actions = statement["Action"]
        if actions == "kms:CreateKey" or statement["Resource"] == target.alias_arn:
            continue
        sid = f"{statement['Sid']}As{role.title()}"
        made.append({**statement, "Sid": sid, "Principal": {"AWS": principal}, "Resource": "*"})
    return [_ordered(statement) for statement in made]


def guard_statements(target: Target, signers: Sequence[str]) -> list[Statement]:
    """Denies that hold whatever other policies say: nobody else signs, and who signs changes nothing."""
    action = "kms:GenerateMac" if target.algorithm.is_mac else "kms:Sign"
    named = signers[0] if len(signers) == 1 else list(signers)
    return [
        {
            "Sid": "NobodyElseSigns",
            "Effect": "Deny",
            "Principal": "*",
            "Action": action,
            "Resource": "*",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": named}},
        },
        {
            "Sid": "WhoSignsChangesNothing",
            "Effect": "Deny",
            "Principal": {"AWS": named},
            "Action": list(CHANGES),
            "Resource": "*",
        },
    ]


def account_statement(target: Target) -> Statement:
    """The hand-over to the account's administrators, without which a key can be lost for good."""
    return {
        "Sid": ACCOUNT_SID,
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{target.partition}:iam::{target.account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }


def _ordered(statement: Statement) -> Statement:
    order = ("Sid", "Effect", "Principal", "Action", "Resource", "Condition")
    return {name: statement[name] for name in order if name in statement}
