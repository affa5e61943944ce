"""Reading requests: bounded, and strict about what JSON is.

Source: `docs/http.md`, `docs/spec/body.md` §4.
"""

from __future__ import annotations

from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic
from typing import Final
from uuid import UUID, uuid5

from fastapi import Request

from auditseal.core.caller import CONTEXT_MEMBER, Caller
from auditseal.core.draft import Draft, Limits, make_draft
from auditseal.core.event import Event, StreamName
from auditseal.core.event_text import parse_members
from auditseal.core.quick_draft import quick_draft
from auditseal.errors import InputError, TooLargeError
from auditseal.http.errors import MediaTypeError, SlowBodyError

JSON: Final = ("application/json",)
NDJSON: Final = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
_KEYS: Final = UUID("6d0b6f0e-5f0c-5d0e-9a55-8f6a5b4b8f3a")
"""The name space of ids that are made from an Idempotency-Key; a constant of this format."""
_MOST_KEY_CHARACTERS: Final = 256
_LEAST_BYTES: Final = 16 * 1024
"""What must come of a batch in the time for a body, so that nobody holds a request open with a byte now and then."""


def wire_limit(max_body_bytes: int) -> int:
    """How many bytes a request may have for an event of at most `max_body_bytes`: JSON may be written longer."""
    return 2 * max_body_bytes + 4096


def check_media_type(request: Request, allowed: tuple[str, ...]) -> None:
    """Refuses a body of another type.

    Raises:
        MediaTypeError: names those that are read.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in allowed:
        raise MediaTypeError(f"the body must be {allowed[0]}: say so with Content-Type")


def check_length(request: Request, limit: int) -> None:
    """Refuses a body that says of itself that it is too large, before any of it is read.

    Raises:
        TooLargeError: names the limit.
    """
    given = request.headers.get("content-length", "")
    if given.isascii() and given.isdecimal() and int(given) > limit:
        raise _too_large(limit)


async def read_body(request: Request, limit: int, *, timeout_s: float) -> bytes:
    """The whole body.

    Raises:
        TooLargeError: it has more than `limit` bytes.
        SlowBodyError: it has not come after `timeout_s`.
    """
    check_length(request, limit)
    parts: list[bytes] = []
    size = 0
    async with _in_time(timeout_s):
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
    return b"".join(parts)


async def read_lines(
    request: Request, *, max_line_bytes: int, limit: int, timeout_s: float
) -> AsyncIterator[list[bytes]]:
    """The lines of a body as they come, some at a time, without the empty line that may follow the last.

    Raises:
        TooLargeError: a line, or the whole, is larger than allowed.
        SlowBodyError: less than 16 KiB came in `timeout_s`, and not its end; the time in which its reader did not ask
            does not count.
    """
    check_length(request, limit)
    rest = b""
    size = 0
    async for part in _parts(request, timeout_s):
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        *lines, rest = (rest + part).split(b"\n")
        if max(len(rest), max(map(len, lines), default=0)) > max_line_bytes:
            raise TooLargeError(f"a line has more than {max_line_bytes} bytes: store the bulk elsewhere, log its hash")
        if lines:
            yield lines
    if rest:
        yield [rest]


async def _parts(request: Request, timeout_s: float) -> AsyncIterator[bytes]:
    stream = request.stream()
    came, waited_s = 0, 0.0
    while True:
        asked_at = monotonic()
        async with _in_time(timeout_s, less=waited_s):
            part = await anext(stream, None)
        if part is None:
            return
        came, waited_s = came + len(part), waited_s + monotonic() - asked_at
        if came >= _LEAST_BYTES:
            came, waited_s = 0, 0.0
        yield part


@asynccontextmanager
async def _in_time(timeout_s: float, *, less: float = 0.0) -> AsyncIterator[None]:
    try:
        async with timeout(timeout_s - less):
            yield
    except TimeoutError:
        raise SlowBodyError(f"the body, or more of it, did not come within {timeout_s:g} s: send it at once") from None


def read_event(text: bytes, stream: str, caller: Caller) -> Event:
    """The event of a text, with the caller in its context.

    Raises:
        InputError: it is none, is meant for another stream, or sets what is the service's to set.
    """
    members = parse_members(text)
    named = members.get("stream", stream)
    if named != stream:
        raise InputError(f"the event names the stream {str(named)[:128]!r}, and was sent to {stream!r}")
    context = members.get("context")
    if context is None:
        context = {}
    elif type(context) is not dict:
        raise InputError(f"context must be a JSON object, not {type(context).__name__}")
    elif CONTEXT_MEMBER in context:
        raise InputError(f"context.{CONTEXT_MEMBER} is set by the service, from who calls it: leave it out")
    members["stream"] = stream
    members["context"] = {**context, CONTEXT_MEMBER: caller.name}
    return Event(**members)


def read_draft(text: bytes, new_id: str, limits: Limits, *, stream: StreamName, caller: Caller) -> Draft:
    """The draft of an event's text, with the caller in its context.

    Raises:
        InputError: as `read_event`, or the event is not acceptable.
    """
    marks = {CONTEXT_MEMBER: caller.name}
    draft = quick_draft(text, stream, marks=marks, new_id=new_id, limits=limits)
    return draft or make_draft(read_event(text, stream, caller), new_id=new_id, limits=limits)


def with_key(event: Event, key: str | None, caller: Caller) -> Event:
    """The event with the id that an Idempotency-Key stands for: the key itself if it is a UUID.

    Raises:
        InputError: the event has another id, or the key is empty or too long.
    """
    if key is None:
        return event
    plain = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key
    if not 0 < len(plain) <= _MOST_KEY_CHARACTERS:
        raise InputError(f"an Idempotency-Key has 1 to {_MOST_KEY_CHARACTERS} characters")
    try:
        id_ = str(UUID(plain))
    except ValueError:
        # Of this caller and stream alone: others may use the same key for something else.
        id_ = str(uuid5(_KEYS, f"{caller.name}\n{event.stream}\n{plain}"))
    if event.id is not None and str(event.id).lower() != id_:
        raise InputError("the event's id and the Idempotency-Key differ: give one of them")
    return replace(event, id=id_)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body has more than {limit} bytes: send less at once")
