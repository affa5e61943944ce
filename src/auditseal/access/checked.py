"""One thing that was checked, with its outcome; what could not be looked at is never a pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Status(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 - a word, no secret
    FAIL = "FAIL"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of a checklist.

    Attributes:
        id: stable; programs match on it.
        title: what was asked, as a person would ask it.
        detail: what was found, or why it could not be looked at.
        fix: for what failed, what to do.
    """

    id: str
    title: str
    status: Status
    detail: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What was read, or why it was not.

    Attributes:
        value: None only where `why` says why.
        why: such as `no permission for kms:ListGrants`.
    """

    value: T | None = None
    why: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return self.why is None


def passed(id_: str, title: str, detail: str) -> Item:
    """An item that holds."""
    return Item(id=id_, title=title, status=Status.PASS, detail=detail)


def failed(id_: str, title: str, detail: str, fix: str) -> Item:
    """An item that does not hold."""
    return Item(id=id_, title=title, status=Status.FAIL, detail=detail, fix=fix)


def not_checked(id_: str, title: str, why: str | None) -> Item:
    """An item that could not be looked at."""
    return Item(id=id_, title=title, status=Status.NOT_CHECKED, detail=why or "not read")


def held(id_: str, title: str, faults: Sequence[str], good: str, fix: str) -> Item:
    """An item that holds if there is nothing against it."""
    return failed(id_, title, "; ".join(faults), fix) if faults else passed(id_, title, good)
