"""What was found in a set of files: policies, keys, aliases, trails and grants, and what could not be read.

A policy whose text only the cloud will know is not passed over in silence: it stands in `unread`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from auditseal.access.node import CLOSE, OPEN, START, Node, Place
from auditseal.access.policy import Kind, Policy


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
class Attachment:
    """That a policy of a template is attached to somebody, told apart from the policy.

    Attributes:
        policy: what names the policy: its address in the template, or a reference to it.
        owner: the role, user or group.
    """

    policy: str
    owner: str

    def is_of(self, policy: Policy) -> bool:
        """Whether it is this policy that is attached."""
        named = self.policy.strip(OPEN + CLOSE)
        return policy.kind is Kind.IDENTITY and named in {policy.name, f"{policy.name}.arn", f"{policy.name}.id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """All that was found, in the order of the files.

    Attributes:
        policies: one that is attached to several stands once for each.
        attachments: which policies are attached to whom, where that stands apart.
    """

    sources: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    keys: tuple[FoundKey, ...] = ()
    aliases: tuple[FoundAlias, ...] = ()
    trails: tuple[FoundTrail, ...] = ()
    grants: tuple[Node, ...] = ()
    unread: tuple[Unread, ...] = ()
    attachments: tuple[Attachment, ...] = ()

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
    attachments: list[Attachment] = field(default_factory=list)

    def attach(self, policies: Iterable[str], owners: Iterable[str]) -> None:
        """Keeps that each of the policies is attached to each of the owners."""
        owners = list(owners)
        self.attachments += [Attachment(policy=policy, owner=owner) for policy in policies for owner in owners]

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
            attachments=tuple(self.attachments),
        )


def joined(parts: Iterable[Documents]) -> Documents:
    """Several sets as one."""
    parts = list(parts)
    attachments = tuple(attachment for part in parts for attachment in part.attachments)
    return Documents(
        sources=tuple(source for part in parts for source in part.sources),
        policies=tuple(one for part in parts for policy in part.policies for one in _owned(policy, attachments)),
        keys=tuple(key for part in parts for key in part.keys),
        aliases=tuple(alias for part in parts for alias in part.aliases),
        trails=tuple(trail for part in parts for trail in part.trails),
        grants=tuple(grant for part in parts for grant in part.grants),
        unread=tuple(unread for part in parts for unread in part.unread),
        attachments=attachments,
    )


def _owned(policy: Policy, attachments: Iterable[Attachment]) -> list[Policy]:
    """The policy once for each that it is attached to; once where nobody is known."""
    owners = [] if policy.owner is None else [policy.owner]
    owners += [one.owner for one in attachments if one.is_of(policy) and one.owner not in owners]
    return [replace(policy, owner=owner) for owner in owners] or [policy]


def group(name: str) -> str:
    """A group as an owner of policies: whoever is in it has them."""
    return f"group {name}"
