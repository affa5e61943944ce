"""Canonical JSON: the one byte string of a JSON value (RFC 8785), and strict reading of JSON text.

Two paths give the same bytes. The fast one hands the value to orjson where that is provably RFC 8785; whatever is
doubtful, unusual or wrong goes to the careful one, which names what it refuses and leaves the form to `rfc8785`.
Nothing is repaired: a value that two readers could take differently is refused.

Source: RFC 8785 §3.2; RFC 7493 (I-JSON) §2; `docs/spec/canonical.md`.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

import orjson
import rfc8785

from auditseal.errors import CanonicalError

MAX_DEPTH: Final = 64
"""How many containers may stand in one another."""
MAX_BYTES: Final = 1024 * 1024
"""The largest canonical form, in bytes."""
MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader holds exactly."""
DEEPEST: Final = 256
"""How many containers may stand in one another in a form that is only compared, whatever a writer's limit was."""

PLAIN_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
"""With which orjson writes a plain value as RFC 8785 does."""
_SCALARS: Final = frozenset({str, int, bool, type(None)})
_CONTAINERS: Final = frozenset({dict, list})
# Lead bytes of code points beyond the BMP: there UTF-16 order (RFC 8785 §3.2.3) and UTF-8 order part.
_BEYOND_BMP: Final = b"\xf0\xf1\xf2\xf3\xf4"
# ECMAScript writes these floats as orjson does; integral, tiny and huge ones it writes otherwise.
_PLAIN_MIN: Final = 1e-5
_PLAIN_MAX: Final = 1e16


