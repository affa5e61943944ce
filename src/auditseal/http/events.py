"""Appending over HTTP: one event, or many as NDJSON.

Source: `docs/http.md`, "Appending".
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from auditseal.core.event import Receipt
from auditseal.core.members import receipt_members
from auditseal.http import wire
from auditseal.http.batch import PORTION_BYTES, Batch
from auditseal.http.bodies import (
    JSON,
    NDJSON,
    check_media_type,
    read_body,
    read_event,
    read_lines,
    wire_limit,
    with_key,
)
from auditseal.http.gate import Producer
from auditseal.http.state import json_answer, state_of

router = APIRouter(tags=["append"])
_EVENT_SCHEMA: Final = {"$ref": "#/components/schemas/EventIn"}
_EXAMPLE: Final = {"type": "agent.spawned", "actor": "user:alice", "payload": {"agent_id": "a-1"}}


async def _event_body(request: Request) -> AsyncIterator[bytes]:
    """The body of a request with one event, within all bounds."""
    check_media_type(request, JSON)
    state = state_of(request)
    limit = wire_limit(state.serving.settings.max_body_bytes)
    given = request.headers.get("content-length", "")
    size = min(int(given), limit) if given.isascii() and given.isdecimal() else limit
    state.memory.take(size)
    try:
        yield await read_body(request, limit)
    finally:
        state.memory.give_back(size)


_APPENDED: Final[dict[str, Any]] = {
    "model": wire.Receipt,
    "headers": {"Location": {"description": "The entry.", "schema": {"type": "string"}}},
}


@router.post(
    "/v1/streams/{stream:path}/events",
    status_code=201,
    summary="Append one event",
    response_model=wire.Receipt,
    responses={
        200: {**_APPENDED, "description": "It was in the log already, under this id."},
        201: {**_APPENDED, "description": "Appended and signed."},
        202: {**_APPENDED, "description": "Appended and durable; the signature is due."},
        **wire.problems(400, 409, 413, 415),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _EVENT_SCHEMA, "example": _EXAMPLE}},
        }
    },
)
def append(
    request: Request,
    caller: Producer,
    stream: wire.StreamPath,
    body: Annotated[bytes, Depends(_event_body)],
    ack: wire.AckQuery = "signed",
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Makes a retry safe, in place of the event's `id`; a UUID is taken as the id.", max_length=300
        ),
    ] = None,
) -> Response:
    """Append one event, and answer when it is signed (or durable, if that is asked for)."""
    state = state_of(request)
    event = with_key(read_event(body, stream, caller), idempotency_key, caller)
    receipt = state.serving.log.append_event(event, ack=ack)
    state.metrics.count_receipt(receipt)
    return json_answer(receipt_members(receipt), _status(receipt), {"Location": _place(receipt)})


@router.post(
    "/v1/streams/{stream:path}/events:batch",
    summary="Append many events",
    response_class=Response,
    responses={
        200: {
            "description": "One line for each line of the request, in its order, with `line` (from 1) and either "
            "`receipt` or `problem`. Lines without an outcome of their own were not read.",
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"line":1,"receipt":{"stream":"agents","seq":41,"status":"signed"}}\n',
                }
            },
        },
        **wire.problems(400, 413, 415),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string", "description": "One event a line, as in `EventIn`."},
                    "example": '{"type":"agent.spawned","payload":{"agent_id":"a-1"}}\n',
                }
            },
        }
    },
)
async def append_batch(
    request: Request, caller: Producer, stream: wire.StreamPath, ack: wire.AckQuery = "signed"
) -> Response:
    """Append events as they come in, each with an outcome of its own; the answer begins when all have come."""
    check_media_type(request, NDJSON)
    state = state_of(request)
    settings = state.serving.settings
    most = wire_limit(settings.max_body_bytes)
    state.memory.take(PORTION_BYTES + most)
    batch = Batch(state.serving.log, lambda line: read_event(line, stream, caller), ack=ack, metrics=state.metrics)
    try:
        async for lines in read_lines(request, max_line_bytes=most, limit=settings.max_batch_bytes):
            if batch.add(lines):
                await run_in_threadpool(batch.flush)
        await run_in_threadpool(batch.flush)
    except BaseException as error:
        if not batch.end_early(error):
            batch.close()
            raise
    finally:
        state.memory.give_back(PORTION_BYTES + most)
    return StreamingResponse(batch.outcomes(), media_type="application/x-ndjson")


def _status(receipt: Receipt) -> int:
    if receipt.status == "pending":
        return 202
    return 200 if receipt.repeated else 201


def _place(receipt: Receipt) -> str:
    return f"/v1/streams/{quote(receipt.stream, safe='')}/entries/{receipt.seq}"
