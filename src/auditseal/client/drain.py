"""Empties a spool into the service, in order, in a thread of its own, for as long as it takes."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from auditseal.errors import AccessError, AuditSealError, ConflictError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auditseal.client.spool import Spool
    from auditseal.core.event import Event
    from auditseal.core.receipt import Receipt

_log: Final = logging.getLogger("auditseal.client")
_PART: Final = 500
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


class Drain:
    """The thread that empties one spool."""

    def __init__(
        self,
        spool: Spool,
        send: Callable[[Sequence[Event]], list[Receipt | AuditSealError]],
        *,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        """Sets up, and starts if there is something in the spool.

        Args:
            spool: what to empty.
            send: appends events of one stream, without patience of its own: an outcome for each of the first, and the
                last says why there are no more.
            first_pause_s: before the second attempt; doubles up to half a minute.
        """
        self._spool = spool
        self._send = send
        self._first_pause_s = first_pause_s
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="auditseal-spool", daemon=True)
        if len(spool):
            self._wake.set()
        self._thread.start()

    def wake(self) -> None:
        """There is something in the spool."""
        self._wake.set()

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Waits; whether the spool is empty."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while len(self._spool):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.2))
        return True

    def close(self) -> None:
        """Ends after the part that is being sent; the rest stays in the spool. Idempotent."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = self._first_pause_s
        while not self._stop.is_set():
            if not len(self._spool):
                self._wake.wait()
                self._wake.clear()
                continue
            try:
                self._send_first()
            except AuditSealError as error:
                _log.warning("the spool waits: %s", type(error).__name__)
                self._stop.wait(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                pause_s = self._first_pause_s

    def _send_first(self) -> None:
        part = self._spool.first(_PART)
        outcomes = self._send([spooled.event for spooled in part])
        done: list[int] = []
        refused: list[tuple[int, str]] = []
        stopped: AuditSealError | None = None
        for spooled, outcome in zip(part, outcomes, strict=False):
            if not isinstance(outcome, AuditSealError):
                done.append(spooled.n)
            elif isinstance(outcome, InputError | ConflictError) and not isinstance(outcome, AccessError):
                refused.append((spooled.n, f"{type(outcome).__name__}: {outcome}"))
                _log.error("event %s was refused for good, and set aside in the spool", spooled.event.id)
            else:
                stopped = outcome
                break
        self._spool.remove(done, refused)
        with self._changed:
            self._changed.notify_all()
        if stopped is not None:
            raise stopped
