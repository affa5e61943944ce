"""What a rule and a finding are.

Source: `docs/rules/`, one page for each rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from auditseal.access.node import Place
from auditseal.errors import InputError


class Severity(IntEnum):
    """How bad it is; a larger number is worse."""

    LOW = 1
    """More than is needed."""
    MEDIUM = 2
    """Weaker than it looks, or without effect."""
    HIGH = 3
    """Somebody may sign or change what they must not, or the signer cannot sign."""

    def __str__(self) -> str:
        return self.name.lower()


def parse_severity(text: str) -> Severity:
    """A severity by its name.

    Raises:
        InputError: another word.
    """
    try:
        return Severity[text.upper()]
    except KeyError:
        raise InputError(f"{text[:20]!r} is no severity: use high, medium or low") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        id: a stable name, also that of its page.
        title: what is wrong, in a few words.
        why: what comes of it.
        fix: what to do.
    """

    id: str
    severity: Severity
    title: str
    why: str
    fix: str

    @property
    def page(self) -> str:
        """Where it is explained, from the root of the documentation."""
        return f"docs/rules/{self.id}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that a text breaks.

    Attributes:
        message: what is wrong here, in one sentence.
        source: the file.
        policy: what a person finds the policy by in that file; empty where the file is the policy.
        statement: the statement's Sid or number, where one is meant.
        place: the line and column.
    """

    rule: Rule
    message: str
    source: str
    place: Place
    policy: str = ""
    statement: str | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is; it follows from the rule."""
        return self.rule.severity


MAX_EXAMPLES: Final = 4


def listed(names: object) -> str:
    """A few names of many, in order, for a sentence."""
    every = sorted(str(name) for name in names)  # type: ignore[attr-defined] # any iterable
    shown = ", ".join(every[:MAX_EXAMPLES])
    return f"{shown} and {len(every) - MAX_EXAMPLES} more" if len(every) > MAX_EXAMPLES else shown
