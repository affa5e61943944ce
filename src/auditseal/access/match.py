"""Patterns of policies: wildcards, policy variables, actions and ARNs.

What a policy variable stands for is literal text: a `*` in a user's name matches only a `*`. Matching takes time linear
in pattern times text, whatever stands in either.

Source: IAM User Guide, "IAM policy elements: Variables and tags", "IAM JSON policy elements: Action", "… Resource".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

_ANY: Final = -1
_ONE: Final = -2
_FIELDS: Final = 6
_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_WITH_DEFAULT: Final = re.compile(r"\s*([^,'\s]+)\s*(?:,\s*'([^']*)'\s*)?")
_ESCAPES: Final = {"*": "*", "?": "?", "$": "$"}

Pattern = Sequence[int]
"""A pattern made ready: code points, and negative numbers for the two wildcards."""
Variables = Mapping[str, str]
"""By lower-case context key, the values that a policy variable may take; those with several values are not in it."""


def compile_pattern(text: str, variables: Variables | None = None) -> Pattern | None:
    """A text with wildcards, made ready.

    Args:
        text: the pattern.
        variables: values for `${…}`; None where they are plain text, as in policies of version 2008-10-17.

    Returns:
        None if a variable has no value: such a pattern matches nothing.
    """
    if variables is None or "${" not in text:
        return _wildcards(text)
    made: list[int] = []
    at = 0
    for found in _VARIABLE.finditer(text):
        value = _variable(found[1], variables)
        if value is None:
            return None
        made += _wildcards(text[at : found.start()])
        made += map(ord, value)
        at = found.end()
    return made + _wildcards(text[at:])


def _wildcards(text: str) -> list[int]:
    return [_ANY if sign == "*" else _ONE if sign == "?" else ord(sign) for sign in text]


def _variable(inner: str, variables: Variables) -> str | None:
    if inner in _ESCAPES:
        return _ESCAPES[inner]
    found = _WITH_DEFAULT.fullmatch(inner)
    if found is None:
        return None
    return variables.get(found[1].lower(), found[2])


def substituted(text: str, variables: Variables | None) -> str | None:
    """A text with its variables put in and no wildcards; None if a variable has no value."""
    if variables is None or "${" not in text:
        return text
    missing = False

    def put(found: re.Match[str]) -> str:
        nonlocal missing
        value = _variable(found[1], variables)
        missing = missing or value is None
        return value or ""

    filled = _VARIABLE.sub(put, text)
    return None if missing else filled


def matches_pattern(pattern: Pattern, text: str) -> bool:
    """Whether the whole text fits the pattern."""
    codes = [ord(sign) for sign in text]
    at = of = 0
    star = mark = -1
    while at < len(codes):
        if of < len(pattern) and (pattern[of] == _ONE or pattern[of] == codes[at]):
            at, of = at + 1, of + 1
        elif of < len(pattern) and pattern[of] == _ANY:
            star, mark, of = of, at, of + 1
        elif star >= 0:
            mark += 1
            at, of = mark, star + 1
        else:
            return False
    return all(code == _ANY for code in pattern[of:])


def matches_text(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern with wildcards and without variables."""
    return matches_pattern(_wildcards(pattern), text)


def matches_action(pattern: str, action: str) -> bool:
    """Whether an action such as `kms:Sign` is meant; case does not count."""
    return matches_text(pattern.lower(), action.lower())


def matches_resource(pattern: str, resource: str, variables: Variables | None = None) -> bool:
    """Whether a Resource element's pattern covers a resource; case counts. Fields that it leaves out match all."""
    if pattern == "*":
        return True
    missing = _FIELDS - len(_split(pattern))
    return matches_arn(pattern + ":*" * missing if pattern.startswith("arn:") else pattern, resource, variables)


def matches_arn(pattern: str, arn: str, variables: Variables | None = None) -> bool:
    """Whether an ARN fits a pattern that has as many fields: each of the six by itself."""
    wanted = _split(pattern)
    found = arn.split(":", _FIELDS - 1)
    if len(wanted) != len(found):
        return False
    for part, text in zip(wanted, found, strict=True):
        compiled = compile_pattern(part, variables)
        if compiled is None or not matches_pattern(compiled, text):
            return False
    return True


def is_resolvable(pattern: str, variables: Variables | None) -> bool:
    """Whether all variables of a pattern have a value."""
    return compile_pattern(pattern, variables) is not None


def _split(pattern: str) -> list[str]:
    """The six fields of a pattern; a colon inside `${aws:username}` separates none."""
    fields = [""]
    depth = 0
    for index, sign in enumerate(pattern):
        if sign == "$" and pattern[index + 1 : index + 2] == "{":
            depth += 1
        elif sign == "}" and depth:
            depth -= 1
        if sign == ":" and not depth and len(fields) < _FIELDS:
            fields.append("")
        else:
            fields[-1] += sign
    return fields


def expands_to(pattern: str, actions: Sequence[str], matches: Callable[[str, str], bool] = matches_action) -> list[str]:
    """Those of the actions that a pattern means."""
    return [action for action in actions if matches(pattern, action)]
