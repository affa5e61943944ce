"""Ways from a client to an application in process that fail as a test asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2

Fault = Callable[[httpx2.Request, Callable[[], httpx2.Response]], httpx2.Response]


def unreachable(request: httpx2.Request, _go_on: Any) -> httpx2.Response:
    raise httpx2.ConnectError("refused", request=request)


def answer_lost(request: httpx2.Request, go_on: Callable[[], httpx2.Response]) -> httpx2.Response:
    """The request is carried out, and the answer never comes."""
    go_on()
    raise httpx2.ReadTimeout("timed out", request=request)


def broken_off(at: int) -> Fault:
    """The answer ends after so many lines."""

    def fault(request: httpx2.Request, go_on: Callable[[], httpx2.Response]) -> httpx2.Response:
        answer = go_on()
        lines = answer.read().splitlines(keepends=True)[:at]
        headers = {"content-type": answer.headers["content-type"]}
        return httpx2.Response(answer.status_code, headers=headers, content=b"".join(lines), request=request)

    return fault


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    def fault(request: httpx2.Request, _go_on: Any) -> httpx2.Response:
        return httpx2.Response(code, headers=headers, content=body, request=request)

    return fault


class Faulty(httpx2.BaseTransport):
    """Another transport, with faults for the next requests; None lets one pass.

    Attributes:
        faults: of the next requests, in order; what comes after passes.
        always: strikes every request while it is set.
        requests: those that came.
    """

    def __init__(self, inner: httpx2.BaseTransport, *faults: Fault | None) -> None:
        self._inner = inner
        self.faults = list(faults)
        self.always: Fault | None = None
        self.requests: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        fault = self.always or (self.faults.pop(0) if self.faults else None)
        if fault is None:
            return self._inner.handle_request(request)
        return fault(request, lambda: self._inner.handle_request(request))
