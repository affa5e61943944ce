"""IAM policy documents as values: statements that know where each of their parts stands.

Source: IAM User Guide, "IAM JSON policy element reference" and "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from auditseal.access.node import START, Place

VERSIONS: Final = ("2012-10-17", "2008-10-17")
"""The versions of the policy language; without a Version a policy has the older one, which knows no variables."""


class Effect(StrEnum):
    """What a statement does when it matches."""

    ALLOW = "Allow"
    DENY = "Deny"


class Kind(StrEnum):
    """What a policy is attached to, and so what it can do."""

    IDENTITY = "identity policy"
    KEY = "key policy"
    RESOURCE = "resource policy"
    BOUNDARY = "permissions boundary"
    SCP = "service control policy"
    SESSION = "session policy"
    TRUST = "trust policy"


@dataclass(frozen=True, slots=True)
class Item:
    """A text of a policy and where it stands."""

    text: str
    place: Place = START

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """One principal of a statement.

    Attributes:
        type: `AWS`, `Service`, `Federated`, `CanonicalUser`; `*` for the bare star.
        text: the id, as written.
    """

    type: str
    text: str
    place: Place = START

    @property
    def is_everyone(self) -> bool:
        """Whether this names the whole world."""
        return self.text == "*" and self.type in {"*", "AWS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition key under one operator.

    Attributes:
        operator: as written, such as `ForAnyValue:StringLike`.
        key: as written.
        values: any of them may match.
    """

    operator: str
    key: str
    values: tuple[Item, ...]
    place: Place = START

    def __str__(self) -> str:
        values = ", ".join(value.text for value in self.values)
        return f"{self.operator} {self.key} {values}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. An element that is not there is None; one that is there may be empty."""

    index: int
    effect: Effect
    sid: str | None = None
    principals: tuple[Principal, ...] | None = None
    not_principals: tuple[Principal, ...] | None = None
    actions: tuple[Item, ...] | None = None
    not_actions: tuple[Item, ...] | None = None
    resources: tuple[Item, ...] | None = None
    not_resources: tuple[Item, ...] | None = None
    conditions: tuple[Condition, ...] = ()
    place: Place = START

    @property
    def label(self) -> str:
        """What a person finds it by: its Sid, or its number from 1."""
        return self.sid or f"statement {self.index + 1}"

    @property
    def is_allow(self) -> bool:
        """Whether it allows."""
        return self.effect is Effect.ALLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy document.

    Attributes:
        name: what a person finds it by within its file, such as a resource's address.
        source: the file.
        owner: for an identity policy, what it is attached to, where that is known.
        key: for a key policy, the key's ARN or the name its template gives it, where that is known.
        characters: its size as IAM counts it, without white space.
    """

    statements: tuple[Statement, ...]
    kind: Kind = Kind.IDENTITY
    version: str | None = None
    id: str | None = None
    name: str = ""
    source: str = ""
    owner: str | None = None
    key: str | None = None
    characters: int = 0
    place: Place = field(default=START)

    @property
    def label(self) -> str:
        """File and name, as far as there are any."""
        return " ".join(part for part in (self.source, self.name) if part) or str(self.kind)

    @property
    def has_variables(self) -> bool:
        """Whether `${…}` is a variable in it."""
        return self.version == VERSIONS[0]
