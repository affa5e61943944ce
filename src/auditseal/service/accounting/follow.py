"""Reconciling again and again: what is new goes to those who asked to hear of it.

A finding is told once by one process. Those who could not be told are told the next time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from auditseal.errors import AuditSealError, StoreError

if TYPE_CHECKING:
    from auditseal.core.account import AccountFinding, AccountReport

Listener = Callable[["AccountReport", Sequence["AccountFinding"]], None]
"""Told of each report and what is new in it; raises AuditSealError where it could not take it."""


def follow(
    run_once: Callable[[], AccountReport],
    listeners: Sequence[Listener],
    *,
    interval_s: float,
    stop: threading.Event,
    on_error: Callable[[AuditSealError], None],
) -> AccountReport | None:
    """Reconciles until it is told to stop.

    Args:
        run_once: one reconciliation.
        listeners: who is told; each has its own memory of what it was told.
        interval_s: the pause between two.
        stop: ends it.
        on_error: told why a reconciliation or a listener failed; the next one is tried all the same.

    Returns:
        The last report; None if there was none.

    Raises:
        AuditSealError: the first reconciliation failed, and not because of a disk or a service that may come back.
    """
    told: list[set[object]] = [set() for _ in listeners]
    report: AccountReport | None = None
    while not stop.is_set():
        try:
            report = run_once()
        except AuditSealError as error:
            if report is None and not isinstance(error, StoreError):
                raise
            on_error(error)
        else:
            for listener, known in zip(listeners, told, strict=True):
                new = [finding for finding in report.findings if identity_of(finding) not in known]
                try:
                    listener(report, new)
                except AuditSealError as error:
                    on_error(error)
                else:
                    known.clear()
                    known.update(map(identity_of, report.findings))
        stop.wait(interval_s)
    return report


def identity_of(finding: AccountFinding) -> tuple[object, ...]:
    """What stays the same of a finding from one reconciliation to the next; counts and times may grow."""
    place = (finding.request_id, finding.event_id, finding.stream, finding.seq)
    kind = (str(finding.code), None if finding.kind is None else str(finding.kind), str(finding.severity))
    if finding.count > 1:  # one for many: the first of them may become another
        return (*kind, finding.signer, finding.key_arn, finding.actual)
    if any(part is not None for part in place):
        return (*kind, *place, finding.signer, finding.key_arn, finding.actual)
    return (*kind, finding.message)
