"""From an error to an answer: one table, problem details (RFC 9457).

Source: `docs/http.md`, "Errors".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from auditseal.core.members import receipt_members
from auditseal.errors import (
    AuditSealError,
    BacklogFullError,
    CanonicalError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    OverloadedError,
    SignaturePendingError,
    SignerError,
    StoreError,
    TooLargeError,
    UnauthenticatedError,
    VerificationError,
)

if TYPE_CHECKING:
    from fastapi import Request

MEDIA_TYPE: Final = "application/problem+json"
END_CONNECTION: Final = {"Connection": "close"}
"""On the answer to a request whose body is not read to its end: what is left of it is not waited for."""
_RETRY_AFTER_S: Final = 2.0


class MediaTypeError(InputError):
    """The body is of a type that is not read here."""


class SlowBodyError(InputError):
    """The body did not come in time."""

    retryable = True


class Kind(NamedTuple):
    """How a kind of error is answered."""

    status: int
    name: str
    title: str


INTERNAL: Final = Kind(500, "internal", "The service is at fault")
_OVERLOADED: Final = {
    "rate-limit": Kind(429, "too-fast", "Too many requests of this caller"),
    "busy": Kind(503, "busy", "Too much at once"),
    "draining": Kind(503, "draining", "The service is about to stop"),
}
_TOO_LARGE: Final = Kind(413, "too-large", "Larger than the service reads")
_TABLE: Final[tuple[tuple[type[AuditSealError], Kind], ...]] = (
    (MediaTypeError, Kind(415, "unsupported-media-type", "The body is of another type")),
    (SlowBodyError, Kind(408, "too-slow", "The body did not come in time")),
    (TooLargeError, _TOO_LARGE),
    (CanonicalError, Kind(400, "not-canonical", "Not JSON that every reader takes alike")),
    (InputError, Kind(400, "invalid-input", "The request is not acceptable")),
    (UnauthenticatedError, Kind(401, "unauthenticated", "Who calls is not known")),
    (ForbiddenError, Kind(403, "forbidden", "The caller may not do this")),
    (NotFoundError, Kind(404, "not-found", "There is no such thing")),
    (ConflictError, Kind(409, "conflict", "The id stands for another event")),
    (VerificationError, Kind(422, "not-verified", "Not verified")),
    (BacklogFullError, Kind(503, "backlog-full", "Too many entries wait for a signature")),
    (SignaturePendingError, Kind(503, "signature-pending", "In the log, and not signed yet")),
    (SignerError, Kind(503, "signer", "The signer did not sign")),
    (StoreError, Kind(503, "store", "The log's storage failed")),
    (ConfigError, INTERNAL),
)
_HTTP: Final = {
    404: Kind(404, "not-found", "There is no such thing"),
    405: Kind(405, "method-not-allowed", "The resource has no such method"),
}


def kind_of(error: AuditSealError) -> Kind:
    """How an error is answered."""
    if isinstance(error, OverloadedError):
        return _OVERLOADED[error.reason]
    if isinstance(error, CanonicalError) and error.reason == "too-large":
        return _TOO_LARGE
    return next((kind for type_, kind in _TABLE if isinstance(error, type_)), INTERNAL)


def problem_members(error: AuditSealError) -> dict[str, Any]:
    """An error as the members of a problem. A fault of the service's own settings is for its log alone."""
    kind = kind_of(error)
    detail = "what went wrong is in the service's log" if kind is INTERNAL else str(error)
    members = _members(kind, detail) | {"retryable": error.retryable}
    if isinstance(error, CanonicalError | SignerError):
        members["reason"] = error.reason
    if isinstance(error, BacklogFullError):
        members |= {"pending": error.pending, "limit": error.limit}
    if isinstance(error, SignaturePendingError):
        members["receipts"] = [receipt_members(receipt) for receipt in error.receipts]
    return members


def answer_error(request: Request, error: Exception) -> Response:
    """The answer to an error of ours."""
    assert isinstance(error, AuditSealError)
    kind = kind_of(error)
    request.scope.setdefault("state", {})["problem"] = kind.name
    request.state.reason = getattr(error, "reason", None)
    headers = {}
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="auditseal"'
    if isinstance(error, SlowBodyError):
        headers |= END_CONNECTION
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    elif kind.status == 503:  # noqa: PLR2004 - Service Unavailable
        headers["Retry-After"] = str(math.ceil(_RETRY_AFTER_S))
    return _answer(request, kind.status, problem_members(error), headers)


def answer_http(request: Request, error: Exception) -> Response:
    """The answer where no route fits, or none has the method."""
    assert isinstance(error, HTTPException)
    kind = _HTTP.get(error.status_code, Kind(error.status_code, "http", "The request was not answered"))
    members = _members(kind, kind.title) | {"retryable": False}
    return _answer(request, kind.status, members, dict(error.headers or {}))


def answer_invalid(request: Request, error: Exception) -> Response:
    """The answer to a parameter that is not what the OpenAPI document says; the value is not repeated."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    invalid = InputError(f"{place[:100]}: {first['msg'].lower()}")
    return answer_error(request, invalid)


def answer_fault(request: Request) -> Response:
    """The answer to an exception that is a fault of this program."""
    members = _members(INTERNAL, "what went wrong is in the service's log") | {"retryable": False}
    return _answer(request, INTERNAL.status, members, {})


def _members(kind: Kind, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:auditseal:problem:{kind.name}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }


def _answer(request: Request, status: int, members: dict[str, Any], headers: dict[str, str]) -> Response:
    members["request_id"] = getattr(request.state, "request_id", None)
    return Response(orjson.dumps(members), status, headers, media_type=MEDIA_TYPE)
