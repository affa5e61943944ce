"""What a handler, a middleware or a decorator needs of a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from auditseal.core.event import Event
    from auditseal.core.receipt import Receipt


class Recorder(Protocol):
    """Records events. Safe to call from many threads."""

    def submit(self, event: Event) -> Receipt | None:
        """Records an event, now or, with a spool, as soon as the service answers.

        Returns:
            The receipt; None where the event is on this machine's disk and will be sent in its turn.

        Raises:
            AuditSealError: it is recorded nowhere, or is not acceptable.
        """


class AsyncRecorder(Protocol):
    """Records events from a coroutine."""

    async def submit(self, event: Event) -> Receipt | None:
        """As `Recorder.submit`."""
