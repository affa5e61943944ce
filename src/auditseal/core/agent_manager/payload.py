"""The canonical text of the existing deployment's payloads, and what in them its hash does not cover.

Its writer canonicalises with sorted keys (UTF-16 order) and JSON.stringify, on numbers that JSON.parse has made
doubles. That is RFC 8785 wherever the two agree; a payload on which they part, or which holds more than the hash
covers, is named.

Source: `docs/spec/agent-manager.md` §2; ECMA-262 §25.5.2; RFC 8785 §3.2.2.3.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final, NoReturn

import rfc8785

from auditseal.core.canonical import MAX_DEPTH
from auditseal.errors import InputError


class Number(float):
    """A number of a JSON text, as the double that every reader makes of it.

    Attributes:
        exact: whether the double is what the text says, so that a hash over the double covers the text.
        text: as written.
    """

    __slots__ = ("exact", "text")
    exact: bool
    text: str


def parse_number(text: str) -> Number:
    """The number of a JSON token.

    Raises:
        InputError: too large for a double.
    """
    number = Number(text)
    if number in (float("inf"), float("-inf")):
        raise InputError(f"the number {text[:40]} is larger than any double")
    number.text = text
    number.exact = Decimal(text) == Decimal(repr(float(number)))
    return number


def parse_rows_text(text: str) -> Any:
    """JSON whose numbers remember how they were written, refusing what two readers take differently.

    Raises:
        InputError: not JSON, a key twice in an object, or too deep.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON ({error.msg} at line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise InputError("nested deeper than any reader follows") from None


def canonical_text(payload: Any) -> tuple[bytes, list[str]]:
    """(the bytes that were hashed, what they do not cover: numbers as they are written).

    Args:
        payload: of `parse_rows_text`, or of a driver that gives numbers as `Number`.

    Raises:
        InputError: a value on which the writer's canonical text is not RFC 8785's, such as half a surrogate pair.
    """
    uncovered: list[str] = []
    plain = _plain(payload, MAX_DEPTH, uncovered)
    try:
        form = rfc8785.dumps(plain)
        form.decode("utf-8")
    except (rfc8785.CanonicalizationError, UnicodeError):
        raise InputError("the payload has no canonical form that every reader agrees on") from None
    return form, uncovered


def _plain(value: Any, depth_left: int, uncovered: list[str]) -> Any:
    if depth_left < 0:
        raise InputError("the payload is nested deeper than any reader follows")
    match value:
        case Number():
            if not value.exact:
                uncovered.append(value.text)
            return float(value)
        case dict():
            return {key: _plain(member, depth_left - 1, uncovered) for key, member in value.items()}
        case list():
            return [_plain(member, depth_left - 1, uncovered) for member in value]
        case _:
            return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InputError("an object has the same key twice, and readers disagree on which one counts")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"not JSON: {name} is no JSON number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=parse_number, parse_float=parse_number, parse_constant=_refuse_constant
)
