"""API tokens: long random strings of which only a hash is kept.

A token is `auditseal_` + 12 characters by which it is known + `_` + 43 characters of secret. The secret has 256 random
bits, so a plain SHA-256 keeps it: there is nothing to guess.

Source: `docs/spec/tokens.md`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final, NamedTuple

from auditseal.core.caller import Caller, Role, check_pattern, parse_roles
from auditseal.core.event import check_name
from auditseal.errors import InputError

PREFIX: Final = "auditseal_"
RANDOM_BYTES: Final = 40
_ID_BYTES: Final = 8
_TEXT: Final = re.compile(r"auditseal_([a-z2-7]{12})_([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token as it is kept: without its secret.

    Attributes:
        id: 12 characters, no secret.
        name: of the caller; several tokens may have one name, so that one can be replaced by the next.
        secret_hash: SHA-256 of the secret's characters; 32 bytes.
        roles, streams: as `Caller`.
        created, expires, revoked: RFC 3339; None where it does not expire, or is not revoked.
    """

    id: str
    name: str
    secret_hash: bytes
    roles: frozenset[Role]
    streams: tuple[str, ...]
    created: str
    expires: str | None = None
    revoked: str | None = None

    def status_at(self, time: str) -> str:
        """`active`, `expired` or `revoked`, at a time as `format_time` gives it."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= time else "active"

    def caller(self) -> Caller:
        """Who calls with it."""
        return Caller(name=f"token:{self.name}", roles=self.roles, streams=self.streams, credential=self.id)


class Presented(NamedTuple):
    """A token as a caller shows it: its id, and the hash of its secret."""

    id: str
    secret_hash: bytes


def mint(
    random: bytes, *, name: str, roles: list[str], streams: list[str], created: str, expires: str | None = None
) -> tuple[str, ApiToken]:
    """A new token: the text for its holder, and what is kept of it.

    Args:
        random: 40 unpredictable bytes.
        name: of the caller: 1 to 256 characters.
        roles: names of roles, at least one.
        streams: patterns, at least one.
        created: RFC 3339 as bodies have it.
        expires: likewise; None for never.

    Raises:
        InputError: one of them is not acceptable.
    """
    if len(random) != RANDOM_BYTES:
        raise InputError(f"a token is made of {RANDOM_BYTES} random bytes, not of {len(random)}")
    check_name("name", name)
    if not streams:
        raise InputError("a token is for streams: give at least one pattern, such as agents/*")
    if expires is not None and expires <= created:
        raise InputError("a token cannot expire before it was made")
    id_ = b32encode(random[:_ID_BYTES]).decode().lower()[:12]
    secret = urlsafe_b64encode(random[_ID_BYTES:]).decode().rstrip("=")
    token = ApiToken(
        id=id_,
        name=name,
        secret_hash=_hash(secret),
        roles=parse_roles(roles),
        streams=tuple(check_pattern(pattern) for pattern in streams),
        created=created,
        expires=expires,
    )
    return f"{PREFIX}{id_}_{secret}", token


def read_token(text: str) -> Presented | None:
    """The parts of a token's text; None if it is none."""
    match = _TEXT.fullmatch(text)
    return Presented(match[1], _hash(match[2])) if match else None


def is_same(token: ApiToken, presented: Presented) -> bool:
    """Whether this token was shown; takes the same time wherever the hashes differ."""
    return hmac.compare_digest(token.secret_hash, presented.secret_hash)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
