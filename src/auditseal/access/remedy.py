"""What the policies in force would say without what the rules found: each with its text before and after.

A statement that a rule objects to goes; one that lets the signer sign has the generated one in its place. The key
policy becomes the generated one, with whatever else it says of others. What has nothing to do with the key stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditseal.access.generate.policies import Generated
from auditseal.access.generate.roles import ACCOUNT_SID
from auditseal.access.policy import Kind, Policy, Statement
from auditseal.access.rules.rule import Finding
from auditseal.access.rules.subject import home_account, is_handover, kms_actions
from auditseal.access.vocabulary import SIGNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One policy before and after.

    Attributes:
        policy: the name that findings give it.
        before: as it is in force.
        after: as it should be; None if nothing of it is left, and it should be taken off the role.
    """

    policy: str
    before: Mapping[str, Any]
    after: Mapping[str, Any] | None


def changes(policies: Sequence[Policy], findings: Sequence[Finding], proposed: Generated) -> list[Change]:
    """The policies that should change.

    Args:
        policies: the key policy and those of the signer's role, as they are.
        findings: what the rules found in them.
        proposed: the signer's least-privilege policies.
    """
    made = []
    for policy in policies:
        found = {finding.statement for finding in findings if finding.policy == policy.name}
        before = [raw for _, raw in _each(policy)]
        after = (_key_policy if policy.kind is Kind.KEY else _identity_policy)(policy, found, proposed)
        if after != before:
            whole = {**policy.document, "Statement": after} if after else None
            made.append(Change(policy=policy.name, before=policy.document, after=whole))
    return made


def _each(policy: Policy) -> list[tuple[Statement, Any]]:
    raw = policy.document["Statement"]
    return list(zip(policy.statements, raw if isinstance(raw, list) else [raw], strict=True))


def _key_policy(policy: Policy, found: set[str | None], proposed: Generated) -> list[Any]:
    """The generated statements, and of those in force the ones that nothing speaks against, each where it stood."""
    wanted: list[Any] = list(proposed.key_policy["Statement"])
    home = home_account(policy)
    kept: list[Any] = []
    for statement, raw in _each(policy):
        if raw in wanted:
            wanted.remove(raw)
        elif is_handover(statement, home) and statement.label not in found:
            wanted = [one for one in wanted if one["Sid"] != ACCOUNT_SID]
        elif statement.label in found or _signs(statement):
            continue
        kept.append(raw)
    sids = {one["Sid"] for one in wanted}
    return [*(one for one in kept if not isinstance(one, dict) or one.get("Sid") not in sids), *wanted]


def _identity_policy(policy: Policy, found: set[str | None], proposed: Generated) -> list[Any]:
    after: list[Any] = []
    for statement, raw in _each(policy):
        if statement.label not in found:
            after.append(raw)
        elif _signs(statement):
            after += [one for one in proposed.iam_policy["Statement"] if one not in after]
    return after


def _signs(statement: Statement) -> bool:
    return statement.is_allow and bool(kms_actions(statement) & SIGNING)
