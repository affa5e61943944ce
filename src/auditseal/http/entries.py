"""Reading over HTTP: entries by page, by place and by id, streams, and the export.

Source: `docs/http.md`, "Reading".
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from auditseal.adapters.stores.jsonl import format_line
from auditseal.core.event import check_id
from auditseal.core.times import instant
from auditseal.errors import InputError, NotFoundError
from auditseal.http import wire
from auditseal.http.gate import Anyone, Auditor
from auditseal.http.state import json_answer, state_of
from auditseal.ports import EntryFilter
from auditseal.service.lookup import Place, find_entry

router = APIRouter(tags=["read"])
_BLOCK: Final = 64 * 1024
_MOST_SEQ: Final = 2**63 - 1

Time = Annotated[
    str | None, Query(description="RFC 3339, or a date.", max_length=40, examples=["2026-07-01T00:00:00Z"])
]
Seq = Annotated[int | None, Query(ge=0, le=_MOST_SEQ)]
Name = Annotated[str | None, Query(max_length=256)]


@router.get("/v1/streams", summary="List the streams", response_model=wire.Streams, responses=wire.problems())
def streams(request: Request, caller: Anyone) -> Response:
    """The streams of the log that the caller may see, each with its head."""
    heads = state_of(request).serving.log.store.streams()
    return json_answer(
        {
            "streams": [
                {"stream": head.stream, "seq": head.seq, "hash": head.hash.hex(), "time": head.time}
                for head in heads
                if caller.may_use(head.stream)
            ]
        }
    )


@router.get(
    "/v1/streams/{stream:path}/entries",
    summary="List entries",
    response_model=wire.Page,
    responses=wire.problems(400, 404),
)
def list_entries(
    request: Request,
    _caller: Auditor,
    stream: wire.StreamPath,
    type: Name = None,  # noqa: A002 - the parameter's name
    actor: Name = None,
    since: Time = None,
    until: Time = None,
    first_seq: Seq = None,
    last_seq: Seq = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Entries on a page at most.")] = 100,
    cursor: Annotated[str | None, Query(max_length=40, description="`next_cursor` of the page before.")] = None,
) -> Response:
    """Entries in order of seq, a page at a time."""
    which = EntryFilter(
        stream=stream,
        type=type,
        actor=actor,
        since=None if since is None else instant(since),
        until=None if until is None else instant(until),
        first_seq=first_seq,
        last_seq=last_seq,
    )
    after = None if cursor is None else (stream, _seq_of(cursor))
    # One more than asked for tells whether there is a next page.
    found = state_of(request).serving.log.store.select(which, limit=limit + 1, after=after)
    page = found[:limit]
    members = state_of(request).members_of(page)
    return json_answer({"entries": members, "next_cursor": _cursor_of(page[-1].seq) if len(found) > limit else None})


@router.get(
    "/v1/streams/{stream:path}/entries/{seq}",
    summary="Get an entry by its place",
    response_model=wire.Entry,
    responses=wire.problems(400, 404),
)
def entry_at(request: Request, _caller: Auditor, stream: wire.StreamPath, seq: int) -> Response:
    """The entry of a stream with this seq."""
    if not 0 <= seq <= _MOST_SEQ:
        raise InputError("a seq is 0 or more")
    found = find_entry(state_of(request).serving.log.store, Place(stream=stream, seq=seq))
    return json_answer(state_of(request).members_of([found])[0])


@router.get(
    "/v1/entries/{id}",
    summary="Get an entry by its id",
    response_model=wire.Entry,
    responses=wire.problems(400, 404),
)
def entry_by_id(request: Request, caller: Auditor, id: UUID) -> Response:  # noqa: A002 - the parameter's name
    """The entry with this id, in whichever of the caller's streams it stands."""
    which = EntryFilter(id=check_id(str(id)))
    for entry in state_of(request).serving.log.entries(which=which):
        if caller.may_use(entry.stream):
            return json_answer(state_of(request).members_of([entry])[0])
    raise NotFoundError(f"no stream of {caller.name} has an entry {id}")


@router.get(
    "/v1/streams/{stream:path}/export",
    summary="Export a stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The stream's entries, one a line: a file that `auditseal verify` takes. An export that "
            "cannot be finished is broken off, not ended.",
            "content": {"application/jsonl": {"schema": {"type": "string"}}},
        },
        **wire.problems(400, 404),
    },
)
def export(request: Request, _caller: Auditor, stream: wire.StreamPath) -> Response:
    """All entries of a stream as they stand now, in the export format."""
    store = state_of(request).serving.log.store
    if store.head(stream).seq < 0:
        raise NotFoundError(f"there is no stream {stream!r}")
    return StreamingResponse(_blocks(map(format_line, store.walk([stream]))), media_type="application/jsonl")


def _blocks(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines, joined: every block costs a change of threads."""
    block = bytearray()
    for line in lines:
        block += line
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _cursor_of(seq: int) -> str:
    return urlsafe_b64encode(str(seq).encode()).decode().rstrip("=")


def _seq_of(cursor: str) -> int:
    try:
        seq = int(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, UnicodeError):
        seq = -1
    if not 0 <= seq <= _MOST_SEQ or _cursor_of(seq) != cursor:
        raise InputError("the cursor is not one of this service: take next_cursor of the page before")
    return seq
