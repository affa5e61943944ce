"""What was read of a key, a role and an account, each part with the reason where it could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from auditseal.access.checked import Reading
from auditseal.access.documents.found import FoundTrail
from auditseal.access.grant import Grant
from auditseal.access.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """A key as DescribeKey tells it.

    Attributes:
        arn: its ARN.
        spec, usage, state: KeySpec, KeyUsage, KeyState.
        algorithms: the signing or MAC algorithms that it offers.
    """

    arn: str
    spec: str
    usage: str
    state: str
    algorithms: tuple[str, ...]
    origin: str = "AWS_KMS"
    created: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A role or user with its policies.

    Attributes:
        arn: its ARN.
        policies: those in force, inline and attached, of a user's groups too; owner is the ARN.
        boundary: its permissions boundary.
        inactive: versions of attached policies that are not in force and could be put in force.
        trust: who may take on the role.
    """

    arn: str
    policies: tuple[Policy, ...] = ()
    boundary: tuple[Policy, ...] = ()
    inactive: tuple[Policy, ...] = ()
    trust: Policy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was read.

    Attributes:
        key_policy: the one named `default`.
        other_policies: names of further key policies, such as AWS_RAM.
        aliases: those that point to the key.
        role: the signer's role.
        others: every other role and user of the account.
        trails: those of the Region that record management events.
    """

    key: Reading[KeyFacts]
    key_policy: Reading[Policy]
    other_policies: Reading[tuple[str, ...]]
    grants: Reading[tuple[Grant, ...]]
    aliases: Reading[tuple[str, ...]]
    role: Reading[Identity] = field(default_factory=lambda: Reading(why="no role was named: give --role-arn"))
    others: Reading[tuple[Identity, ...]] = field(default_factory=lambda: Reading(why="the account was not read"))
    trails: Reading[tuple[FoundTrail, ...]] = field(default_factory=lambda: Reading(why="trails were not read"))
