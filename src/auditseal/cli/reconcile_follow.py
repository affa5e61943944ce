"""reconcile --follow: again and again, with what is new told on stdout, to a webhook, in metrics and in the log."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from auditseal.cli.account_report import exit_of_account, finding_members, write_metrics
from auditseal.cli.exits import Exit
from auditseal.cli.options import remark
from auditseal.cli.show import json_line

if TYPE_CHECKING:
    from auditseal.config import Settings
    from auditseal.core.account import AccountFinding, AccountReport
    from auditseal.service.accounting.follow import Listener
    from auditseal.wiring.accounting import Reconciling


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Who is told, besides stdout: a webhook's address, a file of metrics, a stream of the log."""

    webhook: str | None = None
    metrics: Path | None = None
    record: str | None = None


def follow_account(
    settings: Settings,
    asked: Callable[[], Reconciling],
    interval_s: int,
    telling: Telling,
    *,
    stop: threading.Event | None = None,
) -> int:
    """Reconciles until SIGTERM; the exit code of the last report.

    Args:
        settings: of the log.
        asked: what to reconcile, each time anew, so that a window may move.
        interval_s: the pause between two.
        telling: who is told.
        stop: ends it too.

    Raises:
        AuditSealError: the first reconciliation failed for good.
    """
    from auditseal.service.accounting.follow import follow
    from auditseal.wiring import accounting

    stop = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="auditseal-follow-") as folder:

        def once() -> AccountReport:
            now = asked()
            return accounting.run(settings, now if now.ledger else replace(now, ledger=Path(folder) / "ledger.db"))

        report = follow(
            once,
            _listeners(settings, telling),
            interval_s=interval_s,
            stop=stop,
            on_error=lambda error: remark(f"auditseal: {error}"),
        )
    return Exit.INCONCLUSIVE if report is None else exit_of_account(report)


def _listeners(settings: Settings, telling: Telling) -> list[Listener]:
    listeners: list[Listener] = [_print_new]
    metrics = telling.metrics
    if metrics is not None:
        listeners.append(lambda report, _: write_metrics(metrics, report))
    if telling.webhook is not None:
        listeners.append(_webhook_listener(telling.webhook))
    if telling.record is not None:
        listeners.append(_recorder(settings, telling.record))
    return listeners


def _print_new(report: AccountReport, new: Sequence[AccountFinding]) -> None:
    for finding in new:
        sys.stdout.write(json_line({"schema_version": 1, "trail": report.trail, **finding_members(finding)}))
    sys.stdout.flush()


def _webhook_listener(url: str) -> Listener:
    from auditseal.adapters.webhook import Webhook

    endpoint = Webhook(url)

    def post(report: AccountReport, new: Sequence[AccountFinding]) -> None:
        if new:
            document = {"source": report.source, "trail": report.trail, "verdict": str(report.verdict)}
            endpoint.post({"schema_version": 1, **document, "findings": [finding_members(item) for item in new]})

    return post


def _recorder(settings: Settings, stream: str) -> Listener:
    from auditseal.core.event import check_stream
    from auditseal.service.accounting.recording import record_finding
    from auditseal.wiring.logs import open_configured

    check_stream(stream)

    def append(_: AccountReport, new: Sequence[AccountFinding]) -> None:
        if not new:
            return
        with open_configured(settings, background=False) as log:
            for finding in new:
                record_finding(log, stream, finding, finding_members(finding))

    return append
