"""The lean transport for what is called for each entry: signed by AWS's Common Runtime, sent over kept connections.

It does for Sign, GenerateMac and VerifyMac what botocore does, at a seventh of the CPU time. Endpoint, Region,
credentials and trusted authorities are botocore's; a proxy is not supported here.

Source: AWS Signature Version 4; AWS JSON 1.1 protocol.
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

import orjson
from awscrt.auth import AwsCredentialsProvider, AwsSigningConfig, aws_sign_request
from awscrt.http import HttpHeaders, HttpRequest

from auditseal.adapters.signers import kms_causes as causes
from auditseal.adapters.signers.kms_calls import Answer
from auditseal.adapters.signers.kms_connections import Connections
from auditseal.adapters.signers.kms_errors import from_answer, from_cause, from_exception
from auditseal.adapters.signers.kms_http import HttpAnswer, HttpConnection, ProtocolError
from auditseal.errors import SignerError

Credentials = tuple[str, str, str | None]
"""Access key id, secret, session token."""

_BLOBS: Final = frozenset({"Signature", "Mac"})


class LeanTransport:
    """Sends single attempts over kept connections. Safe to call from many threads."""

    def __init__(
        self,
        *,
        connections: Connections,
        region: str,
        credentials: Callable[[float], Credentials],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares; nothing is sent yet.

        Args:
            connections: to the endpoint.
            region: for the signature.
            credentials: those that are valid now, fetched within so many seconds.
            clock: seconds that only go forward; the connections' own.
        """
        self._connections = connections
        self._region = region
        self._credentials = credentials
        self._clock = clock

    def send(self, operation: str, parameters: dict[str, Any], timeout_s: float) -> Answer:
        """One attempt; see `Transport.send`."""
        deadline = self._clock() + timeout_s
        try:
            request = self._request(operation, parameters, deadline)
        except Exception as error:
            raise from_exception(operation, error) from error
        try:
            connection = self._connections.take(deadline)
        except OSError as error:
            raise _not_connected(operation, error) from error
        answer = self._exchange(operation, request, connection, deadline)
        return _read(operation, answer)

    def close(self) -> None:
        """Closes the connections. Idempotent."""
        self._connections.close()

    def _exchange(self, operation: str, request: bytes, connection: HttpConnection, deadline: float) -> HttpAnswer:
        was_reused = connection.reused
        try:
            answer = connection.exchange(request, deadline)
        except (OSError, ProtocolError) as error:
            connection.close()
            if was_reused and not connection.answered and isinstance(error, ConnectionError):
                # The server closed this connection while it was idle, and the request crossed with that.
                self._connections.drop_idle()
                return self._exchange_anew(operation, request, deadline)
            raise _broken(operation, error) from error
        self._connections.give_back(connection)
        return answer

    def _exchange_anew(self, operation: str, request: bytes, deadline: float) -> HttpAnswer:
        try:
            connection = self._connections.make(deadline)
        except OSError as error:
            raise _not_connected(operation, error) from error
        return self._exchange(operation, request, connection, deadline)

    def _request(self, operation: str, parameters: dict[str, Any], deadline: float) -> bytes:
        """Head and body of the signed request."""
        body = orjson.dumps(parameters, default=_encode_blob)
        headers = HttpHeaders(
            [
                ("Host", self._connections.host),
                ("Content-Type", "application/x-amz-json-1.1"),
                ("Content-Length", str(len(body))),
                ("X-Amz-Target", f"TrentService.{operation}"),
                ("User-Agent", "auditseal"),
            ]
        )
        left_s = deadline - self._clock()
        signing = AwsSigningConfig(
            credentials_provider=_provider(self._credentials(left_s)),
            region=self._region,
            service="kms",
            signed_body_value=hashlib.sha256(body).hexdigest(),
        )
        request = HttpRequest("POST", "/", headers)
        aws_sign_request(request, signing).result(left_s)
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers)
        return f"POST / HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def _read(operation: str, answer: HttpAnswer) -> Answer:
    """What was answered.

    Raises:
        SignerError: KMS refused, or this is no answer of KMS.
    """
    request_id = answer.headers.get("x-amzn-requestid")
    try:
        values = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        values = None
    if answer.status != HTTPStatus.OK:
        members = values if isinstance(values, dict) else {}
        raise from_answer(
            operation,
            code=_error_code(str(members.get("__type") or answer.headers.get("x-amzn-errortype") or "")),
            status=answer.status,
            request_id=request_id,
            message=str(members.get("message") or members.get("Message") or ""),
        )
    try:
        decoded = {name: _decode(name, value) for name, value in values.items()}
    except (AttributeError, TypeError, Base64Error):
        raise from_cause(operation, causes.MALFORMED, request_id=request_id) from None
    return Answer(values=decoded, request_id=request_id)


def _not_connected(operation: str, error: OSError) -> SignerError:
    """Nothing was sent."""
    return from_cause(operation, causes.UNREACHABLE) if isinstance(error, TimeoutError) else _mapped(operation, error)


def _broken(operation: str, error: OSError | ProtocolError) -> SignerError:
    """It was sent, and the answer did not come, or is none."""
    if isinstance(error, ConnectionError):
        return from_cause(operation, causes.INTERRUPTED)
    if isinstance(error, ProtocolError):
        return from_cause(operation, causes.MALFORMED)
    return _mapped(operation, error)


def _mapped(operation: str, error: OSError) -> SignerError:
    mapped = from_exception(operation, error)
    assert isinstance(mapped, SignerError)
    return mapped


@lru_cache(maxsize=4)
def _provider(credentials: Credentials) -> AwsCredentialsProvider:
    return AwsCredentialsProvider.new_static(*credentials)


def _error_code(text: str) -> str:
    """`NotFoundException` of `com.amazonaws.kms#NotFoundException:http://…`."""
    return text.rsplit("#", 1)[-1].split(":", 1)[0]


def _encode_blob(value: Any) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError


def _decode(name: str, value: Any) -> Any:
    return b64decode(value, validate=True) if name in _BLOBS else value
