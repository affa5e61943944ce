"""From the service's answers back to the errors and receipts that a local log would give.

Source: `docs/http.md`, "Errors"; RFC 9457.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from auditseal.core.members import receipt_from
from auditseal.errors import (
    AuditSealError,
    BacklogFullError,
    CanonicalError,
    ConflictError,
    ForbiddenError,
    InputError,
    NotCheckedError,
    NotFoundError,
    OverloadedError,
    ServiceError,
    SignaturePendingError,
    SignerError,
    StoreError,
    TooLargeError,
    UnauthenticatedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX: Final = "urn:auditseal:problem:"
_LONGEST_DETAIL: Final = 500
_SERVER_ERRORS: Final = 500
_TOO_MANY: Final = 429


class Answer(NamedTuple):
    """An answer of the service; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def error_of(answer: Answer) -> AuditSealError:
    """The error that an answer of status 400 or more stands for."""
    members = _problem(answer)
    if members is None:
        return ServiceError(
            f"the service, or something before it, answered {answer.status} and no problem",
            retryable=answer.status >= _SERVER_ERRORS or answer.status == _TOO_MANY,
            status=answer.status,
        )
    return error_from(members, retry_after_s=_retry_after(answer))


def error_from(members: Mapping[str, Any], *, retry_after_s: float | None = None) -> AuditSealError:
    """The error that a problem's members stand for."""
    name = str(members.get("type", "")).removeprefix(PREFIX)
    text = str(members.get("detail", ""))[:_LONGEST_DETAIL]
    make = _MAKERS.get(name)
    if make is not None:
        return make(text, members, 1.0 if retry_after_s is None else retry_after_s)
    status = members.get("status")
    return ServiceError(
        f"the service failed: {text}",
        retryable=members.get("retryable") is True,
        status=status if isinstance(status, int) else None,
    )


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object of the service.

    Raises:
        ServiceError: it is none.
    """
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        members = None
    if type(members) is not dict:
        raise ServiceError("the service answered something that is no JSON object", retryable=False)
    return members


def _problem(answer: Answer) -> dict[str, Any] | None:
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        return parse_object(answer.body)
    except ServiceError:
        return None


def _retry_after(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def _signer(text: str, members: Mapping[str, Any]) -> SignerError:
    return SignerError(text, reason=str(members.get("reason")), retryable=members.get("retryable") is True)


def _pending(text: str, members: Mapping[str, Any]) -> AuditSealError:
    try:
        receipts = [receipt_from(receipt) for receipt in members["receipts"]]
    except (InputError, KeyError, TypeError):
        return ServiceError("the service answered a problem without its receipts", retryable=False)
    return SignaturePendingError(text, receipts=receipts, cause=_signer(text, members))


def _backlog(members: Mapping[str, Any]) -> AuditSealError:
    pending, limit = members.get("pending"), members.get("limit")
    return BacklogFullError(
        pending=pending if isinstance(pending, int) else 0, limit=limit if isinstance(limit, int) else 0
    )


_MAKERS: Final[dict[str, Callable[[str, Mapping[str, Any], float], AuditSealError]]] = {
    "invalid-input": lambda text, _, __: InputError(text),
    "unsupported-media-type": lambda text, _, __: InputError(text),
    "not-canonical": lambda text, members, _: CanonicalError(str(members.get("reason")), text),
    "too-large": lambda text, _, __: TooLargeError(text),
    "unauthenticated": lambda text, _, __: UnauthenticatedError(text, reason="refused"),
    "forbidden": lambda text, _, __: ForbiddenError(text),
    "not-found": lambda text, _, __: NotFoundError(text),
    "conflict": lambda text, _, __: ConflictError(text),
    "not-verified": lambda text, _, __: NotCheckedError(text),
    "too-fast": lambda text, _, after: OverloadedError(text, reason="rate-limit", retry_after_s=after),
    "busy": lambda text, _, after: OverloadedError(text, reason="busy", retry_after_s=after),
    "draining": lambda text, _, after: OverloadedError(text, reason="draining", retry_after_s=after),
    "backlog-full": lambda _, members, __: _backlog(members),
    "signature-pending": lambda text, members, _: _pending(text, members),
    "signer": lambda text, members, _: _signer(text, members),
    "store": lambda text, members, _: StoreError(text, retryable=members.get("retryable") is True),
}
