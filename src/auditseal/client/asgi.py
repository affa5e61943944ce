"""ASGI middleware that records requests, each before it is answered.

The answer is held back until the event is recorded. Where that fails, and requests are required to be recorded, the
client gets a 503 in its place. The application has done its work then: what must not happen unrecorded is recorded in
the application itself, beforehand.

Source: the ASGI specification, HTTP connection scope.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from auditseal.client.interface import AsyncRecorder
from auditseal.core.event import Event, check_stream
from auditseal.errors import AuditSealError

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log: Final = logging.getLogger("auditseal.client")
_REFUSAL: Final = (
    b'{"type":"urn:auditseal:problem:not-recorded","title":"The request could not be recorded","status":503,'
    b'"detail":"the audit log did not take the event"}'
)


class AuditMiddleware:
    """Records each request as an event `http.request`: method, path without its query, status, client."""

    def __init__(
        self,
        app: App,
        *,
        recorder: AsyncRecorder,
        stream: str = "default",
        actor: Callable[[Scope], str | None] = lambda _: None,
        include: Callable[[Scope], bool] = lambda _: True,
        required: bool = True,
    ) -> None:
        """Sets up.

        Args:
            app: the application.
            recorder: an asynchronous client, or a local one.
            stream: where the events go.
            actor: who sent the request, by what the application knows of it.
            include: which requests to record.
            required: answer 503 in place of an answer that could not be recorded.

        Raises:
            InputError: it is no stream's name.
        """
        self._app = app
        self._recorder = recorder
        self._stream = check_stream(stream)
        self._actor = actor
        self._include = include
        self._required = required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection scope."""
        if scope["type"] != "http" or not self._include(scope):
            await self._app(scope, receive, send)
            return
        refused = False

        async def recording(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = not await self._record(scope, message["status"])
                if refused:
                    await _refuse(send)
            if not refused:
                await send(message)

        await self._app(scope, receive, recording)

    async def _record(self, scope: Scope, status: int) -> bool:
        """Records a request; whether its answer may go out."""
        client = scope.get("client")
        payload = {
            "method": str(scope["method"])[:20],
            "path": str(scope["path"])[:2000],
            "status": status,
            "client": client[0] if client else None,
        }
        try:
            await self._recorder.submit(
                Event(type="http.request", payload=payload, actor=self._actor(scope), stream=self._stream)
            )
        except AuditSealError as error:
            _log.error("a request could not be recorded: %s", type(error).__name__)
            return not self._required
        return True


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(_REFUSAL)).encode())]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _REFUSAL, "more_body": False})
