"""Requests and policies, made by a seeded generator, for two evaluators to decide.

Statements are kept in one list and named by number, so that thousands of cases stay a small file.
"""

from __future__ import annotations

import json
import random
from typing import Any, Final

HOME: Final = "111122223333"
AWAY: Final = "444455556666"
KEY: Final = f"arn:aws:kms:eu-central-1:{HOME}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ACTIONS: Final = ("kms:Sign", "kms:GetPublicKey", "kms:GenerateMac", "kms:DescribeKey", "kms:PutKeyPolicy")
PRINCIPALS: Final = (
    f"arn:aws:sts::{HOME}:assumed-role/agent-manager/i-0",
    f"arn:aws:iam::{HOME}:user/alice",
    f"arn:aws:sts::{AWAY}:assumed-role/agent-manager/i-0",
    f"arn:aws:iam::{AWAY}:user/bob",
)
_ACTION_PATTERNS: Final = (
    "kms:Sign",
    "kms:Sign",
    "kms:sign",
    "KMS:*",
    "kms:*",
    "*",
    "kms:Get*",
    "kms:S?gn",
    "kms:GenerateMac",
    "kms:DescribeKey",
    "kms:Put*",
    "kms:Verify",
)
_RESOURCES: Final = (
    KEY,
    KEY,
    "*",
    f"arn:aws:kms:eu-central-1:{HOME}:key/*",
    f"arn:aws:kms:*:{HOME}:key/1234abcd-*",
    f"arn:aws:kms:us-east-1:{HOME}:key/*",
    f"arn:aws:kms:eu-central-1:{HOME}:alias/audit",
    f"arn:aws:kms:eu-central-1:{HOME}:key/${{aws:PrincipalTag/key}}",
    "arn:aws:kms:*:*:*",
    f"arn:aws:kms:eu-central-?:{HOME}:key/1234abcd-12ab-34cd-56ef-1234567890a?",
)
_AWS_PRINCIPALS: Final = (
    f"arn:aws:iam::{HOME}:root",
    f"arn:aws:iam::{HOME}:root",
    f"arn:aws:iam::{HOME}:role/agent-manager",
    f"arn:aws:iam::{HOME}:user/alice",
    f"arn:aws:sts::{HOME}:assumed-role/agent-manager/i-0",
    f"arn:aws:iam::{AWAY}:root",
    f"arn:aws:iam::{AWAY}:role/agent-manager",
    f"arn:aws:iam::{AWAY}:user/bob",
    f"arn:aws:iam::{HOME}:role/another",
)
_VALUES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    # by key: what the request may hold, what policies ask for
    "kms:SigningAlgorithm": (
        ("ED25519_SHA_512", "RSASSA_PSS_SHA_256"),
        ("ED25519_SHA_512", "RSASSA_*", "ed25519_sha_512"),
    ),
    "kms:MessageType": (("RAW", "DIGEST"), ("RAW", "DIGEST", "raw")),
    "kms:RequestAlias": (("alias/audit", "alias/other"), ("alias/audit", "alias/*")),
    "aws:PrincipalTag/team": (("audit", "Audit", "ops", "a*t"), ("audit", "AUDIT", "a*", "${aws:PrincipalTag/other}")),
    "aws:PrincipalOrgID": (("o-abc", "o-xyz"), ("o-abc", "o-???", "${aws:PrincipalTag/none, 'o-abc'}")),
}
_STRINGS: Final = (
    "StringEquals",
    "StringNotEquals",
    "StringLike",
    "StringNotLike",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
)
_LISTS: Final = {"kms:ResourceAliases": (("alias/audit", "alias/b", "alias/c"), ("alias/audit", "alias/*", "alias/b"))}
_POOL: Final = 500
_POOLS: Final[dict[str, dict[str, bool]]] = {"key": {"key_policy": True}, "identity": {}, "wide": {"wide": True}}


def make_cases(count: int, seed: int) -> dict[str, Any]:
    """A document of statements and of cases that name them."""
    return _Maker(seed).document(count)


