"""A witness as a web service: the C2SP tlog-witness protocol over ASGI.

Source: c2sp.org/tlog-witness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from auditseal.core.witness_rules import MAX_REQUEST_BYTES, SIZE_TYPE, StaleError
from auditseal.errors import (
    AuditSealError,
    InputError,
    NotFoundError,
    ProofInvalidError,
    SignatureInvalidError,
    SignerError,
    SignerNotAllowedError,
    StoreError,
)

if TYPE_CHECKING:
    from starlette.requests import Request

    from auditseal.service.witness import Witness

_STATUS: Final = (
    (ProofInvalidError, 422),
    (SignatureInvalidError, 403),
    (SignerNotAllowedError, 403),
    (NotFoundError, 404),
    (InputError, 400),
    (StoreError, 503),
    (SignerError, 503),
)


def witness_app(witness: Witness, *, prefix: str = "") -> Starlette:
    """The application.

    Args:
        witness: what answers.
        prefix: of its addresses, such as `/witness`.
    """

    async def add_checkpoint(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return PlainTextResponse(f"more than {MAX_REQUEST_BYTES} bytes\n", status_code=413)
        try:
            lines = await run_in_threadpool(witness.add_checkpoint, body)
        except StaleError as stale:
            # The type has no parameters: PlainTextResponse would add a charset.
            return Response(f"{stale.size}\n", status_code=409, headers={"Content-Type": SIZE_TYPE})
        except AuditSealError as error:
            status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
            # What failed inside is the witness's own affair.
            text = "the witness cannot answer now" if status >= _OURS else " ".join(str(error).split())
            return PlainTextResponse(f"{text}\n", status_code=status)
        return PlainTextResponse(lines)

    async def key(_: Request) -> Response:
        return PlainTextResponse(f"{witness.key.vkey()}\n")

    return Starlette(
        routes=[
            Route(f"{prefix}/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route(f"{prefix}/vkey", key, methods=["GET"]),
        ]
    )


_OURS: Final = 500


async def _body(request: Request) -> bytes | None:
    """The request's body; None if it is too long, however it is sent."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_REQUEST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)
