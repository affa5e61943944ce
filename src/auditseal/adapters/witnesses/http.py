"""A witness asked over HTTP (C2SP tlog-witness), with the standard library alone.

Source: c2sp.org/tlog-witness.
"""

from __future__ import annotations

import http.client
import ssl
from typing import Final
from urllib.parse import urlsplit

from auditseal.core.scalar import parse_decimal
from auditseal.core.witness_rules import SIZE_TYPE, StaleError
from auditseal.errors import InputError, RejectedError, SignerError

MAX_ANSWER_BYTES: Final = 256 * 1024

_REFUSALS: Final = {
    400: "it could not read the request",
    403: "it trusts no key that signed the checkpoint",
    404: "it does not know the log's origin",
    422: "the checkpoint does not extend what it saw before",
}


class HttpWitness:
    """One witness (`auditseal.ports.WitnessClient`). Safe to call from many threads; a connection for each call."""

    def __init__(self, *, name: str, url: str) -> None:
        """Takes its address.

        Args:
            name: in the policy.
            url: prefix; `/add-checkpoint` follows it. `https`, or `http` on a network that is trusted: what is sent is
                public, and what comes back is signed.

        Raises:
            InputError: not an http or https address.
        """
        self.name = name
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InputError(f"the witness {name[:60]!a} has no address such as https://witness.example")
        self._host, self._port, self._is_tls = parts.hostname, parts.port, parts.scheme == "https"
        self._path = f"{parts.path.rstrip('/')}/add-checkpoint"

    def add_checkpoint(self, body: bytes, *, timeout_s: float) -> bytes:
        """Asks for a cosignature; see `WitnessClient.add_checkpoint`."""
        connection = self._connect(timeout_s)
        try:
            connection.request("POST", self._path, body=body, headers={"Content-Type": "text/plain; charset=utf-8"})
            answer = connection.getresponse()
            content = answer.read(MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            text = f"the witness {self.name} does not answer ({type(error).__name__})"
            raise SignerError(text, reason="unreachable", retryable=True) from error
        finally:
            connection.close()
        if len(content) > MAX_ANSWER_BYTES:
            raise RejectedError("its answer is too long")
        if answer.status == http.HTTPStatus.OK:
            return content
        if answer.status == http.HTTPStatus.CONFLICT and answer.headers.get_content_type() == SIZE_TYPE:
            raise StaleError(_size(content))
        if answer.status in _REFUSALS:
            raise RejectedError(_REFUSALS[answer.status])
        raise SignerError(
            f"the witness {self.name} answered with status {answer.status}",
            reason="unreachable",
            retryable=answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR,
        )

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._is_tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)


def _size(content: bytes) -> int:
    try:
        return parse_decimal(content.decode("ascii").removesuffix("\n"), "the witness's size")
    except (InputError, UnicodeDecodeError):
        raise RejectedError("it answered with a size that is none") from None
