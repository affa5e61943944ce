"""One kept HTTP/1.1 connection: http.client reads the answer, under a deadline for all of it.

Between a call and its answer stand one write, usually one read, and no other thread. Nothing is redirected, decoded or
retried here.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_ANSWER_BYTES: Final = 64 * 1024


class ProtocolError(Exception):
    """The other side does not speak HTTP/1.1, or answers too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A complete answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpConnection:
    """A connection in the hands of one thread at a time.

    Attributes:
        reused: whether it has carried an answer before.
        idle_since: when it last did, in seconds of the clock.
        answered: whether anything of the present answer has come.
        keep: whether it may carry another request.
    """

    def __init__(self, sock: socket.socket, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes a connected socket, with TLS if there is to be any."""
        self.reused = False
        self.idle_since = 0.0
        self.answered = False
        self.keep = True
        self._socket = sock
        self._clock = clock

    def exchange(self, request: bytes, deadline: float) -> HttpAnswer:
        """Sends a complete request and reads the answer to its end.

        Args:
            request: head and body.
            deadline: of the clock.

        Raises:
            TimeoutError: the answer was not complete by then.
            ConnectionError: the connection broke.
            ProtocolError: it is no answer that is taken here.
            OSError: the network failed otherwise.
        """
        self.answered = False
        self._socket.settimeout(self._left_s(deadline))
        self._socket.sendall(request)
        response = HTTPResponse(cast("socket.socket", _Reader(self, deadline)), method="POST")
        try:
            response.begin()
            body = response.read(MAX_ANSWER_BYTES + 1)
        except IncompleteRead:
            raise ConnectionResetError from None
        except (HTTPException, ValueError) as error:
            if isinstance(error, OSError):  # RemoteDisconnected is both
                raise
            raise ProtocolError("no HTTP/1.1") from error
        if len(body) > MAX_ANSWER_BYTES:
            raise ProtocolError("too long")
        self.keep = not response.will_close and response.isclosed()
        self.reused, self.idle_since = True, self._clock()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpAnswer(status=response.status, headers=headers, body=body)

    def is_alive(self) -> bool:
        """Whether an idle connection is still open and silent, without waiting."""
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Closes it. Idempotent."""
        self._socket.close()

    def receive(self, buffer: WriteableBuffer, deadline: float) -> int:
        """Reads what has come, or waits for it."""
        self._socket.settimeout(self._left_s(deadline))
        count = self._socket.recv_into(buffer)
        self.answered = self.answered or count > 0
        return count

    def _left_s(self, deadline: float) -> float:
        left_s = deadline - self._clock()
        if left_s <= 0:
            raise TimeoutError
        return left_s


class _Reader(io.RawIOBase):
    """What HTTPResponse reads one answer from: the socket, each time for no longer than is left."""

    def __init__(self, connection: HttpConnection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffered = io.BufferedReader(self)

    def makefile(self, _mode: str) -> Any:
        """The file that HTTPResponse asks a socket for."""
        return self._buffered

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """See `io.RawIOBase.readinto`."""
        return self._connection.receive(buffer, self._deadline)
