"""Findings with places, apart from who found them and from how they are shown.

Source: `docs/cli.md`, "Output".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from auditseal.cli.exits import Exit


class Level(StrEnum):
    """What a CI system makes of a finding."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleText:
    """What a kind of finding is about.

    Attributes:
        id: stable; programs match on it.
        title: in a few words.
        why: what comes of it.
        page: where it is explained, from the root of the documentation.
    """

    id: str
    title: str
    why: str = ""
    page: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFinding:
    """One finding.

    Attributes:
        rule: what it is.
        severity: in the words of who found it, such as `high`.
        level: what it does to the outcome: an error makes it bad.
        message: one sentence.
        source: the file; None where no file is meant.
        line, column: both from 1.
        subject: what in the file, such as a policy and its statement.
        fix: what to do.
    """

    rule: RuleText
    severity: str
    level: Level
    message: str
    source: str | None = None
    line: int | None = None
    column: int | None = None
    subject: str = ""
    fix: str | None = None

    @property
    def where(self) -> str:
        """File, line and column, as far as there are any."""
        return ":".join(str(part) for part in (self.source, self.line, self.column) if part is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotChecked:
    """Something that was asked for and could not be looked at."""

    what: str
    why: str
    source: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsReport:
    """The outcome of a command that finds things.

    Attributes:
        command: such as `policy lint`.
        sources: the files that were read.
        checked: how many of each kind, such as `policies`.
        findings: in the order in which they are shown.
        not_checked: what keeps the outcome from being good.
        outcome: the exit code, where it does not follow from the findings' levels.
    """

    command: str
    sources: Sequence[str]
    checked: Mapping[str, int]
    findings: Sequence[PlacedFinding]
    not_checked: Sequence[NotChecked] = field(default_factory=tuple)
    outcome: Exit | None = None

    @property
    def exit(self) -> Exit:
        """Bad with an error; inconclusive if something, or everything, was not checked."""
        if self.outcome is not None:
            return self.outcome
        if any(finding.level is Level.ERROR for finding in self.findings):
            return Exit.BAD
        if self.not_checked or not any(self.checked.values()):
            return Exit.INCONCLUSIVE
        return Exit.GOOD

    @property
    def verdict(self) -> str:
        """The exit code in a word."""
        return {Exit.GOOD: "valid", Exit.BAD: "invalid"}.get(self.exit, "inconclusive")
