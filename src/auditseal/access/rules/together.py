"""Rules on what several documents say together: cross-account sides, Denies, trails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from auditseal.access.arn import parse_principal, split_arn
from auditseal.access.condition import parse_operator
from auditseal.access.documents.found import Documents
from auditseal.access.evaluate import Surroundings, evaluate
from auditseal.access.match import matches_resource
from auditseal.access.policy import Kind, Policy, Statement
from auditseal.access.request import make_request
from auditseal.access.rules.catalog import BLIND_TRAIL, DENY_BREAKS_SIGNER, ONE_SIDE
from auditseal.access.rules.effect import foreign_accounts
from auditseal.access.rules.rule import Finding, listed
from auditseal.access.rules.subject import Subject, home_account, is_reference, kms_actions, requires
from auditseal.access.vocabulary import CHECKING, SIGNING
from auditseal.errors import InputError

_USES: Final = SIGNING | CHECKING | {"kms:GetPublicKey", "kms:DescribeKey"}
_KEY: Final = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000"
# What a Deny asks of the request that this text can know: the rest depends on the network, the time, the session.
_KNOWN: Final = ("kms:", "aws:securetransport", "aws:multifactorauthpresent", "aws:viaawsservice")
_UNKNOWN: Final = ("kms:resourcealiases", "kms:requestalias", "kms:keyorigin", "kms:multiregion", "kms:calleraccount")


def check_both_sides(subject: Subject) -> Iterator[Finding]:
    """A key policy for another account, or an identity policy on another account's key, without its other half."""
    if subject.is_key_policy:
        home = home_account(subject.policy)
        for statement in subject.allows:
            uses = kms_actions(statement) & _USES
            accounts = foreign_accounts(subject, statement, home)
            if uses and accounts and not _identity_side(subject, uses):
                message = f"{listed(uses)} for account {listed(accounts)}, and no IAM policy of it here allows that"
                yield subject.finding(ONE_SIDE, message, statement=statement)
    elif subject.policy.kind is Kind.IDENTITY:
        yield from _foreign_keys(subject)


def _identity_side(subject: Subject, uses: frozenset[str]) -> bool:
    return any(
        policy.kind is Kind.IDENTITY and statement.is_allow and kms_actions(statement) & uses
        for policy in subject.documents.policies
        for statement in policy.statements
    )


def _foreign_keys(subject: Subject) -> Iterator[Finding]:
    arn = split_arn(subject.policy.owner or "")
    account = subject.account or (arn.account if arn is not None else None)
    for statement in subject.allows:
        for item in statement.resources or ():
            key = split_arn(item.text)
            uses = kms_actions(statement) & _USES
            if key is None or key.service != "kms" or not account or not uses or is_reference(key.account):
                continue
            if key.account not in {account, "*", ""} and not _key_side(subject, account, uses):
                message = f"{item.text} is of another account, and no key policy here admits account {account}"
                yield subject.finding(ONE_SIDE, message, place=item.place, statement=statement)


def _key_side(subject: Subject, account: str, uses: frozenset[str]) -> bool:
    return any(
        statement.is_allow
        and kms_actions(statement) & uses
        and any(account in principal.text for principal in statement.principals or ())
        for policy in subject.documents.policies
        if policy.kind is Kind.KEY
        for statement in policy.statements
    )


def check_denials(subject: Subject) -> Iterator[Finding]:
    """A Deny that hits every request which an Allow of the same owner is there for."""
    denials = [
        (policy, statement)
        for policy in _denying(subject)
        for statement in policy.statements
        if not statement.is_allow and _is_known(statement)
    ]
    for policy, denial in denials:
        broken: dict[str, list[str]] = {}
        for statement in subject.allows:
            uses = sorted(kms_actions(statement) & kms_actions(denial) & _USES)
            denied = [action for action in uses if _denies(subject, statement, action, denial)]
            if denied:
                broken[statement.label] = denied
        if broken:
            of = "" if policy is subject.policy else f" of {subject.policy.name or subject.policy.source}"
            what = listed({action for denied in broken.values() for action in denied})
            yield Finding(
                rule=DENY_BREAKS_SIGNER,
                message=f"it denies {what}, which {listed(broken)}{of} allows",
                source=policy.source,
                policy=policy.name,
                statement=denial.label,
                place=denial.place,
            )


