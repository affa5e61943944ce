"""Rules on statements without effect and on key policies that nobody can change."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from auditseal.access.arn import is_account, split_arn
from auditseal.access.policy import Kind, Statement
from auditseal.access.rules.catalog import INERT, LOCK_OUT, NO_ACCOUNT_ROOT, UNKNOWN_ACTION
from auditseal.access.rules.resources import is_alias
from auditseal.access.rules.rule import Finding, listed
from auditseal.access.rules.subject import Subject, home_account, is_handover, is_reference, is_root, kms_actions
from auditseal.access.vocabulary import actions, meant, names

_DELETED: Final = ("AROA", "AIDA", "AGPA")
_CHANGE: Final = "kms:PutKeyPolicy"


def check_effect(subject: Subject) -> Iterator[Finding]:
    """Every statement that cannot apply, and why."""
    for statement in subject.policy.statements:
        yield from _actions(subject, statement)
        for why in _reasons(subject, statement):
            yield subject.finding(INERT, why, statement=statement)


def _actions(subject: Subject, statement: Statement) -> Iterator[Finding]:
    for item in (*(statement.actions or ()), *(statement.not_actions or ())):
        service, colon, _ = item.text.partition(":")
        if is_reference(item.text) or item.text == "*":
            continue
        if not colon or (service.lower() == "kms" and not meant(item.text)):
            near = get_close_matches(item.text, names(), n=1)
            message = f"there is no action {item.text[:60]}" + (f": did you mean {near[0]}?" if near else "")
            yield subject.finding(UNKNOWN_ACTION, message, place=item.place, statement=statement)


def _reasons(subject: Subject, statement: Statement) -> Iterator[str]:
    kind = subject.policy.kind
    if not (statement.actions or statement.not_actions):
        yield "it has no Action"
    if kind is not Kind.TRUST and not (statement.resources or statement.not_resources):
        yield "it has no Resource"
    if kind is Kind.IDENTITY and (statement.principals or statement.not_principals):
        yield "an identity policy has no Principal: IAM refuses it"
    if subject.is_key_policy:
        yield from _in_key_policy(subject, statement)
    elif kind is Kind.IDENTITY:
        yield from _in_identity_policy(statement)


def _in_key_policy(subject: Subject, statement: Statement) -> Iterator[str]:
    if not (statement.principals or statement.not_principals):
        yield "a key policy's statement needs a Principal"
    for principal in statement.principals or ():
        if principal.text.startswith(_DELETED):
            yield f"{principal.text} is the id of a deleted user or role"
    resources = statement.resources or ()
    if resources and not any(_is_this_key(subject, item.text) for item in resources):
        yield f"in a key policy the Resource is * or the key itself, not {listed(item.text for item in resources)}"
    pointless = {name for name in kms_actions(statement) if "key" not in actions()[name.lower()].resources}
    if pointless and pointless == kms_actions(statement):
        yield f"{listed(pointless)} cannot be allowed by a key policy"


def _is_this_key(subject: Subject, text: str) -> bool:
    arn = split_arn(text)
    if is_alias(text):
        return True  # told by a rule of its own
    known = split_arn(subject.policy.key or "")
    if arn is None or known is None:
        return text == "*" or is_reference(text) or (arn is not None and arn.service in {"kms", "*"})
    return arn.service in {"kms", "*"} and arn.resource in {known.resource, "*", "key/*"}


def _in_identity_policy(statement: Statement) -> Iterator[str]:
    """Actions that no resource of the statement can be meant for."""
    if statement.resources is None or any(item.text == "*" or is_reference(item.text) for item in statement.resources):
        return
    everywhere = {name for name in kms_actions(statement) if not actions()[name.lower()].resources}
    wide = any(item.text.lower() in {"*", "kms:*"} for item in statement.actions or ())
    if everywhere and not wide:
        yield f"{listed(everywhere)} only ever apply to Resource *"


def check_lock_out(subject: Subject) -> Iterator[Finding]:
    """Whether somebody may change the key policy, and whether the account may."""
    if not subject.is_key_policy:
        return
    home = home_account(subject.policy)
    changers = [
        statement
        for statement in subject.allows
        if _CHANGE in kms_actions(statement)
        and any(not one.text.startswith(_DELETED) for one in statement.principals or ())
    ]
    if not changers:
        yield subject.finding(LOCK_OUT, "no statement allows kms:PutKeyPolicy to anybody")
        return
    roots = [statement for statement in subject.allows if is_handover(statement, home) and kms_actions(statement)]
    if not roots:
        named = listed({one.text for statement in changers for one in statement.principals or ()})
        yield subject.finding(NO_ACCOUNT_ROOT, f"only {named} may change the key; IAM policies have no effect on it")


def foreign_accounts(subject: Subject, statement: Statement, home: str | None) -> set[str]:
    """The accounts other than the key's own that a statement names."""
    found = set()
    for principal in statement.principals or ():
        account = principal.text if is_account(principal.text) else None
        arn = split_arn(principal.text)
        if arn is not None and (is_root(principal) or arn.service in {"iam", "sts"}):
            account = arn.account
        if account and home and account != home and subject.is_key_policy:
            found.add(account)
    return found
