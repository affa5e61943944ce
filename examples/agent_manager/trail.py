"""The audit log, as the manager sees it: an event is in it, or the manager goes no further."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from agent_manager.errors import NotRecordedError
from auditseal.core.event import Event
from auditseal.errors import (
    AccessError,
    AuditSealError,
    ConfigError,
    ConflictError,
    InputError,
    NotFoundError,
    SignaturePendingError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.receipt import Receipt

_log: Final = logging.getLogger("agent_manager")
_CERTAIN: Final = (InputError, AccessError, ConflictError, NotFoundError, ConfigError)
"""After these the event is surely not in the log; after others, such as a lost answer, nobody knows."""


class Appends(Protocol):
    """A client of the service, or an open log: `auditseal.open_log` gives either."""

    def append_event(self, event: Event) -> Receipt:
        """Records an event."""


class Trail:
    """Records events in one stream."""

    def __init__(self, log: Appends, *, stream: str) -> None:
        self._log = log
        self._stream = stream

    def record(self, id_: str, type_: str, *, actor: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Records an event; the same id with the same content any number of times is one event.

        An event that is in the log and waits for its signature is recorded: the log signs it, and nobody else need act.

        Returns:
            Where it stands: type, stream, seq and hash.

        Raises:
            NotRecordedError: it is not in the log, or may not be.
        """
        event = Event(id=id_, type=type_, actor=actor, payload=payload, stream=self._stream)
        try:
            receipt = self._log.append_event(event)
        except SignaturePendingError as error:
            receipt = error.receipts[0]
        except AuditSealError as error:
            _log.warning("%s was not recorded: %s", type_, type(error).__name__)
            raise NotRecordedError(
                f"the audit log did not take {type_} ({type(error).__name__})", is_certain=isinstance(error, _CERTAIN)
            ) from error
        return {"type": type_, "stream": receipt.stream, "seq": receipt.seq, "hash": receipt.hash.hex()}
