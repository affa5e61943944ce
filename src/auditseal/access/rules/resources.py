"""Rules on resources and on the elements that leave things out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from auditseal.access.arn import find_placeholder, split_arn
from auditseal.access.node import Place
from auditseal.access.policy import Item, Kind, Statement
from auditseal.access.rules.catalog import (
    ALIAS_AS_RESOURCE,
    NOT_ACTION,
    NOT_PRINCIPAL,
    NOT_RESOURCE,
    PLACEHOLDER,
    WILDCARD_KEY,
)
from auditseal.access.rules.rule import Finding, listed
from auditseal.access.rules.subject import Subject, is_handover, is_reference, kms_actions, pinned
from auditseal.access.vocabulary import SIGNING

_ALIAS_ACTIONS: Final = frozenset({"kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"})


def check_wildcard_key(subject: Subject) -> Iterator[Finding]:
    """An identity policy that allows signing on a pattern; asking for an alias narrows it."""
    if subject.policy.kind is not Kind.IDENTITY:
        return
    for statement in subject.allows:
        signing = kms_actions(statement) & SIGNING
        if not signing or pinned(statement, "kms:RequestAlias") or pinned(statement, "kms:ResourceAliases"):
            continue
        for item in statement.resources or ():
            if _covers_several(item.text):
                message = f"{listed(signing)} allowed on {item.text}"
                yield subject.finding(WILDCARD_KEY, message, place=item.place, statement=statement)


def _covers_several(text: str) -> bool:
    if "*" not in text and "?" not in text:
        return False
    arn = split_arn(text)
    if arn is None:
        return not is_reference(text)
    return arn.service in {"kms", "*"} and not arn.resource.startswith("alias/")


def check_alias_as_resource(subject: Subject) -> Iterator[Finding]:
    """A statement on an alias with actions that are about keys."""
    for statement in subject.policy.statements:
        about_keys = kms_actions(statement) - _ALIAS_ACTIONS
        if not about_keys:
            continue
        for item in statement.resources or ():
            if is_alias(item.text):
                message = f"{listed(about_keys)} on the alias {item.text}: that is no permission on the key"
                yield subject.finding(ALIAS_AS_RESOURCE, message, place=item.place, statement=statement)


def is_alias(text: str) -> bool:
    """Whether a resource is an alias, by its ARN or as a template names it."""
    arn = split_arn(text)
    if arn is not None and arn.service == "kms":
        return arn.resource.startswith("alias/")
    return is_reference(text) and "aws_kms_alias." in text and ".target_key" not in text


def check_exclusions(subject: Subject) -> Iterator[Finding]:
    """NotAction, NotResource, NotPrincipal."""
    for statement in subject.policy.statements:
        if statement.is_allow and statement.not_actions is not None:
            message = f"everything is allowed but {listed(item.text for item in statement.not_actions)}"
            yield subject.finding(
                NOT_ACTION, message, place=_first(statement.not_actions, statement), statement=statement
            )
        if statement.is_allow and statement.not_resources is not None:
            message = f"everything is covered but {listed(item.text for item in statement.not_resources)}"
            place = _first(statement.not_resources, statement)
            yield subject.finding(NOT_RESOURCE, message, place=place, statement=statement)
        if statement.not_principals is not None:
            named = listed(one.text for one in statement.not_principals)
            message = f"{statement.effect} for everybody but {named}"
            yield subject.finding(NOT_PRINCIPAL, message, statement=statement)


def _first(items: tuple[Item, ...], statement: Statement) -> Place:
    return items[0].place if items else statement.place


def check_placeholders(subject: Subject) -> Iterator[Finding]:
    """Words of a template in resources, principals or values."""
    for statement in subject.policy.statements:
        conditions = [item for condition in statement.conditions for item in condition.values]
        principals = [
            Item(one.text, one.place) for one in (*(statement.principals or ()), *(statement.not_principals or ()))
        ]
        for item in (*(statement.resources or ()), *(statement.not_resources or ()), *principals, *conditions):
            found = find_placeholder(item.text)
            if found is not None:
                message = f"{item.text} still holds {found}"
                yield subject.finding(PLACEHOLDER, message, place=item.place, statement=statement)


def signs(subject: Subject, statement: Statement, home: str | None) -> frozenset[str]:
    """The signing actions that a statement gives to somebody: a hand-over to the account gives none by itself."""
    if not statement.is_allow or (subject.is_key_policy and is_handover(statement, home)):
        return frozenset()
    return kms_actions(statement) & SIGNING
