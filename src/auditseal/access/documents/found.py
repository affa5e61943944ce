"""What was found in a set of files: policies, keys, aliases, trails and grants, and what could not be read.

A policy whose text only the cloud will know is not passed over in silence: it stands in `unread`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from auditseal.access.node import START, Node, Place
from auditseal.access.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A KMS key that a template makes or that DescribeKey returned.

    Attributes:
        name: its address in the template, or its ARN.
        spec, usage: KeySpec and KeyUsage; None where the file does not tell.
    """

    name: str
    spec: str | None = None
    usage: str | None = None
    source: str = ""
    place: Place = START


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAlias:
    """An alias and what it points to: a key id, ARN or address in the template."""

    name: str
    target: str
    source: str = ""
    place: Place = START


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTrail:
    """A CloudTrail trail's selection of management events.

    Attributes:
        name: its address in the template, or its ARN.
        logging: whether it records at all.
        reads: whether it records read-only management events, as Sign is one.
        kms: whether it records those of KMS.
        problem: where the selection stands.
    """

    name: str
    logging: bool = True
    reads: bool = True
    kms: bool = True
    source: str = ""
    place: Place = START
    problem: Place = START


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Something that would have to be read and could not be."""

    what: str
    why: str
    source: str = ""
    place: Place = START


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """All that was found, in the order of the files."""

    sources: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    keys: tuple[FoundKey, ...] = ()
    aliases: tuple[FoundAlias, ...] = ()
    trails: tuple[FoundTrail, ...] = ()
    grants: tuple[Node, ...] = ()
    unread: tuple[Unread, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to check."""
        return not (self.policies or self.trails)


@dataclass(slots=True)
class Finds:
    """Collects what one file holds."""

    source: str
    policies: list[Policy] = field(default_factory=list)
    keys: list[FoundKey] = field(default_factory=list)
    aliases: list[FoundAlias] = field(default_factory=list)
    trails: list[FoundTrail] = field(default_factory=list)
    grants: list[Node] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def not_read(self, what: str, why: str, place: Place) -> None:
        """Keeps what could not be read."""
        self.unread.append(Unread(what=what, why=why, source=self.source, place=place))

    def done(self) -> Documents:
        """All of it, unchangeable."""
        return Documents(
            sources=(self.source,),
            policies=tuple(self.policies),
            keys=tuple(self.keys),
            aliases=tuple(self.aliases),
            trails=tuple(self.trails),
            grants=tuple(self.grants),
            unread=tuple(self.unread),
        )


def joined(parts: Iterable[Documents]) -> Documents:
    """Several sets as one."""
    parts = list(parts)
    return Documents(
        sources=tuple(source for part in parts for source in part.sources),
        policies=tuple(policy for part in parts for policy in part.policies),
        keys=tuple(key for part in parts for key in part.keys),
        aliases=tuple(alias for part in parts for alias in part.aliases),
        trails=tuple(trail for part in parts for trail in part.trails),
        grants=tuple(grant for part in parts for grant in part.grants),
        unread=tuple(unread for part in parts for unread in part.unread),
    )