def _denying(subject: Subject) -> list[Policy]:
    """The policies whose Denies meet this one's Allows."""
    if subject.policy.kind is not Kind.IDENTITY:
        return [subject.policy] if subject.is_key_policy else []
    owner = subject.policy.owner
    return [
        policy
        for policy in subject.documents.policies
        if policy is subject.policy
        or policy.kind in {Kind.SCP, Kind.BOUNDARY, Kind.KEY}
        or (policy.kind is Kind.IDENTITY and owner is not None and policy.owner == owner)
    ]


def _is_known(statement: Statement) -> bool:
    keys = [condition.key.lower() for condition in statement.conditions]
    return all(key.startswith(_KNOWN) and not key.startswith(_UNKNOWN) for key in keys)


def _denies(subject: Subject, allow: Statement, action: str, denial: Statement) -> bool:
    """Whether all requests that the Allow asks for are denied."""
    caller = _caller(subject, allow, denial)
    resource = _resource(allow, denial)
    if caller is None or resource is None:
        return False
    outcomes = []
    for context in _contexts(allow):
        try:
            request = make_request(principal=caller, action=action, resource=resource, context=context)
            only = Policy(statements=(denial,), kind=Kind.IDENTITY, version="2012-10-17")
            outcomes.append(bool(evaluate(request, Surroundings(identity=[only])).hits))
        except InputError:
            return False
    return bool(outcomes) and all(outcomes)


def _caller(subject: Subject, allow: Statement, denial: Statement) -> str | None:
    """Somebody whom both statements mean; None if they may well mean different people."""
    allowed = [one.text for one in allow.principals or ()]
    denied = {one.text for one in denial.principals or ()}
    home = home_account(subject.policy) or "111122223333"
    anybody = f"arn:aws:iam::{home}:role/auditseal-somebody"
    if denial.not_principals is not None:
        return None
    for text in allowed or [subject.policy.owner or anybody]:
        try:
            caller = parse_principal(text)
        except InputError:
            caller = None
        if denial.principals is None or "*" in denied or text in denied:
            return text if caller is not None else "arn:aws:iam::111122223333:role/auditseal-somebody"
    return None


def _resource(allow: Statement, denial: Statement) -> str | None:
    """A key that both statements cover, where that can be told."""
    texts = [item.text for item in allow.resources or ()]
    for item in denial.resources or ():
        if item.text == "*" or item.text in texts:
            return next((text for text in texts if text != "*" and not is_reference(text)), _KEY).replace("*", "0")
        if any(matches_resource(item.text, text) for text in texts if "*" not in text):
            return next(text for text in texts if matches_resource(item.text, text))
    return None


def _contexts(allow: Statement) -> Sequence[dict[str, str]]:
    """What requests look like that satisfy the Allow: one context for each value that it asks for."""
    contexts: list[dict[str, str]] = [{"aws:SecureTransport": "true"}]
    for condition in allow.conditions:
        operator = parse_operator(condition.operator)
        if operator is None or not requires(condition) or operator.name not in {"StringEquals", "StringLike", "Bool"}:
            continue
        values = [item.text for item in condition.values]
        contexts = [context | {condition.key: value} for context in contexts for value in values[:4]]
    return contexts[:16]


def check_trails(documents: Documents) -> Iterator[Finding]:
    """Trails that see no signature."""
    for trail in documents.trails:
        blind = [
            why
            for is_so, why in (
                (not trail.logging, "it does not log"),
                (not trail.reads, "it records no read-only events"),
                (not trail.kms, "it leaves out kms.amazonaws.com"),
            )
            if is_so
        ]
        if blind:
            yield Finding(
                rule=BLIND_TRAIL,
                message=" and ".join(blind),
                source=trail.source,
                policy=trail.name,
                place=trail.problem,
            )
