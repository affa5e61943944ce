"""Keep-alive HTTP/1.1 connections of awscrt to one endpoint.

A connection is lent to one call at a time. How many there are is bounded by how many calls are in flight. One that
the server closed while it was idle is noticed and not lent again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from awscrt.http import HttpClientConnection
from awscrt.io import (
    ClientBootstrap,
    ClientTlsContext,
    DefaultHostResolver,
    EventLoopGroup,
    SocketOptions,
    TlsContextOptions,
)

MAX_IDLE_S: Final = 15.0
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(slots=True, kw_only=True)
class Lent:
    """A connection in use.

    Attributes:
        http: awscrt's connection.
        reused: whether it carried a call before.
        idle_since: when it was last given back.
    """

    http: Any
    reused: bool = False
    idle_since: float = 0.0


class Connections:
    """All connections to one endpoint. Safe to use from many threads; not across a fork."""

    def __init__(self, endpoint: str, *, ca_path: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepares; nothing is connected yet.

        Args:
            endpoint: its URL, `http` or `https`.
            ca_path: a PEM file of the authorities to trust; None takes the system's.
            clock: seconds that only go forward.
        """
        parts = urlsplit(endpoint)
        self.host = parts.netloc
        self._host_name = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._tls = _tls_context(ca_path) if parts.scheme == "https" else None
        loop = EventLoopGroup(1)
        self._bootstrap = ClientBootstrap(loop, DefaultHostResolver(loop))
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[Lent] = []
        self._closed = False

    def take(self, timeout_s: float) -> Lent:
        """A connection: the one used last if there is an idle one, else a new one.

        Raises:
            TimeoutError: none came about in time.
            AwsCrtError: it could not be made.
        """
        oldest = self._clock() - MAX_IDLE_S
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            if idle is None:
                return self.make(timeout_s)
            if idle.http.is_open() and idle.idle_since >= oldest:
                return idle
            idle.http.close()

    def make(self, timeout_s: float) -> Lent:
        """A new connection; see `take`."""
        options = SocketOptions()
        options.connect_timeout_ms = max(1, int(timeout_s * 1000))
        made = HttpClientConnection.new(self._host_name, self._port, self._bootstrap, options, self._tls_options())
        try:
            return Lent(http=made.result(timeout_s))
        except TimeoutError:
            made.add_done_callback(_close_late)
            raise

    def give_back(self, lent: Lent) -> None:
        """Takes back a connection whose answer was read to its end."""
        lent.reused, lent.idle_since = True, self._clock()
        with self._lock:
            if not self._closed:
                self._idle.append(lent)
                return
        lent.http.close()

    def drop_idle(self) -> None:
        """Closes the idle ones: one of them has just turned out to be dead."""
        with self._lock:
            idle, self._idle = self._idle, []
        for lent in idle:
            lent.http.close()

    def close(self) -> None:
        """Closes all that is idle, and what comes back later. Idempotent."""
        self._closed = True
        self.drop_idle()

    def _tls_options(self) -> Any:
        if self._tls is None:
            return None
        options = self._tls.new_connection_options()
        options.set_server_name(self._host_name)
        return options


def _tls_context(ca_path: str | None) -> ClientTlsContext:
    options = TlsContextOptions()
    if ca_path is not None:
        options.override_default_trust_store_from_path(None, ca_path)
    return ClientTlsContext(options)


def _close_late(made: Future[Any]) -> None:
    if made.exception() is None:
        made.result().close()
