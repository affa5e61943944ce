"""What the service counts, for Prometheus. No label holds a stream, a caller or an id: their number has no bound.

Source: `docs/http.md`, "Metrics".
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from auditseal.errors import StoreError

if TYPE_CHECKING:
    from auditseal.core.receipt import Receipt
    from auditseal.core.report import Report
    from auditseal.service.log import Log

_SIGNING_BUCKETS: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_RECOUNT_S: Final = 5.0


class Metrics:
    """The counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._appended = Counter(
            "auditseal_appended", "Events answered with a receipt.", ["repeated"], registry=registry
        )
        self._refused = Counter(
            "auditseal_refused", "Requests and batch lines refused, by problem.", ["problem"], registry=registry
        )
        self._signed = Counter("auditseal_signed", "Entries and checkpoints signed by this process.", registry=registry)
        self._pending = Gauge("auditseal_pending", "Entries of the log without a signature.", registry=registry)
        self._signing = Histogram(
            "auditseal_signer_seconds", "Time a signature took.", buckets=_SIGNING_BUCKETS, registry=registry
        )
        self._signer_errors = Counter(
            "auditseal_signer_errors", "Signatures that failed, by reason.", ["reason"], registry=registry
        )
        self.in_flight = Gauge("auditseal_requests_in_flight", "Requests being worked on.", registry=registry)
        self.queue = Gauge("auditseal_queue", "Single events that no transaction has taken yet.", registry=registry)
        self.tails = Gauge("auditseal_tails", "Open live tails.", registry=registry)
        self._requests = Histogram(
            "auditseal_request_seconds",
            "Time a request took, to the end of its answer.",
            ["route", "method", "status"],
            registry=registry,
        )
        self._verifications = Counter(
            "auditseal_verifications", "Verifications on demand, by verdict.", ["verdict"], registry=registry
        )
        self._findings = Counter(
            "auditseal_verify_findings", "Entries that verifications named, by code.", ["code"], registry=registry
        )
        self._lock = threading.Lock()
        self._counted_at: float | None = None

    def observe_signing(self, seconds: float, reason: str | None) -> None:
        """One call of the signer; see `metered`."""
        self._signing.observe(seconds)
        if reason is None:
            self._signed.inc()
        else:
            self._signer_errors.labels(reason).inc()

    def count_receipt(self, receipt: Receipt) -> None:
        """One event that is in the log."""
        self._appended.labels("true" if receipt.repeated else "false").inc()

    def count_appended(self, new: int, repeated: int) -> None:
        """Events of a batch that are in the log."""
        self._appended.labels("false").inc(new)
        self._appended.labels("true").inc(repeated)

    def count_refused(self, problem: str) -> None:
        """One request or line that was refused."""
        self._refused.labels(problem).inc()

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request, answered to its end."""
        self._requests.labels(route, method, str(status)).observe(seconds)

    def count_report(self, report: Report) -> None:
        """One finished verification."""
        self._verifications.labels(str(report.verdict)).inc()
        for finding in report.findings:
            self._findings.labels(str(finding.code)).inc(finding.count)

    def text(self, log: Log) -> bytes:
        """All of it in Prometheus's text format; pending entries are counted at most every few seconds."""
        with self._lock:
            if self._counted_at is None or time.monotonic() - self._counted_at > _RECOUNT_S:
                try:
                    self._pending.set(log.store.count_pending())
                except StoreError:
                    self._pending.set(float("nan"))
                self._counted_at = time.monotonic()
        return generate_latest(self._registry)
