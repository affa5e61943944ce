"""The Condition element: whether a request's context satisfies it.

All operators of a block and all keys of an operator must match; of the values one suffices, and for a negated operator
none may. A key that the request does not have fails a positive operator and satisfies a negated one.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Conditions with multiple context keys or
values".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from auditseal.access.match import Variables, compile_pattern, is_resolvable, matches_arn, matches_pattern, substituted
from auditseal.access.node import fault
from auditseal.access.policy import Condition
from auditseal.access.request import Request


class Quantifier(StrEnum):
    """How a multivalued key is compared."""

    NONE = ""
    ALL = "ForAllValues"
    ANY = "ForAnyValue"


Test = Callable[[str, str, "Variables | None"], bool]
"""(policy's value, request's value, policy variables) → whether they match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator as it is written, taken apart.

    Attributes:
        name: without quantifier and IfExists, such as `StringNotEquals`.
        negated: whether it holds where no value matches.
        test: compares one value with one.
    """

    name: str
    quantifier: Quantifier
    if_exists: bool
    negated: bool
    test: Test


def _equals(wanted: str, found: str, variables: Variables | None) -> bool:
    return substituted(wanted, variables) == found


def _equals_any_case(wanted: str, found: str, variables: Variables | None) -> bool:
    filled = substituted(wanted, variables)
    return filled is not None and filled.lower() == found.lower()


def _like(wanted: str, found: str, variables: Variables | None) -> bool:
    pattern = compile_pattern(wanted, variables)
    return pattern is not None and matches_pattern(pattern, found)


def _bool(wanted: str, found: str, _: Variables | None) -> bool:
    return wanted.lower() == found.lower() and wanted.lower() in {"true", "false"}


def _arn(wanted: str, found: str, variables: Variables | None) -> bool:
    return matches_arn(wanted, found, variables)


def _address(wanted: str, found: str, _: Variables | None) -> bool:
    try:
        return ipaddress.ip_address(found) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _binary(wanted: str, found: str, _: Variables | None) -> bool:
    try:
        return base64.b64decode(wanted, validate=True) == base64.b64decode(found, validate=True)
    except (binascii.Error, ValueError):
        return False


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _instant(text: str) -> float | None:
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _ordered(read: Callable[[str], float | None], compare: Callable[[float, float], bool]) -> Test:
    def test(wanted: str, found: str, _: Variables | None) -> bool:
        left, right = read(found), read(wanted)
        return left is not None and right is not None and compare(left, right)

    return test


_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "Equals": lambda left, right: left == right,
    "LessThan": lambda left, right: left < right,
    "LessThanEquals": lambda left, right: left <= right,
    "GreaterThan": lambda left, right: left > right,
    "GreaterThanEquals": lambda left, right: left >= right,
}
_POSITIVE: Final[dict[str, Test]] = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_any_case,
    "StringLike": _like,
    "Bool": _bool,
    "BinaryEquals": _binary,
    "IpAddress": _address,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    **{f"Numeric{name}": _ordered(_number, compare) for name, compare in _ORDERS.items()},
    **{f"Date{name}": _ordered(_instant, compare) for name, compare in _ORDERS.items()},
}
_NEGATED: Final[dict[str, str]] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
_NAMES: Final = {name.lower(): name for name in (*_POSITIVE, *_NEGATED, "Null")}
NULL: Final = "Null"


def parse_operator(text: str) -> Operator | None:
    """An operator as it is written; None if there is none of that name."""
    prefix, colon, rest = text.rpartition(":")
    quantifiers = {item.lower(): item for item in Quantifier}
    quantifier = quantifiers.get(prefix.lower()) if colon else Quantifier.NONE
    if_exists = rest.lower().endswith("ifexists")
    name = _NAMES.get(rest[: -len("IfExists")].lower() if if_exists else rest.lower())
    if quantifier is None or name is None or (name == NULL and if_exists):
        return None
    return Operator(
        name=name,
        quantifier=quantifier,
        if_exists=if_exists,
        negated=name in _NEGATED,
        test=_POSITIVE.get(_NEGATED.get(name, name), _equals),
    )


def holds(condition: Condition, request: Request, variables: Variables | None, source: str = "") -> bool:
    """Whether a request satisfies one key under one operator.

    Args:
        condition: the operator, the key and its values.
        request: the request.
        variables: what policy variables stand for; None in a policy that has none.
        source: the policy's file, for the error text.

    Raises:
        InputError: there is no such operator. AWS refuses such a policy; guessing could let a request pass.
    """
    operator = parse_operator(condition.operator)
    if operator is None:
        raise fault(condition.place, f"there is no condition operator {condition.operator[:60]!r}", source)
    key = condition.key.lower()
    found = request.context.get(key)
    wanted = [item.text for item in condition.values]
    if operator.name == NULL:
        return any((found is None) == (text.lower() == "true") for text in wanted)
    if found is None or not found:
        return _without(operator)
    if operator.quantifier is Quantifier.NONE and key in request.multivalued:
        return False
    return _compare(operator, wanted, found, variables)


def _without(operator: Operator) -> bool:
    """What holds for a key that the request does not have; ForAnyValue is false then, whatever stands behind it."""
    if operator.quantifier is Quantifier.ANY:
        return False
    return operator.if_exists or operator.negated or operator.quantifier is Quantifier.ALL


def _compare(operator: Operator, wanted: Sequence[str], found: Sequence[str], variables: Variables | None) -> bool:
    if operator.negated and not all(is_resolvable(text, variables) for text in wanted):
        # As for NotResource: a variable without a value makes the statement apply to nothing.
        return False

    def fits(value: str) -> bool:
        some = any(operator.test(text, value, variables) for text in wanted)
        return not some if operator.negated else some

    return any(map(fits, found)) if operator.quantifier is Quantifier.ANY else all(map(fits, found))
