"""Events and their bodies: what happened, and what of it is stored and hashed.

An `Event` becomes a draft (`auditseal.core.draft`), and a draft the bytes of a body.

Source: `docs/spec/body.md`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NewType
from uuid import UUID

import orjson

from auditseal.core.times import is_time
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

StreamName = NewType("StreamName", str)
"""1 to 128 of `a-z 0-9 . _ / -`."""
EntryHash = NewType("EntryHash", bytes)
"""32 bytes, SHA-256; empty where there is no entry before."""

BODY_VERSION: Final = 1
OWN_PREFIX: Final = "auditseal."
RESERVED_TYPES: Final = (OWN_PREFIX, "signer.")
"""Types with these prefixes are the log's own statements: about itself, and about who signs it."""

_STREAM: Final = re.compile(r"[a-z0-9._/-]{1,128}", re.ASCII)
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,256}")
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(slots=True, kw_only=True)  # not frozen: that would triple the cost of reading
class Event:
    """What happened, as the caller says it; where and when it stands in the log is the log's to say.

    Attributes:
        type: 1 to 256 characters without control characters, such as `agent.spawned`.
        payload: a JSON object.
        actor: who did it, like `type`; None where nobody did.
        stream: the chain it belongs to.
        id: a UUID that makes a retry safe; the log gives a version 7 where there is none.
        context: a JSON object about the recording: trace id, request id, source address.
    """

    type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    actor: str | None = None
    stream: str = "default"
    id: str | None = None
    context: Mapping[str, Any] | None = None


@dataclass(slots=True, kw_only=True)  # not frozen: that would triple the cost of reading
class Body:
    """The members of a stored body."""

    stream: str
    seq: int
    id: str
    time: str
    type: str
    actor: str | None
    payload: dict[str, Any]
    context: dict[str, Any] | None = None
    v: int = BODY_VERSION


def check_stream(name: object) -> StreamName:
    """The name, if it is one.

    Raises:
        InputError: empty, longer than 128, or with other characters than `a-z 0-9 . _ / -`.
    """
    if not isinstance(name, str) or not _STREAM.fullmatch(name):
        raise InputError(f"{str(name)[:140]!r} is not a stream name: use 1 to 128 of a-z 0-9 . _ / -")
    return StreamName(name)


def check_id(text: object) -> str:
    """The UUID in its usual lower-case form.

    Raises:
        InputError: anything else, braces and `urn:uuid:` among it.
    """
    if isinstance(text, str) and _ID.fullmatch(text):
        return text
    try:
        plain = str(UUID(text)) if isinstance(text, str) else None
    except ValueError:
        plain = None
    if plain is None or plain != str(text).lower():
        raise InputError(f"the event id {str(text)[:60]!r} is not a UUID such as 01936f5e-…")
    return plain


def check_name(member: str, text: object) -> None:
    """Refuses a `type` or `actor` that is not 1 to 256 characters without control characters and lone surrogates.

    Raises:
        InputError: names the member.
    """
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise InputError(f"{member} must be 1 to 256 characters without control characters")


def parse_body(body: bytes) -> Body:
    """Reads a stored body, leniently in form and strictly in content; whether it is canonical is asked elsewhere.

    Raises:
        InputError: not a JSON object, or a member is missing, of another type, or unknown.
    """
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InputError("the body is not JSON") from None
    return body_from(members)


def body_from(members: Any) -> Body:
    """The body of parsed members.

    Raises:
        InputError: as `parse_body`.
    """
    if type(members) is not dict:
        raise InputError("the body is not a JSON object")
    version = members.get("v")
    if version != BODY_VERSION or type(version) is not int:
        raise InputError(f"the body's version is {str(version)[:20]}; this program reads {BODY_VERSION}")
    try:
        body = Body(**members)
    except TypeError:
        raise InputError("the body's members are not those of the format") from None
    if not _has_right_types(body) or ("context" in members and body.context is None):
        raise InputError("a member of the body is not of the format's type")
    if body.seq < 0:
        raise InputError(f"the body's seq is {body.seq}, and the first is 0")
    if not is_time(body.time):
        raise InputError(f"the body's time is {body.time[:40]!r}, not a time such as 2026-07-01T00:00:03.000120Z")
    return body


def _has_right_types(body: Body) -> bool:
    return (
        type(body.stream) is str
        and type(body.seq) is int
        and type(body.id) is str
        and type(body.time) is str
        and type(body.type) is str
        and type(body.payload) is dict
        and (body.actor is None or type(body.actor) is str)
        and (body.context is None or type(body.context) is dict)
    )
