"""The lean transport for what is called for each entry: signing and HTTP by AWS's Common Runtime, in C.

It does for Sign, GenerateMac and VerifyMac what botocore does, at a quarter of the CPU time. Endpoint, Region,
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
from io import BytesIO
from typing import Any, Final

import orjson
from awscrt.auth import AwsCredentialsProvider, AwsSigningConfig, aws_sign_request
from awscrt.http import HttpHeaders, HttpRequest

from auditseal.adapters.signers import kms_causes as causes
from auditseal.adapters.signers.kms_calls import Answer
from auditseal.adapters.signers.kms_connections import Connections, Lent
from auditseal.adapters.signers.kms_errors import from_answer, from_cause, from_exception

Credentials = tuple[str, str, str | None]
"""Access key id, secret, session token."""

_BLOBS: Final = frozenset({"Signature", "Mac"})
_MAX_ANSWER_BYTES: Final = 64 * 1024


class AwscrtTransport:
    """Sends single attempts over kept connections. Safe to use from many threads; not across a fork."""

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
            clock: seconds that only go forward.
        """
        self._connections = connections
        self._region = region
        self._credentials = credentials
        self._clock = clock

    def send(self, operation: str, parameters: dict[str, Any], timeout_s: float) -> Answer:
        """One attempt; see `Transport.send`."""
        deadline = self._clock() + timeout_s
        try:
            return self._send(operation, parameters, deadline)
        except Exception as error:
            mapped = from_exception(operation, error)
            if mapped is error:
                raise
            raise mapped from error

    def close(self) -> None:
        """Closes the connections. Idempotent."""
        self._connections.close()

    def _send(self, operation: str, parameters: dict[str, Any], deadline: float) -> Answer:
        body = orjson.dumps(parameters, default=_encode_blob)
        request = self._signed(operation, body, deadline)
        lent = self._connected(operation, self._connections.take, deadline)
        exchange = self._exchange(lent, request, deadline)
        if exchange.is_stale:
            # The server closed this connection while it was idle, and the request crossed with that.
            self._connections.drop_idle()
            request = self._signed(operation, body, deadline)
            lent = self._connected(operation, self._connections.make, deadline)
            exchange = self._exchange(lent, request, deadline)
        if exchange.error is not None:
            lent.http.close()
            raise exchange.error
        self._connections.give_back(lent)
        return exchange.answer(operation)

    def _connected(self, operation: str, connect: Callable[[float], Lent], deadline: float) -> Lent:
        try:
            return connect(self._left_s(deadline))
        except TimeoutError:
            # Nothing was sent. With an untrusted certificate, too: awscrt holds such a failure back for 10 to 30 s.
            raise from_cause(operation, causes.UNREACHABLE) from None

    def _signed(self, operation: str, body: bytes, deadline: float) -> HttpRequest:
        request = HttpRequest("POST", "/", self._headers(operation, body), BytesIO(body))
        signing = AwsSigningConfig(
            credentials_provider=_provider(self._credentials(self._left_s(deadline))),
            region=self._region,
            service="kms",
            signed_body_value=hashlib.sha256(body).hexdigest(),
        )
        aws_sign_request(request, signing).result(self._left_s(deadline))
        return request

    def _exchange(self, lent: Lent, request: HttpRequest, deadline: float) -> _Exchange:
        exchange = _Exchange(reused=lent.reused)
        try:
            stream = lent.http.request(request, exchange.on_response, exchange.on_body)
            stream.activate()
            stream.completion_future.result(self._left_s(deadline))
        except Exception as error:  # noqa: BLE001 - judged by the caller, who owns the connection
            exchange.error = error
        return exchange

    def _headers(self, operation: str, body: bytes) -> HttpHeaders:
        return HttpHeaders(
            [
                ("Host", self._connections.host),
                ("Content-Type", "application/x-amz-json-1.1"),
                ("Content-Length", str(len(body))),
                ("X-Amz-Target", f"TrentService.{operation}"),
                ("User-Agent", "auditseal"),
            ]
        )

    def _left_s(self, deadline: float) -> float:
        left_s = deadline - self._clock()
        if left_s <= 0:
            raise TimeoutError
        return left_s


class _Exchange:
    """One request's answer as it comes in, on awscrt's own thread."""

    def __init__(self, *, reused: bool) -> None:
        self._reused = reused
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self.error: Exception | None = None

    def on_response(self, *, status_code: int, headers: list[tuple[str, str]], **_: Any) -> None:
        """Takes status and headers."""
        self._status, self._headers = status_code, headers

    def on_body(self, *, chunk: bytes, **_: Any) -> None:
        """Takes a piece of the body."""
        # An exception here would be printed by awscrt; an answer that was cut off does not parse.
        if len(self._body) <= _MAX_ANSWER_BYTES:
            self._body += chunk

    @property
    def is_stale(self) -> bool:
        """Whether a kept connection broke before anything was answered."""
        return self._reused and not self._status and self.error is not None and not isinstance(self.error, TimeoutError)

    def answer(self, operation: str) -> Answer:
        """What was answered.

        Raises:
            SignerError: KMS refused, or this is no answer of KMS.
        """
        headers = {name.lower(): value for name, value in self._headers}
        request_id = headers.get("x-amzn-requestid")
        try:
            values = orjson.loads(self._body)
        except orjson.JSONDecodeError:
            values = None
        if self._status != HTTPStatus.OK:
            members = values if isinstance(values, dict) else {}
            raise from_answer(
                operation,
                code=_error_code(str(members.get("__type") or headers.get("x-amzn-errortype") or "")),
                status=self._status,
                request_id=request_id,
                message=str(members.get("message") or members.get("Message") or ""),
            )
        try:
            decoded = {name: _decode(name, value) for name, value in values.items()}
        except (AttributeError, TypeError, Base64Error):
            raise from_cause(operation, causes.MALFORMED, request_id=request_id) from None
        return Answer(values=decoded, request_id=request_id)


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
