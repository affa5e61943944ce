"""Verification on demand.

Source: `docs/http.md`, "Verifications".
"""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import ValidationError

from auditseal.core.event import check_stream
from auditseal.errors import InputError, NotFoundError
from auditseal.http import wire
from auditseal.http.bodies import JSON, check_media_type, read_body
from auditseal.http.gate import Verifier, require_streams
from auditseal.http.state import json_answer, state_of

router = APIRouter(tags=["verify"])
_MOST_BYTES: Final = 256 * 1024


async def _asked_body(request: Request) -> bytes:
    check_media_type(request, JSON)
    return await read_body(request, _MOST_BYTES, timeout_s=state_of(request).serving.settings.body_timeout_s)


def _parse(body: bytes) -> wire.VerificationIn:
    try:
        return wire.VerificationIn.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{place[:100] or 'the body'}: {first['msg'].lower()[:200]}") from None


@router.post(
    "/v1/verifications",
    status_code=202,
    summary="Start a verification",
    response_model=wire.Verification,
    responses={
        202: {"headers": {"Location": {"description": "The verification.", "schema": {"type": "string"}}}},
        **wire.problems(400, 404, 408, 413, 415),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/VerificationIn"}}},
        }
    },
)
def start(request: Request, caller: Verifier, body: Annotated[bytes, Depends(_asked_body)]) -> Response:
    """Start verifying streams in the background, against the service's own signers.json."""
    state = state_of(request)
    asked = _parse(body)
    if asked.streams is None:
        streams = [head.stream for head in state.serving.log.store.streams() if caller.may_use(head.stream)]
        if not streams:
            raise NotFoundError("there is no stream to verify")
    else:
        streams = [check_stream(name) for name in dict.fromkeys(asked.streams)]
        require_streams(caller, streams)
    job = state.jobs.start(streams, caller)
    return json_answer(job.members(), 202, {"Location": f"/v1/verifications/{job.id}"})


@router.get(
    "/v1/verifications/{id}",
    summary="See how a verification goes",
    response_model=wire.Verification,
    responses=wire.problems(400, 404),
)
def see(request: Request, caller: Verifier, id: UUID) -> Response:  # noqa: A002 - the parameter's name
    """A verification: how far it is, and its report once it is done."""
    return json_answer(state_of(request).jobs.find(str(id), caller).members())


@router.delete(
    "/v1/verifications/{id}",
    status_code=202,
    summary="Stop a verification",
    response_model=wire.Verification,
    responses=wire.problems(400, 404),
)
def stop(request: Request, caller: Verifier, id: UUID) -> Response:  # noqa: A002 - the parameter's name
    """Stop a verification that runs; one that is done stays as it is."""
    job = state_of(request).jobs.find(str(id), caller)
    job.stop.set()
    return json_answer(job.members(), 202)
