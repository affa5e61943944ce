"""Health, readiness, metrics and the registry.

Source: `docs/http.md`, "Watching it".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from auditseal.errors import AuditSealError
from auditseal.http import wire
from auditseal.http.gate import Anyone, Operator
from auditseal.http.state import json_answer, state_of

if TYPE_CHECKING:
    from auditseal.http.state import State

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
def readyz(request: Request) -> Response:
    """What readiness depends on. A signer that is down only warns until the backlog is full: events are still taken."""
    state = state_of(request)
    checks = [_running(state), *_log(state), _disk(state)]
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


def _running(state: State) -> dict[str, Any]:
    if state.draining.is_set():
        return _check("running", "fail", "about to stop: requests in flight are finished, no new ones are for here")
    return _check("running", "pass", "takes requests")


def _log(state: State) -> list[dict[str, Any]]:
    log, settings = state.serving.log, state.serving.settings
    try:
        pending = log.store.count_pending()
        oldest = log.store.pending(limit=1) if pending else []
    except AuditSealError as error:
        return [_check("database", "fail", f"cannot be read ({type(error).__name__})")]
    checks = [_check("database", "pass", "answers")]
    outage = log.outage
    if outage is None:
        checks.append(_check("signer", "pass", "no failure since it last signed"))
    else:
        advice = "it is asked again every few seconds" if outage.retryable else "somebody must act: auditseal doctor"
        checks.append(_check("signer", "warn", f"does not sign: {outage.reason}; {advice}"))
    if not pending:
        return [*checks, _check("backlog", "pass", "every entry is signed")]
    since = oldest[0].columns.time if oldest and oldest[0].columns is not None else None
    detail = f"{pending} entries wait for a signature, the first since {since or 'just now'}"
    refuses = (settings.on_signer_failure or ("refuse" if settings.require_kms else "queue")) == "refuse"
    if refuses and pending >= settings.backlog_limit:
        checks.append(_check("backlog", "fail", f"{detail}; {settings.backlog_limit} may: nothing new is accepted"))
    else:
        checks.append(_check("backlog", "warn", f"{detail}; they are signed as soon as the signer answers"))
    return checks


def _disk(state: State) -> dict[str, Any]:
    try:
        free = state.serving.free_bytes()
    except OSError as error:
        return _check("disk", "fail", f"cannot be measured: {error.strerror}")
    if free is None:
        return _check("disk", "pass", "the log does not lie on this machine")
    free_mib = free // (1024 * 1024)
    least = state.serving.settings.min_free_mib
    if free_mib < least:
        return _check("disk", "fail", f"{free_mib} MiB are free, and {least} should be: make room")
    return _check("disk", "pass", f"{free_mib} MiB are free")


def _check(name: str, status: str, detail: str) -> dict[str, Any]:
    return {"name": name, "status": status, "detail": detail}
