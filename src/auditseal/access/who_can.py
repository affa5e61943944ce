"""Every principal that may take an action on a key, and by which path, over a set of policies.

A request is tried in each form that the statements ask for, such as each pinned algorithm: whoever is allowed in one of
them is named, with what the request must say. Where a text leaves open whom it means, the answer includes more people,
never fewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from auditseal.access.arn import parse_principal
from auditseal.access.concrete import Concrete
from auditseal.access.condition import NULL, Quantifier, parse_operator
from auditseal.access.evaluate import Decision, Surroundings, evaluate
from auditseal.access.grant import Grant
from auditseal.access.match import matches_action
from auditseal.access.policy import VERSIONS, Condition, Effect, Item, Kind, Policy, Statement
from auditseal.access.request import make_request
from auditseal.errors import InputError

MAX_FORMS = 256
_TAKING = ("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML")
_TAKES_ON = "takes on "
TEMPLATE_KEY = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000"
"""Stands for the key of a template, which has no ARN yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Able:
    """Somebody who may.

    Attributes:
        principal: an ARN, an account's principals, a service, or everybody.
        path: how, such as `key policy`, or by taking on a role that may.
        by: the statements or the grant that allow it.
        when: what the request must say; by condition key.
        arn: the one principal that is meant; empty for a service, an account or everybody.
    """

    principal: str
    path: str
    by: tuple[str, ...]
    when: Mapping[str, str]
    arn: str = ""

    @property
    def is_direct(self) -> bool:
        """Whether it may do so itself, without taking on a role first."""
        return not self.path.startswith(_TAKES_ON)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """Somebody to try: the ARN, how to name them, and the identity policies they have."""

    arn: str
    shown: str
    identity: tuple[Policy, ...] = ()


def who_can(
    action: str,
    key: str,
    policies: Sequence[Policy],
    *,
    grants: Sequence[Grant] = (),
    scps: Sequence[Sequence[Policy]] = (),
    boundaries: Mapping[str, Sequence[Policy]] | None = None,
) -> list[Able]:
    """Everybody who may take the action.

    Args:
        action: such as `kms:Sign`.
        key: the key's ARN.
        policies: the key policy and identity policies, whose owner is who has them; and the trust policies of roles,
            so that those who may take on a role that may are named too.
        grants: those on the key.
        scps: service control policies by level.
        boundaries: by owner, its permissions boundary.

    Raises:
        InputError: there is no key policy, or more than one, so that nothing can be said.
    """
    names = Concrete(key)
    own = [policy for policy in policies if policy.kind is Kind.KEY]
    if len(own) != 1:
        raise InputError(f"{len(own)} key policies are given: who can use a key is decided by its one key policy")
    asked = _Asked(
        names=names,
        identity=[policy for policy in policies if policy.kind is Kind.IDENTITY],
        scps=scps,
        boundaries=boundaries or {},
    )
    found = asked.able(action, key, own[0], grants)
    trusts = {
        names.principal(policy.owner): policy for policy in policies if policy.kind is Kind.TRUST and policy.owner
    }
    return [*found, *_takers(asked, trusts, [one.arn for one in found])]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What stays the same whichever resource is asked about."""

    names: Concrete
    identity: Sequence[Policy]
    scps: Sequence[Sequence[Policy]]
    boundaries: Mapping[str, Sequence[Policy]]

    def able(self, action: str, resource: str, own: Policy, grants: Sequence[Grant] = ()) -> list[Able]:
        """Everybody who may take an action on a resource that has a policy of its own."""
        names = self.names.about(resource)
        found, decides = list(_services(action, own)), names.policy(own)
        for candidate in _candidates(names, own, self.identity, grants):
            owner = candidate.identity[0].owner if candidate.identity else None
            given = Surroundings(
                identity=[names.policy(policy) for policy in candidate.identity],
                key_policy=decides,
                boundaries=self.boundaries.get(owner or candidate.arn, ()),
                scps=self.scps,
                grants=grants,
            )
            able = _try(candidate, action, resource, given)
            if able is not None:
                found.append(able)
        return [*found, *_accounts(action, own, names)]


def _takers(asked: _Asked, trusts: Mapping[str, Policy], roles: Sequence[str]) -> Iterator[Able]:
    """Who may take on one of the roles, or a role that may do so in turn, as far as their trust policies are known."""
    waiting = list(roles)
    seen = set(waiting)
    while waiting:
        role = waiting.pop(0)
        trust = trusts.get(role)
        if trust is None:
            continue
        # A trust policy has no Resource: it is about its role.
        about_itself = tuple(replace(statement, resources=(Item("*"),)) for statement in trust.statements)
        for action in _TAKING:
            for one in asked.able(action, role, replace(trust, statements=about_itself)):
                if one.arn != role:
                    yield replace(one, path=f"{_TAKES_ON}{asked.names.shown(role)} ({action})")
                if one.arn and one.arn not in seen:
                    seen.add(one.arn)
                    waiting.append(one.arn)


def _candidates(
    names: Concrete, key_policy: Policy, identity: Sequence[Policy], grants: Sequence[Grant]
) -> Iterator[_Candidate]:
    owned: dict[str, list[Policy]] = {}
    for policy in identity:
        owned.setdefault(policy.owner or f"whoever has {policy.label}", []).append(policy)
    tried: set[str] = set()
    for owner, policies in owned.items():
        arn = names.principal(owner)
        tried.add(arn)
        shown = owner if policies[0].owner is None else names.shown(arn)
        yield _Candidate(arn=arn, shown=shown, identity=tuple(policies))
    texts = [one.text for statement in key_policy.statements for one in statement.principals or () if one.type == "AWS"]
    for text in [*texts, *(grant.grantee for grant in grants)]:
        arn = names.principal(text)
        if arn == "*" or arn in tried:
            continue
        tried.add(arn)
        try:
            caller = parse_principal(arn)
        except InputError:
            continue
        if caller.account != names.account and caller.kind != "root":
            shown = f"{names.shown(arn)}, if its own account allows it"
            yield _Candidate(arn=arn, shown=shown, identity=(_elsewhere(caller.account),))
        elif caller.kind != "root":
            yield _Candidate(arn=arn, shown=names.shown(arn))
        elif caller.account == names.account:
            yield _Candidate(arn=arn, shown=f"{names.shown(arn)} (the root user)")


def _elsewhere(account: str) -> Policy:
    """What another account's IAM policies may say, which nobody here has read: everything."""
    anything = (Item("*"),)
    allow = Statement(index=0, effect=Effect.ALLOW, sid="not read", actions=anything, resources=anything)
    return Policy(statements=(allow,), version=VERSIONS[0], name=f"the IAM policies of account {account}")


