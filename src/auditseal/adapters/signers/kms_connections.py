"""Kept connections to one endpoint.

A connection is lent to one call at a time. How many there are is bounded by how many calls are in flight. One that
the server closed while it was idle is noticed and not lent again.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from auditseal.adapters.signers.kms_deadline import within
from auditseal.adapters.signers.kms_http import HttpConnection

MAX_IDLE_S: Final = 15.0
_PORTS: Final = {"http": 80, "https": 443}


class Connections:
    """All connections to one endpoint. Safe to use from many threads."""

    def __init__(self, endpoint: str, *, ca_path: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepares; nothing is connected yet.

        Args:
            endpoint: its URL, `http` or `https`.
            ca_path: a PEM file, or a folder, of the authorities to trust; None takes the system's.
            clock: seconds that only go forward.

        Raises:
            OSError: the authorities cannot be read.
        """
        parts = urlsplit(endpoint)
        self.host = parts.netloc
        self._address = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._tls = _tls_context(ca_path) if parts.scheme == "https" else None
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[HttpConnection] = []
        self._closed = False

    def take(self, deadline: float) -> HttpConnection:
        """A connection: the one used last if there is a good idle one, else a new one.

        Args:
            deadline: of the clock.

        Raises:
            TimeoutError: none came about by then.
            OSError: it could not be made; an ssl.SSLError among them.
        """
        oldest = self._clock() - MAX_IDLE_S
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            if idle is None:
                return self.make(deadline)
            if idle.idle_since >= oldest and idle.is_alive():
                return idle
            idle.close()

    def make(self, deadline: float) -> HttpConnection:
        """A new connection; see `take`."""
        left_s = deadline - self._clock()
        if left_s <= 0:
            raise TimeoutError
        # Looking up a name has no timeout, and those of connecting and of TLS are for each step.
        return within(left_s, lambda: self._connect(left_s), discard=HttpConnection.close)

    def give_back(self, connection: HttpConnection) -> None:
        """Takes back a connection whose answer was read to its end."""
        with self._lock:
            if connection.keep and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def drop_idle(self) -> None:
        """Closes the idle ones: one of them has just turned out to be dead."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Closes all that is idle, and what comes back later. Idempotent."""
        with self._lock:
            self._closed = True
        self.drop_idle()

    def _connect(self, timeout_s: float) -> HttpConnection:
        plain = socket.create_connection(self._address, timeout_s)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secured = self._tls.wrap_socket(plain, server_hostname=self._address[0]) if self._tls else plain
        except BaseException:
            plain.close()
            raise
        return HttpConnection(secured, clock=self._clock)


def _tls_context(ca_path: str | None) -> ssl.SSLContext:
    if ca_path is None:
        return ssl.create_default_context()
    if Path(ca_path).is_dir():
        return ssl.create_default_context(capath=ca_path)
    return ssl.create_default_context(cafile=ca_path)
