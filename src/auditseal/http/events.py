"""Appending over HTTP: one event, or many as NDJSON.

The route of single events is the one that must be fast. FastAPI's dependencies cost more than appending does, so it
reads its parameters itself; they are described by hand, and a test holds the description to what it does.

Source: `docs/http.md`, "Appending".
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from auditseal.core.caller import Role
from auditseal.core.event import check_stream
from auditseal.core.members import receipt_members
from auditseal.core.receipt import ACKS, Ack, Receipt
from auditseal.errors import AuditSealError, InputError
from auditseal.http import wire
from auditseal.http.batch import PORTION_BYTES, Batch
from auditseal.http.bodies import (
    JSON,
    NDJSON,
    check_media_type,
    read_body,
    read_draft,
    read_event,
    read_lines,
    wire_limit,
    with_key,
)
from auditseal.http.errors import END_CONNECTION, answer_error
from auditseal.http.gate import Producer, admit
from auditseal.http.state import json_answer, state_of


class _Direct(APIRoute):
    """A route whose function takes the request and gives the answer, without FastAPI's dependencies between."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


router = APIRouter(tags=["append"])
direct = APIRouter(tags=["append"], route_class=_Direct)
_MOST_READ_AT_ONCE: Final = 16 * 1024
"""A body of more bytes is parsed in a thread, so that it keeps no other request waiting."""
_EVENT_SCHEMA: Final = {"$ref": "#/components/schemas/EventIn"}


_APPENDED: Final[dict[str, Any]] = {
    "model": wire.Receipt,
    "headers": {"Location": {"description": "The entry.", "schema": {"type": "string"}}},
}


@direct.post(
    "/v1/streams/{stream:path}/events",  # noqa: FAST003 - see `_Direct`
    status_code=201,
    summary="Append one event",
    response_model=wire.Receipt,
    responses={
        200: {**_APPENDED, "description": "It was in the log already, under this id."},
        201: {**_APPENDED, "description": "Appended and signed."},
        202: {**_APPENDED, "description": "Appended and durable; the signature is due."},
        **wire.problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={
        "parameters": wire.append_parameters(),
        "security": wire.BEARER,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _EVENT_SCHEMA, "examples": wire.EVENT_EXAMPLES}},
        },
    },
)
async def append(request: Request) -> Response:
    """Append one event, and answer when it is signed (or durable, if that is asked for)."""
    caller = await admit(request, Role.PRODUCER)
    state = state_of(request)
    stream = check_stream(request.path_params["stream"])
    ack = _ack(request.query_params.getlist("ack")) if request.scope["query_string"] else "signed"
    check_media_type(request, JSON)
    settings = state.serving.settings
    limit = wire_limit(settings.max_body_bytes)
    given = request.headers.get("content-length", "")
    size = min(int(given), limit) if given.isascii() and given.isdecimal() else limit
    state.memory.take(size)
    try:
        body = await read_body(request, limit, timeout_s=settings.body_timeout_s)
        if len(body) > _MOST_READ_AT_ONCE:
            event = await run_in_threadpool(read_event, body, stream, caller)
        else:
            event = read_event(body, stream, caller)
        event = with_key(event, request.headers.get("idempotency-key"), caller)
        outcome = await state.intake.append(event, ack)
    finally:
        state.memory.give_back(size)
    if isinstance(outcome, AuditSealError):
        return answer_error(request, outcome)
    state.metrics.count_receipt(outcome)
    return json_answer(receipt_members(outcome), _status(outcome), {"Location": _place(outcome)})


def _ack(given: list[str]) -> Ack:
    chosen = given[-1] if given else "signed"
    for ack in ACKS:
        if chosen == ack:
            return ack
    raise InputError(f"ack is {chosen[:20]!r}: use signed or durable")


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
        **wire.problems(400, 404, 408, 413, 415),
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
    read = partial(read_draft, stream=check_stream(stream), caller=caller)
    batch = Batch(state.serving.log, read, ack=ack, metrics=state.metrics)
    headers: dict[str, str] = {}
    try:
        async for lines in read_lines(
            request, max_line_bytes=most, limit=settings.max_batch_bytes, timeout_s=settings.body_timeout_s
        ):
            if batch.add(lines):
                await run_in_threadpool(batch.flush)
        await run_in_threadpool(batch.flush)
    except BaseException as error:
        if not batch.end_early(error):
            batch.close()
            raise
        headers = END_CONNECTION
    finally:
        state.memory.give_back(PORTION_BYTES + most)
    return StreamingResponse(batch.outcomes(), headers=headers, media_type="application/x-ndjson")


def _status(receipt: Receipt) -> int:
    if receipt.status == "pending":
        return 202
    return 200 if receipt.repeated else 201


def _place(receipt: Receipt) -> str:
    return f"/v1/streams/{quote(receipt.stream, safe='')}/entries/{receipt.seq}"
