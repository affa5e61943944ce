"""What a security review wants to know of one key, gathered in one value.

It holds no secret: key material never leaves KMS, and policies and names are what AWS shows to any auditor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from auditseal.access.checked import Item, Reading, Status
from auditseal.access.checklist import Checklist
from auditseal.access.facts import Facts
from auditseal.access.generate.policies import Generated, generate
from auditseal.access.generate.roles import Role
from auditseal.access.policy import Policy
from auditseal.access.rules.lint import lint
from auditseal.access.rules.rule import Finding
from auditseal.access.who_can import Able
from auditseal.core.algorithm import Algorithm
from auditseal.errors import InputError

ASKED: Final = ("kms:GetPublicKey", "kms:PutKeyPolicy", "kms:CreateGrant", "kms:DisableKey", "kms:ScheduleKeyDeletion")
"""Beside signing, the actions for which the review names everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long keys and logs live.

    Attributes:
        rotate_days: after how many days a new key is made.
        retain_days: for how many days the log must stay verifiable.
    """

    rotate_days: int
    retain_days: int

    def __post_init__(self) -> None:
        if not 1 <= self.rotate_days <= self.retain_days:
            raise InputError("the log must be kept at least as long as a key is used: --retain-days, --rotate-days")


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """All that the page and the folder show.

    Attributes:
        made_at: when, RFC 3339.
        made_by: the ARN whose permissions were used to read.
        key_id: as it was asked for.
        who: everybody who may, by action; None where that could not be told.
        documents: the policies as they are, by the name of their file.
        proposed: the least-privilege policies for the role.
        signer_entry: for signers.json; None where the public key could not be read.
        not_read: what is missing, and why.
        commands: what made each part.
    """

    made_at: str
    made_by: str
    key_id: str
    facts: Facts
    algorithm: Algorithm | None
    items: Sequence[Item]
    findings: Sequence[Finding]
    who: Mapping[str, Sequence[Able] | None]
    documents: Mapping[str, Any]
    proposed: Generated | None
    signer_entry: Mapping[str, Any] | None
    plan: Plan
    not_read: Sequence[str]
    commands: Sequence[tuple[str, str]]

    @property
    def failed(self) -> list[Item]:
        """The items of the checklist that do not hold."""
        return [item for item in self.items if item.status is Status.FAIL]

    @property
    def not_checked(self) -> list[Item]:
        """The items that could not be looked at."""
        return [item for item in self.items if item.status is Status.NOT_CHECKED]


def make_review(
    checklist: Checklist,
    *,
    key_id: str,
    made_at: str,
    made_by: str,
    signer_entry: Mapping[str, Any] | None,
    signer_why: str | None,
    plan: Plan,
    role_arn: str | None,
) -> Review:
    """Draws the conclusions.

    Args:
        checklist: with the facts.
        key_id: as it was asked for.
        made_at: RFC 3339.
        made_by: the reader's ARN.
        signer_entry: for signers.json.
        signer_why: why there is none.
        plan: rotation and retention.
        role_arn: the signer's role, as it was asked for.
    """
    facts = checklist.facts
    policies: list[Policy] = [facts.key_policy.value] if facts.key_policy.value is not None else []
    policies += facts.role.value.policies if facts.role.value is not None else ()
    unread = _not_read(facts)
    return Review(
        made_at=made_at,
        made_by=made_by,
        key_id=key_id,
        facts=facts,
        algorithm=checklist.algorithm,
        items=checklist.items(),
        findings=lint(checklist.documents(policies)).findings,
        who={
            action: checklist.who(action, taking=action == checklist.signing) for action in (checklist.signing, *ASKED)
        },
        documents=_documents(facts),
        proposed=_proposed(checklist, role_arn),
        signer_entry=signer_entry,
        plan=plan,
        not_read=[*unread, *([f"the public key: {signer_why}"] if signer_why else [])],
        commands=_commands(key_id, role_arn, checklist.algorithm),
    )


def _documents(facts: Facts) -> dict[str, Any]:
    """The policies of the key and of the role as AWS returned them, by the name of a file."""
    found: dict[str, Any] = {}
    if facts.key_policy.value is not None:
        found["key-policy.json"] = facts.key_policy.value.document
    role = facts.role.value
    if role is not None:
        for policy in (*role.policies, *role.boundary, *([role.trust] if role.trust is not None else [])):
            words = re.findall(r"[A-Za-z0-9_.]+", policy.name.rpartition("policy/")[2])
            found[f"role-{'-'.join(words)}.json"] = policy.document
    return found


def _not_read(facts: Facts) -> list[str]:
    parts: dict[str, Reading[Any]] = {
        "the key": facts.key,
        "the key policy": facts.key_policy,
        "further key policies": facts.other_policies,
        "grants": facts.grants,
        "aliases": facts.aliases,
        "the signer's role": facts.role,
        "the other roles and users of the account": facts.others,
        "trails": facts.trails,
    }
    return [f"{name}: {part.why}" for name, part in parts.items() if not part.known]


def _proposed(checklist: Checklist, role_arn: str | None) -> Generated | None:
    key = checklist.facts.key.value
    if key is None or role_arn is None or checklist.algorithm is None:
        return None
    account = role_arn.split(":")[4]
    home = key.arn.split(":")[4]
    try:
        return generate(
            Role.SIGNER,
            checklist.algorithm,
            key_arn=key.arn,
            alias=checklist.alias,
            role_arn=role_arn,
            cross_account=None if account == home else account,
        )
    except InputError:
        return None


def _commands(key_id: str, role_arn: str | None, algorithm: Algorithm | None) -> list[tuple[str, str]]:
    role = f" --role-arn {role_arn}" if role_arn else ""
    named = f" --algorithm {algorithm.id}" if algorithm else ""
    return [
        ("this page", f"auditseal review --key-id {key_id}{role}{named}"),
        ("the key", f"aws kms describe-key --key-id {key_id}"),
        ("the key policy", f"aws kms get-key-policy --key-id {key_id} --policy-name default"),
        ("grants", f"aws kms list-grants --key-id {key_id}"),
        ("the checklist", f"auditseal policy check --key-id {key_id}{role}{named}"),
        ("the findings", "auditseal policy lint key-policy.json role-*.json"),
        ("who may", "auditseal policy who-can key-policy.json role-*.json --key KEY_ARN --action kms:Sign"),
        ("the proposed policies", f"auditseal policy generate --role signer{named} --key-arn KEY_ARN"),
        ("the entry for signers.json", f"auditseal keys export {key_id} --signer-id NAME --signers signers.json"),
    ]


def files_of(review: Review) -> dict[str, str]:
    """The folder's JSON files, by name."""
    made: dict[str, Any] = dict(review.documents)
    made["who-can.json"] = {
        action: None if able is None else [{"principal": one.principal, "path": one.path, "by": one.by} for one in able]
        for action, able in review.who.items()
    }
    made["checklist.json"] = [
        {"id": item.id, "title": item.title, "status": item.status.lower(), "detail": item.detail, "fix": item.fix}
        for item in review.items
    ]
    made["findings.json"] = [
        {
            "rule": finding.rule.id,
            "severity": str(finding.severity),
            "policy": finding.policy,
            "statement": finding.statement,
            "message": finding.message,
            "fix": finding.rule.fix,
        }
        for finding in review.findings
    ]
    if review.signer_entry is not None:
        made["signers-entry.json"] = {"signers": [review.signer_entry]}
    if review.proposed is not None:
        made["proposed-iam-policy.json"] = review.proposed.iam_policy
        made["proposed-key-policy.json"] = review.proposed.key_policy
    made["not-read.json"] = list(review.not_read)
    return {name: json.dumps(value, indent=2) + "\n" for name, value in made.items()}
