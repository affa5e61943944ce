"""Events and their bodies: what happened, and the canonical bytes that are hashed.

An `Event` becomes a `Draft` (checked, and canonical but for its place), and a draft becomes a body once its place in
the stream is known. The split keeps the work under a writer's lock to joining strings.

Source: `docs/spec/body.md`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NewType
from uuid import UUID

import orjson

from auditseal.core.canonical import MAX_BYTES, MAX_DEPTH, canonicalize
from auditseal.errors import CanonicalError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

StreamName = NewType("StreamName", str)
"""1 to 128 of `a-z 0-9 . _ / -`."""
EntryHash = NewType("EntryHash", bytes)
"""32 bytes, SHA-256; empty where there is no entry before."""
Micros = NewType("Micros", int)
"""Microseconds since 1970-01-01T00:00:00Z."""

BODY_VERSION: Final = 1
OWN_PREFIX: Final = "auditseal."
RESERVED_TYPES: Final = (OWN_PREFIX, "signer.")
"""Types with these prefixes are the log's own statements: about itself, and about who signs it."""

_STREAM: Final = re.compile(r"[a-z0-9._/-]{1,128}", re.ASCII)
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,256}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z", re.ASCII)
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PLACE_BYTES: Final = 48
"""What seq and time take in a body, counted generously."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a body may measure.

    Attributes:
        max_body_bytes: of the whole canonical body.
        max_depth: how many containers may stand in one another in payload and context.
    """

    max_body_bytes: int = MAX_BYTES
    max_depth: int = MAX_DEPTH


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


class Draft(NamedTuple):
    """A checked event whose body lacks only seq and time. A tuple for speed, since one is made for every event.

    Attributes:
        stream, id, type, actor: as in the event.
        id_is_new: whether the id was made for this draft, so that no entry can have it.
        before_seq: the canonical bytes of the body up to the value of `seq`.
        before_time: those between the values of `seq` and `time`.
        after_time: those that follow.
    """

    stream: StreamName
    id: str
    id_is_new: bool
    type: str
    actor: str | None
    before_seq: bytes
    before_time: bytes
    after_time: bytes

    def body(self, seq: int, time: str) -> bytes:
        """The canonical body at this place; `time` as `format_time` gives it."""
        return b'%b%d%b"%b"%b' % (self.before_seq, seq, self.before_time, time.encode(), self.after_time)

    def is_told_by(self, body: bytes) -> bool:
        """Whether a body of this stream holds this very event: a retry, and not another event under a used id.

        Canonical bodies agree in everything but seq and time exactly if they agree before the one and after the other.
        """
        return body.startswith(self.before_seq) and body.endswith(self.after_time)


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


def make_draft(event: Event, *, new_id: str, limits: Limits) -> Draft:
    """Checks an event and brings it into canonical form.

    Args:
        event: as the caller gave it.
        new_id: the id for an event that has none.
        limits: what the body may measure.

    Raises:
        InputError: a member is not what `Event` asks for.
        CanonicalError: payload or context has no canonical form, or the body is too large.
    """
    id_ = check_id(event.id) if event.id is not None else new_id
    before_time, after_time = around_time(event.stream, event.type, event.actor)
    before_seq = _before_seq(event, id_, limits)
    size = len(before_seq) + len(before_time) + len(after_time) + PLACE_BYTES
    if size > limits.max_body_bytes:
        raise CanonicalError(
            "too-large",
            f"the event takes {size} bytes; at most {limits.max_body_bytes} are allowed: "
            "store the bulk elsewhere and record its hash",
        )
    stream = StreamName(event.stream)
    return Draft(stream, id_, event.id is None, event.type, event.actor, before_seq, before_time, after_time)


def around_time(stream: str, type_: str, actor: str | None) -> tuple[bytes, bytes]:
    """(a body from the value of `seq` to the value of `time`, what follows), from members that are checked for it.

    Raises:
        InputError: a member is not what `Event` asks for.
    """
    try:
        around = _before_time(stream), _after_time(type_)
        if actor is not None:
            _check_actor(actor)
    except TypeError:  # what is not hashable
        raise InputError("stream, type and actor must be text") from None
    return around


def check_name(member: str, text: object) -> None:
    """Refuses a `type` or `actor` that is not 1 to 256 characters without control characters and lone surrogates.

    Raises:
        InputError: names the member.
    """
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise InputError(f"{member} must be 1 to 256 characters without control characters")


