"""Whether a request is allowed, by AWS's order of evaluation, and which statement decides.

An explicit Deny anywhere wins. Then every service control policy level must allow. In the key's own account the key
policy alone can allow, or it hands over to the account's IAM policies; without that hand-over those count for nothing.
From another account both sides must allow. Permission boundaries and session policies limit what identity policies and
a role's share of the key policy give. A grant allows beside all policies.

Source: IAM User Guide, "Policy evaluation logic"; KMS Developer Guide, "Determining access to AWS KMS keys".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from auditseal.access.condition import holds
from auditseal.access.grant import Grant
from auditseal.access.match import is_resolvable, matches_action, matches_resource
from auditseal.access.policy import Kind, Policy, Statement
from auditseal.access.request import Reach, Request, names_caller, reach_of


class Result(StrEnum):
    """What IAM answers."""

    ALLOWED = "allowed"
    EXPLICITLY_DENIED = "explicitly denied"
    IMPLICITLY_DENIED = "implicitly denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A statement that applies to the request.

    Attributes:
        reach: how its Principal means the caller; everything in a policy that has no principals.
    """

    policy: Policy
    statement: Statement
    reach: Reach

    @property
    def label(self) -> str:
        """Policy and statement, as a person finds them."""
        return self.policy.label_of(self.statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """All policies that bear on a request; an absent kind does not limit.

    Attributes:
        identity: those attached to the caller, its groups' among them.
        key_policy: the resource's own; for a role that is taken on, its trust policy with `*` as Resource.
        boundaries: the caller's permissions boundary.
        scps: by level from the organisation's root down to the account; each level must allow.
        session: those given when the session began.
        grants: those on the key.
    """

    identity: Sequence[Policy] = ()
    key_policy: Policy | None = None
    boundaries: Sequence[Policy] = ()
    scps: Sequence[Sequence[Policy]] = ()
    session: Sequence[Policy] = ()
    grants: Sequence[Grant] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome.

    Attributes:
        path: how it came about, such as `key policy` or `account root and identity policy`.
        hits: the statements that decide; for an implicit denial those that came closest.
        grant: the grant that allows, if one does.
    """

    result: Result
    path: str
    hits: tuple[Hit, ...] = ()
    grant: Grant | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether the request passes."""
        return self.result is Result.ALLOWED


_EVERY = Reach(account=True, direct=True, role=True)


def evaluate(request: Request, given: Surroundings) -> Decision:
    """Decides one request.

    Raises:
        InputError: a policy uses a condition operator that does not exist.
    """
    scps = [_hits(request, level) for level in given.scps]
    key = _hits(request, [] if given.key_policy is None else [given.key_policy])
    identity = _hits(request, given.identity)
    boundary = _hits(request, given.boundaries)
    session = _hits(request, given.session)
    every = [*(hit for level in scps for hit in level), *key, *identity, *boundary, *session]
    denials = tuple(hit for hit in every if not hit.statement.is_allow)
    if denials:
        return Decision(result=Result.EXPLICITLY_DENIED, path=str(denials[0].policy.kind), hits=denials)
    for level in scps:
        if not level:
            return _no("no service control policy of one level allows it")
    grant = next((grant for grant in given.grants if grant.allows(request)), None)
    if grant is not None:
        return Decision(result=Result.ALLOWED, path="grant", grant=grant)
    limits = _limits(given, boundary, session)
    if not request.has_own_policy:
        return _by_identity(identity, limits)
    if request.crosses_accounts:
        return _across(request, key, identity, limits)
    return _within(key, identity, limits)


def _hits(request: Request, policies: Sequence[Policy]) -> list[Hit]:
    found = []
    for policy in policies:
        for statement in policy.statements:
            reach = _applies(request, policy, statement)
            if reach is not None:
                found.append(Hit(policy=policy, statement=statement, reach=reach))
    return found


def _applies(request: Request, policy: Policy, statement: Statement) -> Reach | None:
    """How the statement means the caller; None if it does not apply to the request."""
    reach = _EVERY
    if policy.kind is Kind.KEY and statement.principals is None and statement.not_principals is None:
        return None  # KMS takes no such statement
    if statement.principals is not None:
        reach = reach_of(statement.principals, request)
        if not reach.any:
            return None
    if statement.not_principals is not None and names_caller(statement.not_principals, request):
        return None
    variables = request.variables if policy.has_variables else None
    if not _covers_action(request, statement) or not _covers_resource(request, statement, variables):
        return None
    if all(holds(condition, request, variables, policy.source) for condition in statement.conditions):
        return reach
    return None


def _covers_action(request: Request, statement: Statement) -> bool:
    if statement.not_actions is not None:
        return not any(matches_action(item.text, request.action) for item in statement.not_actions)
    return any(matches_action(item.text, request.action) for item in statement.actions or ())


def _covers_resource(request: Request, statement: Statement, variables: dict[str, str] | None) -> bool:
    if statement.not_resources is not None:
        # A variable without a value makes the statement apply to nothing, not to everything.
        return all(
            is_resolvable(item.text, variables) and not matches_resource(item.text, request.resource, variables)
            for item in statement.not_resources
        )
    return any(matches_resource(item.text, request.resource, variables) for item in statement.resources or ())


def _limits(given: Surroundings, boundary: Sequence[Hit], session: Sequence[Hit]) -> list[str]:
    """What withholds its consent."""
    limits = []
    if given.boundaries and not boundary:
        limits.append("the permissions boundary does not allow it")
    if given.session and not session:
        limits.append("the session policy does not allow it")
    return limits


def _by_identity(identity: Sequence[Hit], limits: list[str]) -> Decision:
    """For what has no policy of its own, such as an alias or a list of keys."""
    if not identity:
        return _no("no identity policy allows it")
    return _no(limits[0], *identity) if limits else _yes("identity policy", identity[0])


def _within(key: Sequence[Hit], identity: Sequence[Hit], limits: list[str]) -> Decision:
    direct = [hit for hit in key if hit.reach.direct]
    by_role = [hit for hit in key if hit.reach.role]
    by_account = [hit for hit in key if hit.reach.account]
    if direct:
        return _yes("key policy", direct[0])
    if by_role and not limits:
        return _yes("key policy", by_role[0])
    if by_account and identity and not limits:
        return _yes("account root in the key policy and identity policy", by_account[0], identity[0])
    if (by_account and identity) or by_role:
        return _no(limits[0], *by_role, *identity)
    if identity:
        return _no("the key policy neither names the caller nor hands over to the account's IAM policies", *identity)
    if by_account:
        return _no("the key policy hands over to the account, and no identity policy allows it", *by_account)
    return _no("no statement allows it")


def _across(request: Request, key: Sequence[Hit], identity: Sequence[Hit], limits: list[str]) -> Decision:
    if not key:
        return _no("the caller is of another account, and the key policy does not allow it", *identity)
    if request.principal.kind == "root":
        return _yes("key policy, and the root user of the caller's account needs no policy of its own", key[0])
    if not identity:
        return _no("the caller is of another account, and no identity policy of its own allows it", *key)
    if limits:
        return _no(limits[0], *key, *identity)
    return _yes("key policy and identity policy of the caller's account", key[0], identity[0])


def _yes(path: str, *hits: Hit) -> Decision:
    return Decision(result=Result.ALLOWED, path=path, hits=hits)


def _no(path: str, *hits: Hit) -> Decision:
    return Decision(result=Result.IMPLICITLY_DENIED, path=path, hits=hits)
