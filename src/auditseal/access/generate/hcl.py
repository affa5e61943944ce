"""Values as HCL.

Source: the HCL native syntax specification; Terraform Language, "Strings and Templates".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from auditseal.access.node import CLOSE, OPEN, references

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_INDENT: Final = "  "


def hcl_value(value: Any, depth: int = 0) -> str:
    """A JSON value as an HCL expression; references become the expressions that they name.

    Args:
        value: of dicts, lists, strings, numbers, booleans.
        depth: how far the expression is indented.
    """
    if isinstance(value, Mapping):
        return _object(value, depth)
    if isinstance(value, str):
        return hcl_string(value)
    if isinstance(value, Sequence):
        return _list(value, depth)
    return json.dumps(value)


def hcl_string(text: str) -> str:
    """A quoted string; one that is a single reference is the bare expression."""
    names = references(text)
    if len(names) == 1 and text == f"{OPEN}{names[0]}{CLOSE}":
        return names[0]
    escaped = json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    return escaped.replace(OPEN, "${").replace(CLOSE, "}")


def _object(value: Mapping[str, Any], depth: int) -> str:
    inner = _INDENT * (depth + 1)
    members = [
        (key if _NAME.fullmatch(key) else hcl_string(key), hcl_value(member, depth + 1))
        for key, member in value.items()
    ]
    return "{\n" + "\n".join(_aligned(members, inner)) + f"\n{_INDENT * depth}}}"


def _aligned(members: Sequence[tuple[str, str]], inner: str) -> Iterator[str]:
    """Lines whose equals signs stand below each other where neighbours have one line each, as `terraform fmt` does."""
    for short, run in groupby(members, lambda member: "\n" not in member[1]):
        every = list(run)
        width = max(len(key) for key, _ in every) if short else 0
        yield from (f"{inner}{key.ljust(width)} = {text}" for key, text in every)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, Mapping | list)


def _list(value: Sequence[Any], depth: int) -> str:
    if all(_is_plain(item) for item in value):
        short = "[" + ", ".join(hcl_value(item, depth) for item in value) + "]"
        if len(short) <= 80:  # noqa: PLR2004 - a comfortable line
            return short
    inner = _INDENT * (depth + 1)
    lines = [f"{inner}{hcl_value(item, depth + 1)}," for item in value]
    return "[\n" + "\n".join(lines) + f"\n{_INDENT * depth}]"


def hcl_block(type_: str, labels: Sequence[str], body: Sequence[tuple[str, Any]], depth: int = 0) -> str:
    """A block; a member whose value is a list of `Nested` is written as blocks."""
    head = " ".join([type_, *(json.dumps(label) for label in labels)])
    inner = _INDENT * (depth + 1)
    lines: list[str] = []
    for nested, run in groupby(body, lambda member: isinstance(member[1], Nested)):
        if nested:
            lines += [f"{inner}{hcl_block(name, (), value.body, depth + 1).lstrip()}" for name, value in run]
        else:
            lines += _aligned([(name, _argument(value, depth + 1)) for name, value in run], inner)
    if not lines:
        return f"{_INDENT * depth}{head} {{}}"
    return f"{_INDENT * depth}{head} {{\n" + "\n".join(lines) + f"\n{_INDENT * depth}}}"


def _argument(value: Any, depth: int) -> str:
    return f"jsonencode({hcl_value(value.value, depth)})" if isinstance(value, Encoded) else hcl_value(value, depth)


class Nested:
    """A nested block."""

    def __init__(self, *body: tuple[str, Any]) -> None:
        self.body = body


class Encoded:
    """A value that stands in `jsonencode(…)`."""

    def __init__(self, value: Any) -> None:
        self.value = value
