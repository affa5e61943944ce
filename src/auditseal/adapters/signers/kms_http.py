"""One kept HTTP/1.1 connection: httptools (llhttp, the parser of Node.js) reads the answer, under one deadline.

Between a call and its answer stand one write, usually one read, and no other thread. Nothing is redirected, decoded or
retried here.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from httptools import HttpParserError, HttpResponseParser

MAX_ANSWER_BYTES: Final = 64 * 1024
_READ_BYTES: Final = 32 * 1024


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
        self._limit(deadline)
        self._socket.sendall(request)
        coming = _Coming()
        coming.parser = parser = HttpResponseParser(coming)
        while not coming.complete:
            self._limit(deadline)
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError
            self.answered = True
            try:
                parser.feed_data(data)
            except HttpParserError as error:
                raise ProtocolError("no HTTP/1.1") from error
            if coming.size > MAX_ANSWER_BYTES:
                raise ProtocolError("too long")
        status = parser.get_status_code()
        if status < HTTPStatus.OK or coming.answers > 1:
            raise ProtocolError("more or less than one answer")
        self.keep = coming.keep
        self.reused, self.idle_since = True, self._clock()
        return HttpAnswer(status=status, headers=coming.headers, body=b"".join(coming.body))

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

    def _limit(self, deadline: float) -> None:
        left_s = deadline - self._clock()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)


class _Coming:
    """An answer as the parser gives it, piece by piece; the names of its methods are the parser's."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.size = 0
        self.answers = 0
        self.complete = False
        self.keep = False
        self.parser: HttpResponseParser | None = None

    def on_message_begin(self) -> None:
        """An answer begins."""
        self.answers += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header."""
        self.size += len(name) + len(value)
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, chunk: bytes) -> None:
        """Takes a piece of the body."""
        self.size += len(chunk)
        self.body.append(chunk)

    def on_message_complete(self) -> None:
        """The answer is complete; only now the parser knows whether another may follow."""
        assert self.parser is not None
        self.keep = self.parser.should_keep_alive()
        self.complete = True
