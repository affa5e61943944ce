"""Callers of the service: who they are, which roles they have, and in which streams.

Source: `docs/how-to/run-the-service.md`, "Who may do what".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from auditseal.errors import ForbiddenError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTEXT_MEMBER: Final = "caller"
"""The member of an event's context that the service alone sets."""
_PATTERN: Final = re.compile(r"[a-z0-9._/*-]{1,128}", re.ASCII)


class Role(StrEnum):
    """What a caller may do."""

    PRODUCER = "producer"
    """Append events."""
    AUDITOR = "auditor"
    """Read entries and verify."""
    OPERATOR = "operator"
    """See metrics and verify; reads no entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated caller.

    Attributes:
        name: as it is recorded in events, such as `token:agent-manager`.
        roles: what it may do.
        streams: patterns of the streams it may do it in.
        credential: what it showed, by a name that is no secret: a token's id, a JWT's `jti`.
    """

    name: str
    roles: frozenset[Role]
    streams: tuple[str, ...]
    credential: str | None = None

    def require(self, roles: Iterable[Role], stream: str | None = None) -> None:
        """Returns if the caller has one of the roles, and the stream is one of its own.

        Raises:
            ForbiddenError: names the role or the stream that is missing.
        """
        wanted = tuple(roles)
        if self.roles.isdisjoint(wanted):
            raise ForbiddenError(f"this needs the role {' or '.join(wanted)}, and {self.name} does not have it")
        if stream is not None and not self.may_use(stream):
            raise ForbiddenError(f"{stream[:128]!r} is not a stream of {self.name}")

    def may_use(self, stream: str) -> bool:
        """Whether the stream is one of the caller's."""
        return any(_compiled(pattern).fullmatch(stream) for pattern in self.streams)


def parse_roles(names: Iterable[str]) -> frozenset[Role]:
    """The roles of the names.

    Raises:
        InputError: there is none, or one that does not exist.
    """
    try:
        roles = frozenset(Role(name) for name in names)
    except ValueError:
        roles = frozenset()
    if not roles:
        raise InputError(f"roles are any of {', '.join(Role)}, and at least one is needed")
    return roles


def check_pattern(text: str) -> str:
    """The stream pattern, if it is one: a stream's name in which `*` stands for any characters.

    Raises:
        InputError: it is none.
    """
    if not _PATTERN.fullmatch(text):
        raise InputError(f"{text[:140]!r} is no stream pattern: use 1 to 128 of a-z 0-9 . _ / - and *")
    return text


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
