"""Grades: how well a stretch of entries is proven, and the arithmetic of stretches.

Source: `docs/spec/verification.md`, "Grades".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Grade(StrEnum):
    """What is proven of an entry. A grade says nothing of the others, except that all ask for the chain."""

    CHAINED = "G0"
    """It follows the entry before it."""
    SIGNED = "G1"
    """A known signer signed it, or a checkpoint over it."""
    COSIGNED = "G2"
    """The witnesses that the policy asks for have cosigned a checkpoint over it."""
    RECONCILED = "G3"
    """Its signature is accounted for by a call that CloudTrail recorded."""
    ANCHORED = "G4"
    """A checkpoint over it is kept, or time-stamped, out of the operator's reach."""


def parse_grade(text: str) -> Grade:
    """The grade of a name such as `G2`, in any case.

    Raises:
        InputError: for any other name.
    """
    try:
        return Grade(text.upper())
    except ValueError:
        raise InputError(f"{text[:20]!r} is no grade: use one of {', '.join(Grade)}") from None


Span = tuple[int, int]
"""The first seq of a stretch, and the seq after its last; never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeRange:
    """A stretch of entries that has a grade; both ends are included."""

    grade: Grade
    first_seq: int
    last_seq: int


def union(spans: Iterable[Span]) -> list[Span]:
    """The same seqs in as few stretches as possible, in order."""
    joined: list[Span] = []
    for first, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((first, end))
    return joined


def subtract(span: Span, taken: Iterable[Span]) -> list[Span]:
    """What of a stretch is in none of the others, in order."""
    rest: list[Span] = []
    first, end = span
    for other_first, other_end in union(taken):
        if other_end <= first or other_first >= end:
            continue
        if first < other_first:
            rest.append((first, other_first))
        first = max(first, other_end)
    if first < end:
        rest.append((first, end))
    return rest
