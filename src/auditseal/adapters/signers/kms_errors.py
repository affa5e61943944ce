"""Turns whatever a call to KMS raised or answered into our errors.

A text is one line: which call, why, and what to do. It never repeats what was sent; KMS's own message is passed on
only for a denial, where it names principal, action and resource.
"""

from __future__ import annotations

import re
import ssl
from http import HTTPStatus
from typing import Any, Final

from botocore.exceptions import ClientError, SSLError
from botocore.parsers import ResponseParserError

from auditseal.adapters.signers import kms_causes as causes
from auditseal.adapters.signers.kms_causes import Cause
from auditseal.errors import ConfigError, SignerError

KmsError = SignerError | ConfigError

_MESSAGE_CHARACTERS: Final = 400
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")


def from_answer(
    operation: str, *, code: str, status: int, request_id: str | None = None, message: str = ""
) -> SignerError:
    """The error that KMS answered.

    Args:
        operation: such as `Sign`.
        code: the error code, without a namespace; "" if there was none.
        status: of HTTP.
        request_id: of the answer.
        message: KMS's own; used for a denial alone.
    """
    cause = causes.CAUSE_OF_CODE.get(code) or _cause_of_status(status, has_code=bool(code))
    detail = ""
    if cause is causes.DENIED and message:
        detail = f" ({' '.join(message.split())[:_MESSAGE_CHARACTERS]})"
    named = code if _CODE.fullmatch(code) else f"HTTP {status}"
    return SignerError(
        f"KMS refused {operation} with {named}: {cause.fix}{detail}",
        reason=cause.reason,
        retryable=cause.retryable,
        request_id=request_id,
    )


def from_exception(operation: str, error: BaseException) -> KmsError:
    """The error that botocore, awscrt or the wait for them raised instead of an answer.

    Args:
        operation: such as `Sign`.
        error: any exception; one of ours is returned as it is.
    """
    if isinstance(error, SignerError | ConfigError):
        return error
    if isinstance(error, ClientError):
        return _from_client_error(operation, error.response)
    cause = _cause_of(error)
    if cause.reason == causes.CONFIGURATION:
        return ConfigError(f"KMS {operation}: {cause.fix} [{_name(error)}]")
    return SignerError(
        f"KMS {operation} failed: {cause.fix} [{_name(error)}]", reason=cause.reason, retryable=cause.retryable
    )


def from_cause(operation: str, cause: Cause, *, request_id: str | None = None) -> SignerError:
    """The error of a cause that we found ourselves."""
    return SignerError(
        f"KMS {operation} failed: {cause.fix}", reason=cause.reason, retryable=cause.retryable, request_id=request_id
    )


def _from_client_error(operation: str, response: dict[str, Any]) -> SignerError:
    error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    code = str(error.get("Code", ""))
    return from_answer(
        operation,
        # botocore gives the HTTP status as the code of an answer that carries none
        code="" if code.isdigit() else code,
        status=int(metadata.get("HTTPStatusCode", 0)),
        request_id=metadata.get("RequestId"),
        message=str(error.get("Message", "")),
    )


def _cause_of(error: BaseException) -> Cause:
    if isinstance(error, SSLError) and "certificate" in str(error).lower():
        return causes.CERTIFICATE
    if isinstance(error, TimeoutError):
        return causes.TIMEOUT
    if isinstance(error, ssl.SSLError):
        return causes.CERTIFICATE if isinstance(error, ssl.SSLCertVerificationError) else causes.TLS
    if isinstance(error, ResponseParserError):
        return causes.MALFORMED
    if type(error).__module__ == "botocore.exceptions":
        for kind in type(error).__mro__:
            if kind.__name__ in causes.CAUSE_OF_CLASS:
                return causes.CAUSE_OF_CLASS[kind.__name__]
    if isinstance(error, OSError):
        return causes.UNREACHABLE
    if isinstance(error, ValueError):  # botocore's own for a malformed endpoint URL
        return causes.BAD_ENDPOINT
    return causes.CLIENT


def _cause_of_status(status: int, *, has_code: bool) -> Cause:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return causes.THROTTLED
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return causes.UNAVAILABLE
    return causes.UNEXPECTED if has_code else causes.ENDPOINT


def _name(error: BaseException) -> str:
    """The error's class; for one of awscrt its own name."""
    name = getattr(error, "name", None)
    return name if isinstance(name, str) and name.startswith("AWS_") else type(error).__name__
