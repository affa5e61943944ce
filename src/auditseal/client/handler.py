"""A `logging.Handler` that records log records as events.

For the few records that are audit events, not for all of a program's log. It waits for the recorder: put it behind a
`logging.handlers.QueueHandler` where the program must not.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.canonical import canonicalize
from auditseal.core.event import Event, check_stream
from auditseal.errors import CanonicalError

if TYPE_CHECKING:
    from auditseal.client.interface import Recorder

_OWN: Final = ("auditseal", "httpx2", "httpcore2", "httpx", "httpcore")
"""Loggers of what recording itself uses: their records would never end."""


class AuditHandler(logging.Handler):
    """Records each log record as an event `log.LEVEL`.

    The payload has `logger`, `level`, `message`, `exception` (its type alone) and, under `extra`, what the call gave as
    `extra={"audit": {...}}`. An `actor` in there becomes the event's.
    """

    def __init__(self, recorder: Recorder, *, stream: str = "default", level: int = logging.NOTSET) -> None:
        """Sets up.

        Args:
            recorder: a client, or a local one.
            stream: where the events go.
            level: records below it are passed over.

        Raises:
            InputError: it is no stream's name.
        """
        super().__init__(level)
        self._recorder = recorder
        self._stream = check_stream(stream)

    def emit(self, record: logging.LogRecord) -> None:
        """Records it; what fails goes to `handleError`, as of every handler."""
        if record.name.partition(".")[0] in _OWN:
            return
        try:
            self._recorder.submit(self._event(record))
        except Exception:  # noqa: BLE001 - logging's contract: a handler never raises into the program
            self.handleError(record)

    def _event(self, record: logging.LogRecord) -> Event:
        payload: dict[str, Any] = {
            "logger": record.name,
            "level": record.levelname,
            "message": _plain(record.getMessage()),
        }
        if record.exc_info and record.exc_info[0] is not None:
            payload["exception"] = record.exc_info[0].__name__
        extra = getattr(record, "audit", None)
        actor = None
        if type(extra) is dict:
            extra = dict(extra)
            actor = extra.pop("actor", None)
            if extra:
                payload["extra"] = extra
        return Event(type=f"log.{record.levelname.lower()}", payload=payload, actor=actor, stream=self._stream)


def _plain(text: str) -> str:
    """The text, without what JSON cannot carry to every reader."""
    try:
        canonicalize(text)
    except CanonicalError:
        return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    return text
