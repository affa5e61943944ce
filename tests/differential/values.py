"""JSON values of every kind, from a seed: the same in every run and on every machine."""

from __future__ import annotations

import json
import math
import random
import struct
from typing import Any

_INTEGERS = (0, 1, -1, 9, 10, 2**31, -(2**31), 2**32, 2**53 - 1, -(2**53) + 1, 2**53 - 2)
_FLOATS = (
    *(0.0, -0.0, 0.1, -0.1, 1.0, 1.5, 4.35, 0.1 + 0.2, 1 / 3, 5e-324, -5e-324, 2.2250738585072014e-308),
    *(1.7976931348623157e308, 1e-5, 1e-6, 9.999999e-7, 1e-7, 1e15, 1e16, 1e17, 1e20, 1e21, 1e22, 1e23, 0.9999999999999),
    *(2.0**53, 2.0**53 + 2, -(2.0**53), 2.0**63, 2.0**64, 123456789012345680000.0, 9.007199254740993e15),
)
_CHARACTERS = (
    *('"', "\\", "/", "\b", "\t", "\n", "\f", "\r", "\0", "\x01", "\x1f", "\x7f", "\x80", "\x9f", " ", "a", "Z", "0"),
    *("é", "ß", "ⅷ", "日", "\u2028", "\u2029", "\u200f", "\ud7ff", "\ue000", "\ufeff", "\ufffd", "\uffff"),
    *("\U00010000", "\U0001f600", "\U0001d4b3", "\U0010ffff"),
)


def make_texts(seed: int, count: int) -> list[str]:
    """JSON texts of one line each, in different ways: escaped or not, members in any order, with white space."""
    source = random.Random(seed)
    texts = []
    for _ in range(count):
        value = _value(source, depth=source.randrange(5))
        spaces = source.choice([(",", ":"), (", ", ": "), (" ,\t", " : ")])
        texts.append(json.dumps(value, ensure_ascii=source.random() < 0.5, separators=spaces))
    return texts


def _value(source: random.Random, depth: int) -> Any:
    kind = source.randrange(4) if depth else 0
    if kind == 1:
        return [_value(source, depth - 1) for _ in range(source.randrange(5))]
    if kind > 1:
        return {_text(source): _value(source, depth - 1) for _ in range(source.randrange(6))}
    return source.choice([_integer, _float, _text, lambda _: None, lambda _: True, lambda _: False])(source)


def _integer(source: random.Random) -> int:
    if source.random() < 0.3:
        return source.choice(_INTEGERS)
    size = source.randrange(1, 54)
    return source.randrange(-(2**size) + 1, 2**size)


def _float(source: random.Random) -> float:
    kind = source.random()
    if kind < 0.2:
        return source.choice(_FLOATS)
    if kind < 0.5:
        return source.randrange(-(10**9), 10**9) / 10 ** source.randrange(12)
    if kind < 0.7:
        return source.uniform(-10, 10) * 10 ** source.randrange(-12, 24)
    if kind < 0.8:
        return float(source.randrange(2**53, 2**70))
    while True:
        (number,) = struct.unpack("<d", source.randbytes(8))
        if math.isfinite(number):
            return number


def _text(source: random.Random) -> str:
    if source.random() < 0.4:
        return "".join(source.choice(_CHARACTERS) for _ in range(source.randrange(6)))
    codes = (source.randrange(source.choice([0x80, 0x800, 0xD800, 0x110000])) for _ in range(source.randrange(8)))
    return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)