def canonicalize(value: Any, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> bytes:
    """The RFC 8785 form of a JSON value, in UTF-8.

    Args:
        value: dict, list, str, int, float, bool or None, of exactly these types, all the way down.
        max_depth: how many containers may stand in one another.
        max_bytes: the largest result.

    Raises:
        CanonicalError: `reason` is one of `not-finite`, `integer-out-of-range`, `lone-surrogate`,
            `key-not-string`, `too-deep`, `too-large`, `unsupported-type`.
    """
    if (type(value) in _SCALARS) or (type(value) in _CONTAINERS and is_plain(value, max_depth)):
        try:
            form = orjson.dumps(value, option=PLAIN_OPTIONS)
        except TypeError:
            return _carefully(value, max_depth, max_bytes)
        if len(form) <= max_bytes and has_plain_order(form):
            return form
    return _carefully(value, max_depth, max_bytes)


def is_canonical(form: bytes, value: Any) -> bool:
    """Whether `form`, from which `value` was parsed, is that value's canonical form.

    Whatever its size, and whatever its depth up to `DEEPEST`: what a writer's limits allowed stays canonical. A whole
    float from 2^53 on is written without a point and so read as an integer; it is taken for the float again here.
    """
    max_bytes = max(len(form), 1)
    try:
        try:
            return canonicalize(value, max_depth=DEEPEST, max_bytes=max_bytes) == form
        except CanonicalError as error:
            if error.reason != "integer-out-of-range":
                return False
        return canonicalize(_with_floats(value), max_depth=DEEPEST, max_bytes=max_bytes) == form
    except (CanonicalError, OverflowError):
        return False


def _with_floats(value: Any) -> Any:
    """The value with its integers beyond the exact range as the floats that they round to."""
    match value:
        case dict():
            return {name: _with_floats(member) for name, member in value.items()}
        case list():
            return [_with_floats(member) for member in value]
        case int() if abs(value) > MAX_INTEGER:
            return float(value)
        case _:
            return value


def has_plain_order(form: bytes) -> bool:
    """Whether the names in what orjson wrote are sure to stand in RFC 8785's order."""
    return form.isascii() or len(form.translate(None, _BEYOND_BMP)) == len(form)


def is_plain(container: Any, depth_left: int) -> bool:
    """Whether orjson is sure to write this as RFC 8785 does, or to refuse it (wrong keys, half surrogates).

    Args:
        container: a dict or a list.
        depth_left: how many containers may stand in one another, this one counted.
    """
    if depth_left == 0:
        return False
    for member in container.values() if type(container) is dict else container:
        kind = type(member)
        if kind in _SCALARS:
            continue
        if kind in _CONTAINERS:
            if not is_plain(member, depth_left - 1):
                return False
        elif kind is not float or not _PLAIN_MIN <= abs(member) < _PLAIN_MAX or member % 1 == 0:
            return False
    return True


def _carefully(value: Any, max_depth: int, max_bytes: int) -> bytes:
    _check(value, max_depth, [max_bytes])
    form = rfc8785.dumps(value)  # what it would refuse, _check has refused
    if len(form) > max_bytes:
        raise _refusal("too-large", f"{len(form)} bytes, and at most {max_bytes} are allowed")
    return form


def _check(value: Any, depth_left: int, bytes_left: list[int]) -> None:
    """Refuses what has no agreed form; `bytes_left` bounds the walk, since each value takes a byte or more."""
    bytes_left[0] -= 1
    if bytes_left[0] < 0:
        raise _refusal("too-large", "more members than bytes are allowed")
    kind = type(value)
    if kind in _CONTAINERS:
        if depth_left == 0:
            raise _refusal("too-deep")
        if kind is dict:
            for key in value:
                if type(key) is not str:
                    raise _refusal("key-not-string", type(key).__name__)
                _check_text(key)
        for member in value.values() if kind is dict else value:
            _check(member, depth_left - 1, bytes_left)
    elif kind is str:
        _check_text(value)
    elif kind is int and abs(value) > MAX_INTEGER:
        raise _refusal("integer-out-of-range")
    elif kind is float and not math.isfinite(value):
        raise _refusal("not-finite")
    elif kind is not float and kind not in _SCALARS:
        raise _refusal("unsupported-type", kind.__name__)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refusal("lone-surrogate") from None


_REASONS: Final = {
    "duplicate-key": "an object has the same key twice, and readers disagree on which one counts",
    "integer-out-of-range": "an integer is beyond ±(2^53-1), where readers round it: send it as a string",
    "key-not-string": "an object has a key that is not a string",
    "lone-surrogate": "a string or key holds half of a surrogate pair, which UTF-8 cannot carry",
    "not-finite": "NaN and infinities have no JSON form: send null or a string",
    "not-json": "not JSON",
    "too-deep": "nested deeper than the limit allows: flatten it",
    "too-large": "too large: store the bulk elsewhere and record its hash",
    "unsupported-type": "not a JSON value: convert it to dict, list, str, int, float, bool or None",
}


def _refusal(reason: str, detail: str = "") -> CanonicalError:
    return CanonicalError(reason, _REASONS[reason] + (f" ({detail})" if detail else ""))


def parse_json(text: bytes | str, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> Any:
    """The value of a JSON text, refusing what two parsers could read differently.

    Args:
        text: JSON in UTF-8 or as a string; white space around it is allowed.
        max_depth: how many containers may stand in one another.
        max_bytes: the largest text, in bytes for bytes and in characters for a string.

    Raises:
        CanonicalError: `not-json`, `duplicate-key`, or a reason of `canonicalize`.
    """
    if len(text) > max_bytes:
        raise _refusal("too-large", f"{len(text)} bytes, and at most {max_bytes} are allowed")
    if isinstance(text, bytes):
        value = plain_value(text, max_depth)
        if value is not None:
            return value
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise _refusal("not-json", f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _refusal("not-json", f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _refusal("too-deep") from None
    _check(value, max_depth, [max_bytes])
    return value


def plain_value(text: bytes, max_depth: int) -> dict[str, Any] | list[Any] | None:
    """The value of a JSON text by the fast path, which `is_plain`; None where the careful one must look.

    orjson keeps the last of two members of one name, and so drops a name, with its two quotes. Written again, the value
    has as many quotes as the text exactly if nothing was dropped: unless a quote is written as its number.
    """
    try:
        value = orjson.loads(text)
        if type(value) not in _CONTAINERS or not is_plain(value, max_depth):
            return None
        if b"\\" in text and b"\\u0022" in text:
            return None
        form = orjson.dumps(value, option=PLAIN_OPTIONS)
    except (TypeError, ValueError):  # orjson's errors are among these
        return None
    return value if form.count(b'"') == text.count(b'"') else None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _refusal("duplicate-key")
    return members


def _parse_integer(digits: str) -> int:
    if len(digits) > len(str(-MAX_INTEGER)):  # keeps int() from its own limit on digits, too
        raise _refusal("integer-out-of-range")
    return int(digits)


def _parse_constant(name: str) -> NoReturn:
    raise _refusal("not-finite", name)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_int=_parse_integer, parse_constant=_parse_constant
)
