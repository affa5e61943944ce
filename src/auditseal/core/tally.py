"""Findings that are told once with a count: many calls of one kind say one thing."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from auditseal.core.account import AccountFinding, AccountFindings

_MOST_GROUPS: Final = 10_000


class Tally:
    """Counts findings by what they have in common; the first of each stands for all."""

    def __init__(self, findings: AccountFindings) -> None:
        """Takes where the findings go in the end."""
        self._findings = findings
        self._groups: dict[Hashable, AccountFinding] = {}

    def count(self, group: Hashable, finding: AccountFinding) -> None:
        """Counts one; beyond some thousand groups each goes on by itself."""
        known = self._groups.get(group)
        if known is not None:
            self._groups[group] = replace(known, count=known.count + 1)
        elif len(self._groups) < _MOST_GROUPS:
            self._groups[group] = finding
        else:
            self._findings.add(finding)

    def hand_in(self) -> None:
        """Hands in what was counted."""
        for finding in self._groups.values():
            self._findings.add(finding)
        self._groups.clear()
