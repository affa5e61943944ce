"""The ASGI application: routes, error answers, the envelope around them, and their common state.

Source: `docs/http.md`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from auditseal.errors import AuditSealError
from auditseal.http import entries, events, health, tail, verifications, wire
from auditseal.http.errors import answer_error, answer_http, answer_invalid
from auditseal.http.gate import Anyone, Gate
from auditseal.http.intake import Intake
from auditseal.http.jobs import Jobs
from auditseal.http.limits import RateLimit, Room
from auditseal.http.middleware import Envelope
from auditseal.http.readiness import Readiness
from auditseal.http.state import State, json_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from auditseal.http.metrics import Metrics
    from auditseal.wiring.serving import Serving

_MOST_THREADS: Final = 128
_DESCRIPTION: Final = """A tamper-evident audit log, chained by hash and signed by AWS KMS.

Errors are problem details (RFC 9457). Their `type` names the kind, `retryable` says whether the same request may
succeed later. A retry is safe if the event has an `id`, or the request an `Idempotency-Key`."""


def create_app(serving: Serving, metrics: Metrics) -> FastAPI:
    """The application; it closes `serving` when it shuts down.

    Args:
        serving: what it serves.
        metrics: its counters, the same that `serving` reports signatures to.
    """
    settings = serving.settings
    state = State(
        serving=serving,
        metrics=metrics,
        intake=Intake(serving.log),
        jobs=Jobs(serving.verify, limit=settings.verification_limit, finished=metrics.count_report),
        readiness=Readiness(serving),
        tails=Room(settings.tail_limit, "live tails"),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threads = anyio.to_thread.current_default_thread_limiter()
        threads.total_tokens = max(threads.total_tokens, min(_MOST_THREADS, settings.request_limit))
        yield
        state.draining.set()
        await anyio.to_thread.run_sync(_close, state)

    app = FastAPI(
        title="auditseal",
        version="1",
        summary="Append events to a signed log, read it, verify it.",
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = state
    app.state.gate = Gate(serving.authenticators, RateLimit(settings.rate_limit_per_s))
    app.include_router(events.direct)
    for part in (events, verifications, health, tail, entries):
        app.include_router(part.router)
    app.add_api_route("/openapi.json", _openapi, summary="This document", tags=["watch"], responses=wire.problems())
    app.openapi = lambda: _document(app)  # type: ignore[method-assign] # FastAPI's documented way to extend it
    app.add_exception_handler(AuditSealError, answer_error)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_middleware(
        Envelope,
        requests=Room(settings.request_limit, "requests"),
        metrics=metrics,
        loopback_only=not serving.authenticators,
    )
    return app


def _close(state: State) -> None:
    state.jobs.close()
    state.serving.close()


def _openapi(request: Request, _caller: Anyone) -> Response:
    """The OpenAPI document of the service."""
    return json_answer(request.app.openapi())


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=[
                {"name": "append", "description": "Recording events."},
                {"name": "read", "description": "Reading entries."},
                {"name": "verify", "description": "Verifying on demand."},
                {"name": "watch", "description": "Running it."},
            ],
        )
        schemas = document["components"]["schemas"]
        for model in (wire.EventIn, wire.Problem, wire.Receipt, wire.VerificationIn):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas[model.__name__] = schema
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path in document["paths"].values():
            for operation in path.values():
                # FastAPI assumes its own answer to invalid parameters; ours is a problem with status 400.
                operation["responses"].pop("422", None)
        app.openapi_schema = document
    return app.openapi_schema
