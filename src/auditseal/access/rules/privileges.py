"""The rule that who signs does not administer, and the rules on who is named in a key policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from auditseal.access.policy import Kind, Policy, Principal, Statement
from auditseal.access.rules.catalog import CONFUSED_DEPUTY, OPEN_PRINCIPAL, SIGNER_ADMINISTERS
from auditseal.access.rules.rule import Finding, listed
from auditseal.access.rules.subject import Subject, home_account, is_handover, kms_actions, requires
from auditseal.access.vocabulary import CHANGING, SIGNING

_NARROWING: Final = (
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principaltag/",
    "aws:userid",
    "kms:calleraccount",
)
_DEPUTY: Final = ("aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths")


def check_signer_administers(subject: Subject) -> Iterator[Finding]:
    """By owner for identity policies, by principal in a key policy."""
    if subject.policy.kind is Kind.IDENTITY:
        yield from _identity(subject)
    elif subject.is_key_policy:
        yield from _key(subject)


def _identity(subject: Subject) -> Iterator[Finding]:
    together = [subject.policy, *_siblings(subject)]
    signing = _allowed(together) & SIGNING
    if not signing:
        return
    for statement in subject.allows:
        if changing := kms_actions(statement) & CHANGING:
            message = f"{listed(changing)} beside {listed(signing)}"
            yield subject.finding(SIGNER_ADMINISTERS, message, statement=statement)


def _siblings(subject: Subject) -> list[Policy]:
    """The other policies that are attached to the same owner."""
    owner = subject.policy.owner
    return [
        policy
        for policy in subject.documents.policies
        if owner and policy is not subject.policy and policy.kind is Kind.IDENTITY and policy.owner == owner
    ]


def _allowed(policies: list[Policy]) -> frozenset[str]:
    allows = (statement for policy in policies for statement in policy.statements if statement.is_allow)
    return frozenset[str]().union(*map(kms_actions, allows))


def _key(subject: Subject) -> Iterator[Finding]:
    home = home_account(subject.policy)
    may: defaultdict[str, set[str]] = defaultdict(set)
    for statement in subject.allows:
        if not is_handover(statement, home):
            for principal in statement.principals or ():
                may[principal.text] |= kms_actions(statement)
    for statement in subject.allows:
        if is_handover(statement, home):
            continue
        changing = kms_actions(statement) & CHANGING
        for principal in statement.principals or ():
            signing = may[principal.text] & SIGNING
            if changing and signing:
                message = f"{principal.text} may {listed(changing)} beside {listed(signing)}"
                yield subject.finding(SIGNER_ADMINISTERS, message, place=principal.place, statement=statement)


def check_principals(subject: Subject) -> Iterator[Finding]:
    """Everybody, and services without a source."""
    if subject.policy.kind not in {Kind.KEY, Kind.RESOURCE, Kind.TRUST}:
        return
    for statement in subject.allows:
        for principal in statement.principals or ():
            yield from _principal(subject, statement, principal)


def _principal(subject: Subject, statement: Statement, principal: Principal) -> Iterator[Finding]:
    if principal.is_everyone and not _asks_for(statement, _NARROWING):
        message = f'Principal "*" allowed {listed(item.text for item in statement.actions or ())}'
        yield subject.finding(OPEN_PRINCIPAL, message, place=principal.place, statement=statement)
    trusts = subject.policy.kind is Kind.TRUST
    if principal.type == "Service" and not trusts and not _asks_for(statement, _DEPUTY):
        message = f"{principal.text} allowed without a condition on aws:SourceArn or aws:SourceAccount"
        yield subject.finding(CONFUSED_DEPUTY, message, place=principal.place, statement=statement)


def _asks_for(statement: Statement, keys: tuple[str, ...]) -> bool:
    return any(condition.key.lower().startswith(keys) and requires(condition) for condition in statement.conditions)
