"""Local key material in deployment files: where it is configured, never what it is.

Lines are looked at as they are, since the files are of many kinds: `.env`, Compose, Kubernetes, a workflow, TOML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from auditseal.access.node import Place

LOCAL_NAMES: Final = ("AUDIT_SIGNING_PRIVATE_KEY", "AUDIT_SIGNING_KEY_PATH")
"""The settings that hold or name a local key."""
_SETTING: Final = re.compile(
    r"""(?P<name>AUDIT_SIGNING_PRIVATE_KEY|AUDIT_SIGNING_KEY_PATH|AUDIT_SIGNING_KEY_SOURCE|REQUIRE_KMS
          |(?<![A-Za-z_])(?:private_key|key_path|key_source|require_kms)(?=\s*=))
        ["']?\s*(?P<sign>[:=]?)\s*(?P<value>.*)""",
    re.VERBOSE,
)
_KEY_BLOCK: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_EMPTY: Final = frozenset({"", '""', "''", "null", "~"})
_LOCAL_SOURCES: Final = frozenset({"env", "file"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
_NAME_MEMBER: Final = re.compile(r"""^\s*-?\s*["']?name["']?\s*:""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One place where a local key is configured, or where KMS is not required.

    Attributes:
        what: in a sentence, without any value.
        place: where.
    """

    what: str
    place: Place


def find_key_material(text: str) -> Iterator[Material]:
    """Every place in a text where a local key is configured.

    Args:
        text: of a file of any kind.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        plain = line.lstrip()
        if plain.startswith(("#", "//", ";")):
            continue
        block = _KEY_BLOCK.search(line)
        if block is not None:
            yield Material(what="a private key stands in the file", place=Place(number, block.start() + 1))
        found = _SETTING.search(line)
        if found is not None:
            what = _judge(found["name"].upper(), found["sign"], _value(found["value"]), named=_is_name(line))
            if what is not None:
                yield Material(what=what, place=Place(number, found.start("name") + 1))


def _is_name(line: str) -> bool:
    """Whether the setting is named as in Kubernetes, its value on a line of its own."""
    return _NAME_MEMBER.match(line) is not None


def _value(text: str) -> str:
    """The value without a comment behind it, quotes and commas."""
    plain = re.split(r"\s#", text, maxsplit=1)[0].strip().rstrip(",").strip()
    return "" if plain in _EMPTY else plain.strip("\"'")


def _judge(name: str, sign: str, value: str, *, named: bool) -> str | None:
    if not sign and not named:
        return None
    local = {"PRIVATE_KEY": LOCAL_NAMES[0], "KEY_PATH": LOCAL_NAMES[1]}.get(name, name)
    if local in LOCAL_NAMES:
        return f"{name} is set: with REQUIRE_KMS no local key may be configured" if value or named else None
    if name in {"AUDIT_SIGNING_KEY_SOURCE", "KEY_SOURCE"} and value.lower() in _LOCAL_SOURCES:
        return f"{name} is {value.lower()}: with REQUIRE_KMS the key must be in KMS"
    if name == "REQUIRE_KMS" and value.lower() in _FALSE:
        return "REQUIRE_KMS is turned off"
    return None