class _Maker:
    """Draws statements, requests and who has which policy."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._statements: list[dict[str, Any]] = []
        self._pools: dict[str, list[int]] = {}
        self._contexts: dict[str, list[dict[str, Any]]] = {}

    def document(self, count: int) -> dict[str, Any]:
        for pool, settings in _POOLS.items():
            self._pools[pool] = [self._keep(self._statement(**settings)) for _ in range(_POOL)]
        self._contexts = {action: [self._context(action) for _ in range(_POOL // 5)] for action in ACTIONS}
        cases = [self._case() for _ in range(count)]
        return {"schema_version": 1, "statements": self._statements, "contexts": self._contexts, "cases": cases}

    def _pick(self, values: Any) -> Any:
        return self._random.choice(values)

    def _chance(self, of: float) -> bool:
        return self._random.random() < of

    def _case(self) -> dict[str, Any]:
        action = "kms:Sign" if self._chance(0.7) else self._pick(ACTIONS)
        case: dict[str, Any] = {
            "principal": self._pick(PRINCIPALS),
            "action": action,
            "resource": KEY,
            "context": self._random.randrange(len(self._contexts[action])),
            "key_policy": [self._pick(self._pools["key"]) for _ in range(self._random.randint(1, 3))],
            "identity": [self._policy() for _ in range(self._random.randint(0, 2))],
        }
        if self._chance(0.2):
            case["boundary"] = [self._policy()]
        if self._chance(0.2):
            case["scps"] = [[self._policy(wide=True)] for _ in range(self._random.randint(1, 2))]
        if self._chance(0.3) and ":assumed-role/" in case["principal"] and not self._says_directly(case):
            case["session"] = self._policy()
        if self._chance(0.1) and not self._says(case, "${"):
            case["version"] = "2008-10-17"
        return case

    def _says_directly(self, case: dict[str, Any]) -> bool:
        return self._says(case, ":assumed-role/") or self._says(case, '"Principal": "*"')

    def _says(self, case: dict[str, Any], text: str) -> bool:
        """Whether a text stands in a policy of the case.

        The other evaluator fills in variables in policies of the old version too, and lets a session policy limit what
        a key policy gives to the session itself; AWS's documentation says otherwise, and so no case asks.
        """
        numbers: set[int] = set(case["key_policy"])
        numbers |= set(case.get("session", []))
        for name in ("identity", "boundary"):
            numbers |= {number for policy in case.get(name, []) for number in policy}
        numbers |= {number for level in case.get("scps", []) for policy in level for number in policy}
        return any(text in json.dumps(self._statements[number]) for number in numbers)

    def _policy(self, *, wide: bool = False) -> list[int]:
        pool = self._pools["wide" if wide else "identity"]
        made = [self._pick(pool) for _ in range(self._random.randint(1, 2))]
        return [self._keep({"Effect": "Allow", "Action": "*", "Resource": "*"}), *made[1:]] if wide else made

    def _statement(self, *, key_policy: bool = False, wide: bool = False) -> dict[str, Any]:
        deny = self._chance(0.35 if wide else 0.12)
        made: dict[str, Any] = {"Effect": "Deny" if deny else "Allow"}
        if key_policy:
            made["Principal"] = "*" if self._chance(0.1) else {"AWS": self._some(_AWS_PRINCIPALS, 2)}
        made["NotAction" if self._chance(0.08) else "Action"] = self._some(_ACTION_PATTERNS, 3)
        if key_policy:
            made["Resource"] = "*"
        else:
            made["NotResource" if self._chance(0.06) else "Resource"] = self._some(_RESOURCES, 2)
        if self._chance(0.4):
            made["Condition"] = self._conditions()
        return made

    def _keep(self, statement: dict[str, Any]) -> int:
        if statement not in self._statements:
            self._statements.append(statement)
        return self._statements.index(statement)

    def _some(self, values: Any, most: int) -> list[str]:
        return sorted({self._pick(values) for _ in range(self._random.randint(1, most))})

    def _conditions(self) -> dict[str, Any]:
        block: dict[str, Any] = {}
        for _ in range(self._random.randint(1, 2)):
            operator, key, values = self._condition()
            block.setdefault(operator, {})[key] = values
        return block

    def _condition(self) -> tuple[str, str, list[str]]:
        kind = self._random.randrange(12)
        optional = "IfExists" if self._chance(0.25) else ""
        if kind == 0:
            return "Null", self._pick(("kms:RequestAlias", "aws:PrincipalTag/team")), [self._pick(("true", "false"))]
        if kind == 1:
            name = self._pick(("IpAddress", "NotIpAddress"))
            return name + optional, "aws:SourceIp", [self._pick(("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"))]
        if kind == 2:
            name = self._pick(("NumericLessThan", "NumericGreaterThanEquals", "NumericEquals", "NumericNotEquals"))
            return name + optional, "aws:MultiFactorAuthAge", [self._pick(("300", "3600"))]
        if kind == 3:
            name = self._pick(("DateLessThan", "DateGreaterThan", "DateLessThanEquals"))
            return name + optional, "aws:CurrentTime", [self._pick(("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"))]
        if kind == 4:
            return "Bool" + optional, "aws:SecureTransport", [self._pick(("true", "false"))]
        if kind == 5:
            name = self._pick(("ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"))
            return (
                name + optional,
                "aws:PrincipalArn",
                [self._pick((f"arn:aws:iam::{HOME}:role/*", PRINCIPALS[1], "arn:aws:*:*:*:*"))],
            )
        if kind in {6, 7}:
            name = self._pick(("ForAllValues:", "ForAnyValue:")) + self._pick(_STRINGS)
            return name + optional, "kms:ResourceAliases", self._some(_LISTS["kms:ResourceAliases"][1], 2)
        key = self._pick(tuple(_VALUES))
        return self._pick(_STRINGS) + optional, key, self._some(_VALUES[key][1], 2)

    def _context(self, action: str) -> dict[str, Any]:
        context: dict[str, Any] = {}
        for key, (values, _) in _VALUES.items():
            if self._chance(0.7) and not (key.startswith("kms:S") and action != "kms:Sign"):
                context[key] = self._pick(values)
        if action != "kms:Sign":
            context.pop("kms:MessageType", None)
        if action == "kms:PutKeyPolicy":
            context.pop("kms:RequestAlias", None)
        if self._chance(0.6):
            context["kms:ResourceAliases"] = self._some(_LISTS["kms:ResourceAliases"][0], 3)
        for key, values in {
            "aws:SourceIp": ("10.1.2.3", "192.0.2.7", "2001:db8::1"),
            "aws:MultiFactorAuthAge": ("60", "300", "7200"),
            "aws:CurrentTime": ("2025-06-01T00:00:00Z", "2026-06-01T00:00:00Z"),
            "aws:SecureTransport": ("true", "false"),
            "aws:PrincipalTag/key": ("1234abcd-12ab-34cd-56ef-1234567890ab", "*", "other"),
            "aws:PrincipalTag/other": ("audit", "a*"),
        }.items():
            if self._chance(0.6):
                context[key] = self._pick(values)
        return context
