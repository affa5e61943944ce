"""The fake KMS as a server on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import selectors
import ssl
import threading
from collections.abc import Coroutine
from typing import Any, Self

from fakes.kms.connection import Connection
from fakes.kms.control import Control
from fakes.kms.keystore import Key
from fakes.kms.service import Service

REGION = "eu-central-1"
_ACCEPT_S = 0.1
_CLOSING_ROUNDS = 10
"""How often the loop is run to let aborted transports close their sockets."""


class FakeKms:
    """A running fake. Use it as a context manager.

    Attributes:
        service: the account behind it: `store`, `faults`, `principals`, `records()`.
        url: where it listens.
    """

    def __init__(
        self,
        *,
        region: str = REGION,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        strict_credentials: bool = False,
    ) -> None:
        self.service = Service(region=region, strict_credentials=strict_credentials)
        self.faults = self.service.faults
        self.region = region
        self.connections: set[Connection] = set()
        self.accepted = 0
        self._tls = tls
        # Unlike epoll, select waits by the microsecond: latencies are what they are set to.
        self._loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-kms", daemon=True)
        self._thread.start()
        self._server = self._run(self._listen(port))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def create(self, spec_name: str, *, alias: str | None = None) -> Key:
        """A new key, without a record."""
        mac = spec_name.startswith("HMAC")
        usage = "GENERATE_VERIFY_MAC" if mac else "SIGN_VERIFY"
        answer = self.service.call("CreateKey", KeySpec=spec_name, KeyUsage=usage)
        key = self.service.store.keys[answer["KeyMetadata"]["KeyId"]]
        if alias:
            self.service.call("CreateAlias", AliasName=alias, TargetKeyId=key.id)
        return key

    def records(self, *names: str) -> list[dict[str, Any]]:
        return self.service.records(*names)

    def close_idle(self) -> int:
        """Closes every connection on which nothing is under way, as servers do after a while; says how many."""

        async def close() -> int:
            idle = [connection for connection in self.connections if connection.is_idle]
            for connection in idle:
                connection.close()
            return len(idle)

        return self._run(close())

    def stop(self) -> None:
        async def close() -> None:
            # A server that is closed between the acceptance of a connection and its set-up leaves the socket open
            # (CPython's asyncio, gh-109564), so nothing is accepted from a moment before.
            for listener in self._server.sockets:
                self._loop.remove_reader(listener.fileno())
            await asyncio.sleep(0)
            self._server.close()
            for _ in range(_CLOSING_ROUNDS):  # what was being accepted comes to light in a later round
                handshakes = asyncio.all_tasks() - {asyncio.current_task()}
                if handshakes:  # a connection that is just being accepted has nobody yet who could close it
                    await asyncio.wait(handshakes, timeout=_ACCEPT_S)
                for connection in list(self.connections):
                    connection.abort()
                await asyncio.sleep(0)
            handshakes = asyncio.all_tasks() - {asyncio.current_task()}
            for handshake in handshakes:
                handshake.cancel()
            await asyncio.gather(*handshakes, return_exceptions=True)
            await asyncio.gather(*(connection.lost.wait() for connection in list(self.connections)))
            for _ in range(_CLOSING_ROUNDS):
                await asyncio.sleep(0)

        if self._thread.is_alive():
            self._run(close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _listen(self, port: int) -> asyncio.Server:
        control = Control(self.service)

        def accept() -> Connection:
            self.accepted += 1
            return Connection(self.service, control, self.connections)

        return await self._loop.create_server(accept, "127.0.0.1", port, ssl=self._tls, backlog=1024)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