def _try(candidate: _Candidate, action: str, key: str, given: Surroundings) -> Able | None:
    for form in _forms(action, [*given.identity, *([given.key_policy] if given.key_policy else [])]):
        request = make_request(principal=candidate.arn, action=action, resource=key, context=form)
        decision = evaluate(request, given)
        if decision.is_allowed:
            needed = _needed(decision)
            when = {name: _text(value) for name, value in form.items() if name.lower() in needed}
            return Able(principal=candidate.shown, path=decision.path, by=_by(decision), when=when, arn=candidate.arn)
    return None


def _by(decision: Decision) -> tuple[str, ...]:
    if decision.grant is not None:
        return (decision.grant.label,)
    return tuple(hit.label for hit in decision.hits)


def _needed(decision: Decision) -> set[str]:
    return {condition.key.lower() for hit in decision.hits for condition in hit.statement.conditions}


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _forms(action: str, policies: Iterable[Policy]) -> Iterator[dict[str, str | list[str]]]:
    """The contexts to try: none, and all combinations of the values that Allow statements ask for."""
    asked: dict[str, dict[str, str | list[str]]] = {}
    for policy in policies:
        for statement in policy.statements:
            if statement.is_allow and _is_about(statement, action):
                for condition in statement.conditions:
                    operator = parse_operator(condition.operator)
                    if operator is None or operator.negated or operator.name == NULL:
                        continue
                    for item in condition.values:
                        value: str | list[str] = item.text.replace("*", "x").replace("?", "x")
                        if operator.quantifier is not Quantifier.NONE:
                            value = [str(value)]
                        asked.setdefault(condition.key, {})[item.text] = value
    yield {}
    keys = list(asked)
    for count, values in enumerate(product(*(asked[key].values() for key in keys))):
        if count >= MAX_FORMS or not keys:
            return
        yield dict(zip(keys, values, strict=True))


def _is_about(statement: Statement, action: str) -> bool:
    if statement.not_actions is not None:
        return not any(matches_action(item.text, action) for item in statement.not_actions)
    return any(matches_action(item.text, action) for item in statement.actions or ())


def _open_statements(action: str, key_policy: Policy) -> Iterator[Statement]:
    return (one for one in key_policy.statements if one.is_allow and _is_about(one, action))


def _services(action: str, key_policy: Policy) -> Iterator[Able]:
    """AWS services and federated identities that the key policy names, and everybody."""
    for statement in _open_statements(action, key_policy):
        for one in statement.principals or ():
            if one.type in {"Service", "Federated", "CanonicalUser"} or one.is_everyone:
                shown = "everybody, of any account" if one.is_everyone else f"{one.text} ({one.type})"
                yield _named(shown, key_policy, statement)
        if statement.not_principals is not None:
            shown = "everybody but " + ", ".join(one.text for one in statement.not_principals)
            yield _named(shown, key_policy, statement)


def _accounts(action: str, key_policy: Policy, names: Concrete) -> Iterator[Able]:
    """Other accounts as a whole: whom they admit is decided over there."""
    for statement in _open_statements(action, key_policy):
        for one in statement.principals or ():
            arn = names.principal(one.text)
            if one.type != "AWS" or arn == "*" or not arn.endswith(":root"):
                continue
            account = parse_principal(arn).account
            if account != names.account:
                yield _named(
                    f"any principal of account {account} that its own IAM policies allow", key_policy, statement
                )


def _named(shown: str, key_policy: Policy, statement: Statement) -> Able:
    when = {condition.key: _asked_for(condition) for condition in statement.conditions}
    return Able(
        principal=shown,
        path="key policy",
        by=(key_policy.label_of(statement),),
        when=when,
    )


def _asked_for(condition: Condition) -> str:
    values = ", ".join(value.text for value in condition.values)
    return values if condition.operator in {"StringEquals", "ArnEquals"} else f"{values} ({condition.operator})"