def _before_seq(event: Event, id_: str, limits: Limits) -> bytes:
    """The body up to the value of `seq`: the members before it, as one object that is left open."""
    members = {"actor": event.actor, "id": id_, "payload": event.payload}
    if type(event.payload) is not dict:
        raise InputError(f"payload must be a JSON object, not {type(event.payload).__name__}")
    if event.context is not None:
        members["context"] = event.context
        if type(event.context) is not dict:
            raise InputError(f"context must be a JSON object, not {type(event.context).__name__}")
    try:
        form = canonicalize(members, max_depth=limits.max_depth + 1, max_bytes=limits.max_body_bytes)
    except CanonicalError:
        _check_member("payload", event.payload, limits)
        _check_member("context", event.context, limits)
        raise
    return form[:-1] + b',"seq":'


def _check_member(name: str, value: Any, limits: Limits) -> None:
    """Refuses a member that has no canonical form, by its name."""
    try:
        canonicalize(value, max_depth=limits.max_depth, max_bytes=limits.max_body_bytes)
    except CanonicalError as error:
        raise CanonicalError(error.reason, f"{name}: {error}") from None


# A log has few streams, types and actors, and each of them often.
@lru_cache(maxsize=1024, typed=True)
def _before_time(stream: str) -> bytes:
    """The body from the value of `seq` to the value of `time`."""
    return b',"stream":"%b","time":' % check_stream(stream).encode()


@lru_cache(maxsize=1024, typed=True)
def _check_actor(actor: str) -> None:
    check_name("actor", actor)


@lru_cache(maxsize=1024, typed=True)
def _after_time(type_: str) -> bytes:
    """The body after the value of `time`."""
    check_name("type", type_)
    return b',"type":%b,"v":%d}' % (canonicalize(type_), BODY_VERSION)


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


def is_time(text: str) -> bool:
    """Whether this is a time as `format_time` gives it, of a date that exists."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


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


def format_time(micros: Micros) -> str:
    """RFC 3339 in UTC with six decimals, such as `2026-07-01T00:00:03.000120Z`.

    Raises:
        InputError: outside the years 1970 to 9999.
    """
    seconds, rest = divmod(micros, 1_000_000)
    try:
        if seconds >= 0:
            return f"{_format_second(seconds)}.{rest:06d}Z"
    except (ValueError, OverflowError, OSError):
        pass
    raise InputError(f"{micros} µs is no time between the years 1970 and 9999")


@lru_cache(maxsize=16)
def _format_second(seconds: int) -> str:
    """A second without its fraction; many times in a row are of the same."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def parse_time(text: str) -> Micros:
    """The inverse of `format_time`, for exactly its form.

    Raises:
        InputError: another form, or no such date.
    """
    if not is_time(text):
        raise InputError(f"{text[:40]!r} is not a time such as 2026-07-01T00:00:03.000120Z")
    return Micros((datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND)


def instant(text: str) -> str:
    """A time as people write it, in the form that bodies have, so that the two compare as text.

    Args:
        text: RFC 3339 with any offset and up to six decimals, or a date alone (midnight UTC).

    Raises:
        InputError: another form.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text[:40]!r} is not a time such as 2026-07-01T00:00:03Z or 2026-07-01") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return format_time(Micros((moment - _EPOCH) // _MICROSECOND))


Ack = Literal["signed", "durable"]
"""What an append waits for: its signature, or only the disk."""
ACKS: Final[tuple[Ack, ...]] = ("signed", "durable")


class Receipt(NamedTuple):
    """What a caller holds after an append. A tuple for speed, since one is made for every event.

    Attributes:
        stream, seq, id, time: the entry's place.
        hash, prev_hash: 32 bytes; `prev_hash` is empty at seq 0.
        status: `signed`, or `pending` while the signature is due.
        signer, algorithm, signature: of the first signature; None while pending. Where a checkpoint covers the entry,
            `signer` and `algorithm` are of the checkpoint, and there is no `signature`.
        development: whether a local key signed.
        repeated: whether the event was already in the log under this id.
    """

    stream: str
    seq: int
    id: str
    time: str
    hash: bytes
    prev_hash: bytes
    status: Literal["signed", "pending"]
    signer: str | None = None
    algorithm: str | None = None
    signature: bytes | None = None
    development: bool = False
    repeated: bool = False
