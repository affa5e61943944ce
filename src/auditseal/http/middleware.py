"""Around every request: an id, a bound on how many there are at once, a log record, metrics, and the last resort.

Source: the ASGI specification, HTTP connection scope.
"""

from __future__ import annotations

import re
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect

from auditseal.errors import ForbiddenError, OverloadedError
from auditseal.http.errors import answer_error, answer_fault, kind_of
from auditseal.http.gate import caller_marks
from auditseal.service.ids import new_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from auditseal.http.limits import Room
    from auditseal.http.metrics import Metrics

_log: Final = structlog.get_logger("auditseal.http")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_HEALTH: Final = frozenset({"/healthz", "/readyz"})
_CLIENT_CLOSED: Final = 499


class Envelope:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, requests: Room, metrics: Metrics, loopback_only: bool) -> None:
        """Sets up.

        Args:
            app: the rest.
            requests: how many may be worked on at once.
            metrics: counts them.
            loopback_only: refuse whoever names another host than this machine, such as a browser that a page on the
                net leads here.
        """
        self._app = app
        self._requests = requests
        self._metrics = metrics
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.request_id = _request_id(request)
        record = _Record(request, send)
        began = time.perf_counter()
        is_health = scope["path"] in _HEALTH
        try:
            if self._loopback_only:
                _check_loopback(request.url.hostname)
            if is_health or scope["path"].endswith("/tail"):
                await self._app(scope, receive, record.send)
            else:
                with self._requests.one():
                    self._metrics.in_flight.inc()
                    try:
                        await self._app(scope, receive, record.send)
                    finally:
                        self._metrics.in_flight.dec()
        except (OverloadedError, ForbiddenError) as error:
            # Raised here, outside the routes: the body has not been read, so the connection ends with the answer.
            answer = answer_error(request, error)
            answer.headers["Connection"] = "close"
            await answer(scope, receive, record.send)
            request.state.problem = kind_of(error).name
        except ClientDisconnect:
            record.status = _CLIENT_CLOSED
        except Exception:  # noqa: BLE001 - the last resort: no request is left without an answer and a record
            _log.exception("fault", request_id=request.state.request_id)
            record.fault = True
            if not record.started:
                await answer_fault(request)(scope, receive, record.send)
        finally:
            self._note(request, record, time.perf_counter() - began, quiet=is_health)

    def _note(self, request: Request, record: _Record, seconds: float, *, quiet: bool) -> None:
        route = getattr(request.scope.get("route"), "path", "other")
        problem = getattr(request.state, "problem", None)
        if problem is not None:
            self._metrics.count_refused(problem)
        self._metrics.observe_request(route, _method(request), record.status, seconds)
        if quiet and record.status < 400:  # noqa: PLR2004 - a probe that went well
            return
        _log.log(
            30 if problem or record.fault else 20,
            "refused" if problem else "request",
            request_id=request.state.request_id,
            method=_method(request),
            route=route,
            status=record.status,
            ms=round(seconds * 1000, 1),
            client=request.client.host if request.client else None,
            **({"problem": problem} if problem else {}),
            **caller_marks(request.state),
            **_stream(request),
        )


class _Record:
    """What is known of the answer."""

    def __init__(self, request: Request, send: Send) -> None:
        self.status = _CLIENT_CLOSED
        self.started = False
        self.fault = False
        self._id = request.state.request_id.encode()
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self._id),
                (b"x-content-type-options", b"nosniff"),
                (b"cache-control", b"no-store"),
            ]
        await self._send(message)


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def _method(request: Request) -> str:
    """The method, if it is one of the usual ones: a label must have a bounded number of values."""
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    return request.method if request.method in known else "other"


def _stream(request: Request) -> dict[str, Any]:
    stream = request.scope.get("path_params", {}).get("stream")
    return {} if stream is None else {"stream": stream[:128]}


def _check_loopback(host: str | None) -> None:
    try:
        is_loopback = host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ForbiddenError("without authentication the service answers to this machine's name alone")
