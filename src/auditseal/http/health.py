"""Health, readiness, metrics and the registry.

Source: `docs/http.md`, "Watching it".
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from auditseal.http import wire
from auditseal.http.gate import Anyone, Operator
from auditseal.http.readiness import running_check
from auditseal.http.state import json_answer, state_of

router = APIRouter(tags=["watch"])


@router.get("/healthz", summary="Whether the process lives", response_model=wire.Health)
def healthz() -> Response:
    """Answers as long as the process does."""
    return json_answer({"status": "ok"})


@router.get(
    "/readyz",
    summary="Whether the service takes events",
    response_model=wire.Readiness,
    responses={503: {"model": wire.Readiness, "description": "Not ready; `checks` says why."}},
)
async def readyz(request: Request) -> Response:
    """What readiness depends on. A signer that is down only warns until the backlog is full: events are still taken."""
    state = state_of(request)
    checks = [running_check(state), *await state.readiness.checks()]
    ready = all(check["status"] != "fail" for check in checks)
    return json_answer({"ready": ready, "checks": checks}, 200 if ready else 503)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **wire.problems(),
    },
)
def metrics(request: Request, _caller: Operator) -> Response:
    """What the service counts."""
    state = state_of(request)
    state.metrics.queue.set(state.intake.waiting)
    return Response(state.metrics.text(state.serving.log), media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/.well-known/signers.json",
    summary="The accepted signers",
    response_class=Response,
    responses={
        200: {"description": "signers.json", "content": {"application/json": {"schema": {"type": "object"}}}},
        **wire.problems(404),
    },
)
def signers(request: Request, _caller: Anyone) -> Response:
    """The registry against which the log verifies. Whoever needs to trust it gets it another way, once."""
    return Response(state_of(request).serving.signers_json(), media_type="application/json")
