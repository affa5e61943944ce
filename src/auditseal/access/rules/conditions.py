"""Rules on condition keys, their values and their operators."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from auditseal.access.condition import Quantifier, parse_operator
from auditseal.access.match import matches_text
from auditseal.access.policy import Condition, Item, Statement
from auditseal.access.rules.catalog import (
    BYPASS_LOCKOUT,
    DEPRECATED_CONDITION_KEY,
    FOR_ALL_VALUES,
    MIXED_FAMILIES,
    SET_OPERATOR_ON_SINGLE,
    SINGLE_VALUED_OPERATOR,
    UNKNOWN_CONDITION_KEY,
    UNKNOWN_OPERATOR,
    UNKNOWN_VALUE,
    VIA_SERVICE,
)
from auditseal.access.rules.rule import Finding, listed
from auditseal.access.rules.subject import Subject, is_reference, kms_actions, requires
from auditseal.access.vocabulary import DEPRECATED, FORMS, SIGNING, VALUES, is_list, key_exists, supports


def check_conditions(subject: Subject) -> Iterator[Finding]:
    """Every condition of every statement."""
    for statement in subject.policy.statements:
        for condition in statement.conditions:
            yield from _check(subject, statement, condition)


def _check(subject: Subject, statement: Statement, condition: Condition) -> Iterator[Finding]:
    if parse_operator(condition.operator) is None:
        message = f"there is no operator {condition.operator[:60]}"
        yield subject.finding(UNKNOWN_OPERATOR, message, place=condition.place, statement=statement)
        return
    yield from _check_key(subject, statement, condition)
    yield from _check_values(subject, statement, condition)
    yield from _check_quantifier(subject, statement, condition)
    key = condition.key.lower()
    if key == "kms:viaservice" and statement.is_allow and requires(condition) and kms_actions(statement) & SIGNING:
        message = f"{listed(kms_actions(statement) & SIGNING)} only through {listed(condition.values)}"
        yield subject.finding(VIA_SERVICE, message, place=condition.place, statement=statement)
    if key == "kms:bypasspolicylockoutsafetycheck" and statement.is_allow and _is_true(condition):
        message = f"{listed(kms_actions(statement))} with the safety check bypassed"
        yield subject.finding(BYPASS_LOCKOUT, message, place=condition.place, statement=statement)


def _is_true(condition: Condition) -> bool:
    return any(item.text.lower() == "true" for item in condition.values)


def _check_key(subject: Subject, statement: Statement, condition: Condition) -> Iterator[Finding]:
    key = condition.key
    if is_reference(key):
        return
    if key.lower() in DEPRECATED:
        message = f"{key} is the old name of {DEPRECATED[key.lower()]}"
        yield subject.finding(DEPRECATED_CONDITION_KEY, message, place=condition.place, statement=statement)
    actions = kms_actions(statement)
    if not key_exists(key):
        message = f"there is no condition key {key[:60]}"
        yield subject.finding(UNKNOWN_CONDITION_KEY, message, place=condition.place, statement=statement)
    elif actions:
        without = {action for action in actions if not supports(action, key)}
        if without == actions:
            message = f"{key} is never in a request of {listed(actions)}"
            yield subject.finding(UNKNOWN_CONDITION_KEY, message, place=condition.place, statement=statement)
        elif without and requires(condition) and _is_listed(statement):
            message = f"{key} is never in a request of {listed(without)}, which the statement lists as well"
            yield subject.finding(MIXED_FAMILIES, message, place=condition.place, statement=statement)


def _is_listed(statement: Statement) -> bool:
    """Whether the actions were chosen one by one: under `kms:*` a condition is meant to leave some out."""
    return statement.not_actions is None and not any(
        item.text.lower() in {"*", "kms:*"} for item in statement.actions or ()
    )


def _check_values(subject: Subject, statement: Statement, condition: Condition) -> Iterator[Finding]:
    operator = parse_operator(condition.operator)
    if operator is None or operator.name == "Null":
        return
    wild = operator.name in {"StringLike", "StringNotLike"}
    for item in condition.values:
        if not _is_possible(condition.key.lower(), item, wild=wild):
            wanted = _wanted(condition.key.lower(), item.text)
            message = f"{condition.key} is never {item.text[:60]!r}: {wanted}"
            yield subject.finding(UNKNOWN_VALUE, message, place=item.place, statement=statement)


def _wanted(key: str, text: str) -> str:
    if key in FORMS:
        return f"its form is {FORMS[key][1]}"
    near = get_close_matches(text.upper(), sorted(VALUES[key]), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"it can be {listed(VALUES[key])}"


def _is_possible(key: str, item: Item, *, wild: bool) -> bool:
    if is_reference(item.text) or "${" in item.text:
        return True
    if key in VALUES:
        return any(matches_text(item.text, value) if wild else item.text == value for value in VALUES[key])
    return key not in FORMS or FORMS[key][0].fullmatch(item.text) is not None


def _check_quantifier(subject: Subject, statement: Statement, condition: Condition) -> Iterator[Finding]:
    operator = parse_operator(condition.operator)
    if operator is None or operator.name == "Null" or is_reference(condition.key):
        return
    many = is_list(condition.key)
    if many and operator.quantifier is Quantifier.NONE:
        message = f"{condition.key} holds a list, and {condition.operator} compares one value"
        yield subject.finding(SINGLE_VALUED_OPERATOR, message, place=condition.place, statement=statement)
    elif operator.quantifier is Quantifier.ALL and statement.is_allow and not _must_exist(statement, condition.key):
        rule = FOR_ALL_VALUES if many else SET_OPERATOR_ON_SINGLE
        message = f"{condition.operator} is true for a request without {condition.key}"
        yield subject.finding(rule, message, place=condition.place, statement=statement)
    elif not many and operator.quantifier is not Quantifier.NONE:
        message = f"{condition.key} holds one value, and {condition.operator} compares a list"
        yield subject.finding(SET_OPERATOR_ON_SINGLE, message, place=condition.place, statement=statement)


def _must_exist(statement: Statement, key: str) -> bool:
    return any(
        condition.key.lower() == key.lower() and condition.operator.lower() == "null" and requires(condition)
        for condition in statement.conditions
    )
