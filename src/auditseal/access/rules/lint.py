"""All rules over a set of documents.

Source: `docs/rules/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from auditseal.access.documents.found import Documents, Unread
from auditseal.access.rules.conditions import check_conditions
from auditseal.access.rules.effect import check_effect, check_lock_out
from auditseal.access.rules.families import (
    check_both_families,
    check_more_than_signing,
    check_unpinned,
    check_wrong_family,
)
from auditseal.access.rules.privileges import check_principals, check_signer_administers
from auditseal.access.rules.resources import (
    check_alias_as_resource,
    check_exclusions,
    check_placeholders,
    check_wildcard_key,
)
from auditseal.access.rules.rule import Finding, Severity
from auditseal.access.rules.subject import Subject
from auditseal.access.rules.together import check_both_sides, check_denials, check_trails

_CHECKS: Final[tuple[Callable[[Subject], Iterator[Finding]], ...]] = (
    check_placeholders,
    check_wildcard_key,
    check_alias_as_resource,
    check_exclusions,
    check_wrong_family,
    check_both_families,
    check_unpinned,
    check_more_than_signing,
    check_conditions,
    check_signer_administers,
    check_principals,
    check_effect,
    check_lock_out,
    check_both_sides,
    check_denials,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LintReport:
    """What the rules found.

    Attributes:
        findings: by file and place.
        policies, trails: how many were checked.
        unread: what should have been checked and could not be read.
    """

    findings: tuple[Finding, ...]
    policies: int
    trails: int
    unread: tuple[Unread, ...]

    def at_or_above(self, severity: Severity) -> list[Finding]:
        """The findings that are at least so bad."""
        return [finding for finding in self.findings if finding.severity >= severity]


def lint(documents: Documents, *, account: str | None = None) -> LintReport:
    """Applies every rule to every policy and trail.

    Args:
        documents: what was found in the files.
        account: the account that the identity policies belong to, where it is known.
    """
    findings = set(check_trails(documents))
    for policy in documents.policies:
        subject = Subject(policy=policy, documents=documents, account=account)
        for check in _CHECKS:
            findings.update(check(subject))
    order = {source: index for index, source in enumerate(documents.sources)}
    return LintReport(
        findings=tuple(
            sorted(
                findings,
                key=lambda found: (order.get(found.source, len(order)), found.place, -found.severity, found.rule.id),
            )
        ),
        policies=len({(policy.source, policy.name, policy.place) for policy in documents.policies}),
        trails=len(documents.trails),
        unread=documents.unread,
    )
