"""An event as others write it: a JSON object on a line (NDJSON), or a request's body.

Source: `docs/spec/body.md` §4.
"""

from __future__ import annotations

from typing import Any, Final

from auditseal.core.canonical import parse_json
from auditseal.core.event import Event
from auditseal.errors import InputError

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
EVENT_MEMBERS: Final = frozenset({"type", "payload", "actor", "stream", "id", "context"})
"""What the caller of an append may set."""


def parse_event(text: bytes, stream: str) -> Event:
    """The event of a JSON text.

    Args:
        text: an object with `type` and any of `payload`, `actor`, `stream`, `id`, `context`.
        stream: for an event that names none.

    Raises:
        CanonicalError: not JSON, or not JSON that every reader takes alike.
        InputError: not an object, or a member that the caller cannot set.
    """
    members = parse_members(text)
    return Event(**{"stream": stream, **members})


def parse_members(text: bytes) -> dict[str, Any]:
    """The members of an event's JSON text: a `type`, and none that the caller cannot set.

    Raises:
        as `parse_event`.
    """
    members = parse_json(text, max_bytes=MAX_LINE_BYTES)
    if type(members) is not dict:
        raise InputError('an event is a JSON object, such as {"type": "agent.spawned", "payload": {}}')
    if not members.keys() <= EVENT_MEMBERS:
        name = min(members.keys() - EVENT_MEMBERS)
        hint = ": the log sets it" if name in ("time", "seq", "v") else ": put what is yours into payload"
        raise InputError(f"an event has no member {name[:40]!r}{hint}")
    if "type" not in members:
        raise InputError("the event has no type, such as agent.spawned")
    return members
