"""Drafts: events that are checked, and canonical but for their place in the stream.

A draft becomes a body once its place is known. The split keeps the work under a writer's lock to joining strings.

Source: `docs/spec/body.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from auditseal.core.canonical import MAX_BYTES, MAX_DEPTH, canonicalize
from auditseal.core.event import BODY_VERSION, StreamName, check_id, check_name, check_stream
from auditseal.errors import CanonicalError, InputError

if TYPE_CHECKING:
    from auditseal.core.event import Event

PLACE_BYTES: Final = 48
"""What seq and time take in a body, counted generously."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a body may measure.

    Attributes:
        max_body_bytes: of the whole canonical body.
        max_depth: how many containers may stand in one another in payload and context.
    """

    max_body_bytes: int = MAX_BYTES
    max_depth: int = MAX_DEPTH


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
