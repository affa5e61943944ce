"""Drafts straight from JSON texts, for events as they usually are: at half of what parsing and drafting them costs.

It refuses nothing. Whatever is unusual or wrong it leaves to `event_text.parse_members` and `event.make_draft`, which
name what they refuse; the draft that it gives is the one that they would give.

Source: `docs/spec/body.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from auditseal.core.canonical import MAX_DEPTH, PLAIN_OPTIONS, has_plain_order, plain_value
from auditseal.core.draft import PLACE_BYTES, Draft, Limits, around_time
from auditseal.core.event import StreamName, check_id
from auditseal.core.event_text import EVENT_MEMBERS
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BYTES: Final = 64 * 1024
"""Of a larger text the bytes cost more than the steps do."""


def quick_draft(
    text: bytes, stream: StreamName, *, marks: Mapping[str, str], new_id: str, limits: Limits
) -> Draft | None:
    """The draft of an event's JSON text; None where the careful way must look.

    Args:
        text: as `event_text.parse_members` reads it.
        stream: where it goes; an event that names another is unusual.
        marks: what is added to its context, one member or more; an event that has one of them is unusual.
        new_id: the id for an event that has none.
        limits: what the body may measure.
    """
    members = plain_value(text, min(MAX_DEPTH, limits.max_depth + 1)) if len(text) <= _MOST_BYTES else None
    if type(members) is not dict or not members.keys() <= EVENT_MEMBERS or "type" not in members:
        return None
    type_, actor, given, payload = members["type"], members.get("actor"), members.get("id"), members.get("payload", {})
    context = members.get("context")
    if context is None:
        context = {}
    if type(payload) is not dict or type(context) is not dict or members.get("stream", stream) != stream:
        return None
    if not context.keys().isdisjoint(marks):
        return None
    try:
        id_ = new_id if given is None else check_id(given)
        before_time, after_time = around_time(stream, type_, actor)
        # The members of a body before `seq`, in its order.
        parts = {"actor": actor, "context": {**context, **marks}, "id": id_, "payload": payload}
        form = orjson.dumps(parts, option=PLAIN_OPTIONS)
    except (InputError, TypeError):  # orjson's errors are among the latter
        return None
    before_seq = form[:-1] + b',"seq":'
    size = len(before_seq) + len(before_time) + len(after_time) + PLACE_BYTES
    if size > limits.max_body_bytes or not has_plain_order(form):
        return None
    return Draft(stream, id_, given is None, type_, actor, before_seq, before_time, after_time)
