"""HTTP/1.1 as far as AWS clients use it: keep-alive, Content-Length, one request at a time.

Hand-written on asyncio, because a thread for each connection cannot serve 1,500 calls a second with 50 in flight.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from fakes.kms.service import Outcome, Service

_HEAD_END = b"\r\n\r\n"
_MAX_BYTES = 256 * 1024
_REASONS = {200: "OK", 400: "Bad Request", 500: "Internal Server Error", 503: "Service Unavailable"}
Control = Callable[[str, str, bytes], tuple[int, bytes]]


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, service: Service, control: Control, connections: set[Connection]) -> None:
        self._service = service
        self._control = control
        self._connections = connections
        self._received = bytearray()
        self._answering = False
        self.requests = 0
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.add(self)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._connections.discard(self)
        self.lost.set()

    @property
    def is_idle(self) -> bool:
        return not self._answering and not self._received

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._answering:
            self._take_request()

    def _take_request(self) -> None:
        end = self._received.find(_HEAD_END)
        if end < 0:
            if len(self._received) > _MAX_BYTES:
                self._transport.abort()
            return
        try:
            method, path, headers = _parse_head(bytes(self._received[:end]))
            length = int(headers.get("content-length", "0"))
        except ValueError:
            self._transport.abort()
            return
        start = end + len(_HEAD_END)
        if length > _MAX_BYTES or "transfer-encoding" in headers:
            self._transport.abort()
            return
        if len(self._received) < start + length:
            return
        body = bytes(self._received[start : start + length])
        del self._received[: start + length]
        self._answering = True
        self.requests += 1
        self._answer(method, path, headers, body)

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        if path.startswith("/_control"):
            status, answer = self._control(method, path, body)
            self._write(Outcome(request_id="-", status=status, body=answer))
            return
        outcome = self._service.handle(headers, body)
        latency_s = self._service.faults.latency_s
        if latency_s:
            asyncio.get_running_loop().call_later(latency_s, self._write, outcome)
        else:
            self._write(outcome)

    def _write(self, outcome: Outcome) -> None:
        if outcome.behaviour in {"hang", "hang-after"}:
            return
        if outcome.behaviour in {"reset", "reset-after"}:
            self._reset()
            return
        if self._transport.is_closing():
            return
        head = (
            f"HTTP/1.1 {outcome.status} {_REASONS.get(outcome.status, 'Other')}\r\n"
            f"x-amzn-RequestId: {outcome.request_id}\r\n"
            "Content-Type: application/x-amz-json-1.1\r\n"
            f"Content-Length: {len(outcome.body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + outcome.body)
        self._answering = False
        if outcome.behaviour == "close-after":
            self._transport.close()
        elif self._received:
            self._take_request()

    def _reset(self) -> None:
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, version = first.split(" ")
    if version != "HTTP/1.1":
        raise ValueError
    headers = {}
    for line in lines:
        name, separator, value = line.partition(":")
        if not separator:
            raise ValueError
        headers[name.lower()] = value.strip()
    return method, path, headers
