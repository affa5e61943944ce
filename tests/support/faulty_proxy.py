"""An HTTP proxy before a KMS: what it does to the calls of Sign is changed while it runs; all else goes through."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_TYPE: Final = "application/x-amz-json-1.1"
_HANGS_S: Final = 3.0
"""Longer than the tests' clients wait."""


class FaultyProxy:
    """Forwards to a KMS over HTTP.

    Attributes:
        fault: None, or what happens to Sign: `throttle` and `deny` (answered here), `delay` (answered late),
            `time-out-after-signing` (forwarded, and never answered), `wrong-bytes` (another signature's last bit).
        struck: how many calls it struck.
    """

    def __init__(self, upstream: str) -> None:
        self.fault: str | None = None
        self.struck = 0
        self.stopped = threading.Event()
        self._upstream = upstream
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                proxy.handle(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        fault = self.fault if request.headers["X-Amz-Target"] == "TrentService.Sign" else None
        self.struck += fault is not None
        if fault == "throttle":
            answer = _refusal("ThrottlingException", "You have exceeded the rate at which you may call KMS.")
        elif fault == "deny":
            answer = _refusal("AccessDeniedException", "User is not authorized to perform: kms:Sign")
        else:
            answer = self._forward(request, body)
        if fault == "time-out-after-signing":
            self.stopped.wait(_HANGS_S)
            request.close_connection = True
            return
        if fault == "delay":
            self.stopped.wait(0.4)
        if fault == "wrong-bytes":
            answer = (answer[0], _with_another_signature(answer[1]), answer[2])
        _send(request, *answer)

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        call = urllib.request.Request(self._upstream, data=body, headers=headers)
        try:
            with urllib.request.urlopen(call, timeout=30) as answered:
                return answered.status, answered.read(), dict(answered.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers)


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    with contextlib.suppress(ConnectionError):
        request.send_response(status)
        for name, value in headers.items():
            if name.lower() in {"content-type", "x-amzn-requestid"}:
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def _refusal(kind: str, message: str) -> tuple[int, bytes, dict[str, str]]:
    return 400, json.dumps({"__type": kind, "message": message}).encode(), {"Content-Type": _TYPE}


def _with_another_signature(body: bytes) -> bytes:
    members = json.loads(body)
    signature = base64.b64decode(members["Signature"])
    members["Signature"] = base64.b64encode(signature[:-1] + bytes([signature[-1] ^ 1])).decode()
    return json.dumps(members).encode()


@contextlib.contextmanager
def faulty_proxy(upstream: str) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
