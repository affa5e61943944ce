"""What waits for a signature while the signer is down or behind: how much may, and what its callers are told."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from auditseal.errors import BacklogFullError, SignaturePendingError, SignerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.receipt import Receipt
    from auditseal.ports import Store
    from auditseal.service.seal import Sealer

_RECOUNT_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPolicy:
    """What happens while the signer is down.

    Attributes:
        on_failure: `refuse` answers an event whose signature is due with an error, and accepts nothing new once the
            backlog is full; `queue` answers with a receipt that says `pending`, and goes on.
        backlog_limit: how many entries may wait for a signature under `refuse`.
    """

    on_failure: Literal["refuse", "queue"] = "queue"
    backlog_limit: int = 1000


class BacklogGauge:
    """Knows roughly how many entries are pending without asking the store for every event."""

    def __init__(self, store: Store, sealer: Sealer | None) -> None:
        """Sets up; what `sealer` is just signing is no backlog."""
        self._store = store
        self._sealer = sealer
        self._lock = threading.Lock()
        self._known = 0
        self._counted_at: float | None = None

    def grew(self, by: int) -> None:
        """So many entries more are pending."""
        with self._lock:
            self._known += by

    def check(self, more: int, limit: int) -> None:
        """Refuses if `more` new entries would not fit.

        Raises:
            BacklogFullError: names both numbers.
        """
        with self._lock:
            stale = self._counted_at is None or (self._known and time.monotonic() - self._counted_at > _RECOUNT_S)
            if stale or self._known + more > limit:
                in_flight = self._sealer.in_flight if self._sealer is not None else 0
                self._known = max(0, self._store.count_pending() - in_flight)
                self._counted_at = time.monotonic()
            if self._known and self._known + more > limit:
                raise BacklogFullError(pending=self._known, limit=limit)


def refuse_pending(receipts: Sequence[Receipt], cause: SignerError | None) -> None:
    """Returns if all the receipts are of signed entries.

    Args:
        receipts: of what is in the log.
        cause: why some are not signed, if that is known.

    Raises:
        SignaturePendingError: names the first that is pending, and carries all.
    """
    pending = [receipt for receipt in receipts if receipt.status == "pending"]
    if not pending:
        return
    cause = cause or SignerError("the signer did not answer", reason="unknown", retryable=True)
    first = pending[0]
    what = f"{first.stream} #{first.seq}" + (f" and {len(pending) - 1} more" if len(pending) > 1 else "")
    raise SignaturePendingError(
        f"{what} is in the log, and its signature is due: {cause}. Do not send it again; it is signed when the "
        "signer answers, at the latest by auditseal sign-pending",
        receipts=receipts,
        cause=cause,
    )
