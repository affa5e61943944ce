"""A TCP proxy before PostgreSQL that cuts a connection at a chosen moment: after a commit, before its answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class CuttingProxy:
    """Forwards to a port of loopback; once armed, the next client that sends `when` never learns what became of it."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._armed: bytes | None = None
        self.cuts = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, when: bytes = b"COMMIT") -> None:
        with self._lock:
            self._armed = when

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for item in (self._listener, *self._sockets):
            item.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to_port))
                self._sockets += [client, server]
                deaf = threading.Event()
                threading.Thread(target=self._forward, args=(client, server, deaf), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client, deaf), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                with self._lock:
                    if self._armed is not None and self._armed in data:
                        self._armed = None
                        self.cuts += 1
                        deaf.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if deaf.is_set():  # the server has done it, and its answer ends here
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cutting_proxy(to_port: int) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(to_port)
    try:
        yield proxy
    finally:
        proxy.close()
