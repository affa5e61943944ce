"""What a security review wants to know of one key, gathered in one value.

It holds no secret: key material never leaves KMS, and policies and names are what AWS shows to any auditor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from auditseal.access.checked import Item, Reading, Status
from auditseal.access.checklist import Checklist
from auditseal.access.facts import Facts
from auditseal.access.generate.policies import Generated, generate
from auditseal.access.generate.roles import Role
from auditseal.access.policy import Policy
from auditseal.access.remedy import Change, changes
from auditseal.access.rules.lint import lint
from auditseal.access.rules.rule import Finding
from auditseal.access.who_can import Able
from auditseal.core.algorithm import Algorithm
from auditseal.errors import InputError

KEY_POLICY: Final = "the key policy"
"""What findings call it."""
CHANGES_WHO_SIGNS: Final = "kms:PutKeyPolicy"
ASKED: Final = (CHANGES_WHO_SIGNS, "kms:CreateGrant", "kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:UpdateAlias")
"""Beside signing, the actions for which the review names everybody."""
_STEPS: Final = """\
Every {rotate} days, or at once when a key may have been misused, a new key is made: asymmetric and HMAC keys in KMS \
never rotate by themselves (auditseal rotate start).
The new public key is added to signers.json and reaches every verifier before the new key signs.
The signer is pointed at the new key (AUDIT_SIGNING_KMS_KEY_ID), and auditseal guard is run.
The old entry stays in signers.json, retired from its last entry on: without it nobody could verify the older part of \
the log.
The old key is disabled once nothing waits for its signature (aws kms disable-key). An HMAC key stays enabled: \
otherwise its MACs could not be checked.
Logs and signers.json are kept for {retain} days. A key is deleted after that at the earliest, with a waiting time of \
30 days, and only once its public key was exported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long keys and logs live.

    Attributes:
        rotate_days: after how many days a new key is made.
        retain_days: for how many days the log must stay verifiable.
    """

    rotate_days: int
    retain_days: int

    @property
    def steps(self) -> list[str]:
        """What is done, in order."""
        return _STEPS.format(rotate=self.rotate_days, retain=self.retain_days).splitlines()

    def ends(self, created: str) -> str | None:
        """The day by which another key should sign, from the day that this one was made (YYYY-MM-DD)."""
        if not created:
            return None
        last = date.fromisoformat(created) + timedelta(days=self.rotate_days)
        return f"{last.isoformat()}, {self.rotate_days} days after it was made"

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
        who: everybody who may, by action, signing first; None where that could not be told.
        documents: the policies as they are, by the name of their file.
        proposed: the least-privilege policies for the role.
        changes: of the policies in force, what to change for that.
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
    changes: Sequence[Change]
    signer_entry: Mapping[str, Any] | None
    plan: Plan
    not_read: Sequence[str]
    commands: Sequence[tuple[str, str]]

    @property
    def signing(self) -> str:
        """The action that makes a signature with the key."""
        return next(iter(self.who))

    @property
    def other_algorithms(self) -> list[str]:
        """What the key offers beside the algorithm that is used."""
        key = self.facts.key.value
        used = None if self.algorithm is None else self.algorithm.kms_signing_algorithm
        return [] if key is None else [name for name in key.algorithms if name != used]

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
    signing = checklist.signing
    findings = lint(checklist.documents(policies)).findings
    proposed = _proposed(checklist, role_arn)
    unread = _not_read(facts)
    return Review(
        made_at=made_at,
        made_by=made_by,
        key_id=key_id,
        facts=facts,
        algorithm=checklist.algorithm,
        items=checklist.items(),
        findings=findings,
        who={action: checklist.who(action, taking=action == signing) for action in (signing, *ASKED)},
        documents=_documents(facts),
        proposed=proposed,
        changes=[] if proposed is None else changes(policies, findings, proposed),
        signer_entry=signer_entry,
        plan=plan,
        not_read=[*unread, *([f"the public key: {signer_why}"] if signer_why else [])],
        commands=_commands(checklist, key_id, role_arn, signer_entry),
    )


def _documents(facts: Facts) -> dict[str, Any]:
    """The policies of the key and of the role as AWS returned them, by the name of a file."""
    found: dict[str, Any] = {}
    if facts.key_policy.value is not None:
        found[file_of(KEY_POLICY)] = facts.key_policy.value.document
    role = facts.role.value
    if role is not None:
        for policy in (*role.policies, *role.boundary, *([role.trust] if role.trust is not None else [])):
            found[file_of(policy.name)] = policy.document
    return found


def file_of(policy: str) -> str:
    """The file that holds a policy of the review, by the name that findings give the policy."""
    if policy == KEY_POLICY:
        return "key-policy.json"
    words = re.findall(r"[A-Za-z0-9_.]+", policy.rpartition("policy/")[2])
    return f"role-{'-'.join(words)}.json"


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


def _commands(
    checklist: Checklist, key_id: str, role_arn: str | None, signer_entry: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    key, algorithm, signing = checklist.facts.key.value, checklist.algorithm, checklist.signing
    arn = "KEY_ARN" if key is None else key.arn
    name = "NAME" if signer_entry is None else signer_entry["signerId"]
    role = f" --role-arn {role_arn}" if role_arn else ""
    named = f" --algorithm {algorithm.id}" if algorithm else ""
    alias = f" --alias {checklist.alias}" if checklist.alias else ""
    return [
        ("this page", f"auditseal review --key-id {key_id}{role}{named}"),
        ("the key", f"aws kms describe-key --key-id {key_id}"),
        ("the key policy", f"aws kms get-key-policy --key-id {key_id} --policy-name default"),
        ("grants", f"aws kms list-grants --key-id {key_id}"),
        ("the checklist", f"auditseal policy check --key-id {key_id}{role}{named}"),
        ("the findings", "auditseal policy lint key-policy.json role-*.json"),
        ("who may", f"auditseal policy who-can key-policy.json role-*.json --key {arn} --action {signing}"),
        ("the proposed policies", f"auditseal policy generate --role signer{named} --key-arn {arn}{alias}{role}"),
        ("the entry for signers.json", f"auditseal keys export {key_id} --signer-id {name} --signers signers.json"),
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
            "why": finding.rule.why,
            "fix": finding.rule.fix,
            "page": finding.rule.page,
        }
        for finding in review.findings
    ]
    if review.signer_entry is not None:
        made["signers-entry.json"] = {"signers": [review.signer_entry]}
    if review.proposed is not None:
        made["proposed-iam-policy.json"] = review.proposed.iam_policy
        made["proposed-key-policy.json"] = review.proposed.key_policy
    for change in review.changes:
        if change.after is not None:
            made[f"changed-{file_of(change.policy)}"] = change.after
    made["not-read.json"] = list(review.not_read)
    return {name: json.dumps(value, indent=2) + "\n" for name, value in made.items()}
