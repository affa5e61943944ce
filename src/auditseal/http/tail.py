"""The live tail: entries as they come, as server-sent events.

Source: the HTML standard, "Server-sent events"; `docs/http.md`, "The live tail".
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import anyio.to_thread
import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from auditseal.core.members import entry_members
from auditseal.errors import InputError, OverloadedError
from auditseal.http import wire
from auditseal.http.gate import Auditor
from auditseal.http.state import State, state_of
from auditseal.ports import EntryFilter
from auditseal.service.coverage import covered_by

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from auditseal.core.entry import StoredEntry
    from auditseal.core.stored_checkpoint import CoveredBy

router = APIRouter(tags=["read"])
_PAGE: Final = 200
_LOOK_EVERY_S: Final = 0.5
_SIGN_OF_LIFE_S: Final = 15.0
_MOST_SEQ: Final = 2**63 - 1


class _TailResponse(StreamingResponse):
    """Gives its place back however it ends."""

    def __init__(self, content: AsyncIterator[bytes], state: State) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._state.metrics.tails.inc()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._state.metrics.tails.dec()
            self._state.tails.give_back(1)


@router.get(
    "/v1/streams/{stream:path}/tail",
    summary="Follow a stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events named `entry`, each with the seq as its id and an entry as its data.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": "id: 41\nevent: entry\n…"}},
        },
        **wire.problems(400, 404),
    },
)
async def tail(
    request: Request,
    _caller: Auditor,
    stream: wire.StreamPath,
    first_seq: Annotated[
        int | None, Query(ge=0, le=_MOST_SEQ, description="Where to begin; by default after the last entry now.")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="Where to go on after: the last id seen.", max_length=20)
    ] = None,
) -> Response:
    """Follow a stream: each entry as soon as it is durable, signed or not; nothing is left out or repeated."""
    state = state_of(request)
    if state.draining.is_set():
        raise OverloadedError("the service is about to stop", reason="draining")
    start = first_seq
    if last_event_id is not None:
        if not (last_event_id.isascii() and last_event_id.isdecimal()):
            raise InputError("Last-Event-ID is the seq of an entry")
        start = int(last_event_id) + 1
    if start is None:
        head = await anyio.to_thread.run_sync(state.serving.log.store.head, stream, limiter=state.tail_threads)
        start = head.seq + 1
    state.tails.take(1)
    return _TailResponse(_events(state, stream, min(start, _MOST_SEQ)), state)


async def _events(state: State, stream: str, next_seq: int) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    idle_s = 0.0
    while not state.draining.is_set():
        page = await anyio.to_thread.run_sync(partial(_page, state, stream, next_seq), limiter=state.tail_threads)
        for entry, covered in page:
            data = orjson.dumps(entry_members(entry, covered_by=covered, whole=True))
            yield b"id: %d\nevent: entry\ndata: %b\n\n" % (entry.seq, data)
            next_seq = entry.seq + 1
        if len(page) == _PAGE:
            continue
        idle_s = 0.0 if page else idle_s + _LOOK_EVERY_S
        if idle_s >= _SIGN_OF_LIFE_S:
            yield b": alive\n\n"
            idle_s = 0.0
        await asyncio.sleep(_LOOK_EVERY_S)


def _page(state: State, stream: str, next_seq: int) -> list[tuple[StoredEntry, CoveredBy | None]]:
    store = state.serving.log.store
    page = store.select(EntryFilter(stream=stream, first_seq=next_seq), limit=_PAGE)
    return list(zip(page, covered_by(store, page), strict=True))
