"""Reconciling again and again: what is new goes to those who asked to hear of it.

A finding is told once. Those who could not be told are told the next time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from auditseal.errors import AuditSealError

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
) -> None:
    """Reconciles until it is told to stop.

    Args:
        run_once: one reconciliation.
        listeners: who is told; each has its own memory of what it was told.
        interval_s: the pause between two.
        stop: ends it.
        on_error: told why a reconciliation or a listener failed; the next one is tried all the same.
    """
    told: list[set[object]] = [set() for _ in listeners]
    while not stop.is_set():
        try:
            report = run_once()
        except AuditSealError as error:
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


def identity_of(finding: AccountFinding) -> object:
    """What stays the same of a finding from one reconciliation to the next; counts and times may grow."""
    place = (finding.request_id, finding.event_id, finding.stream, finding.seq, finding.signer, finding.key_arn)
    if any(part is not None for part in place):
        return (finding.code, finding.kind, *place, finding.actual)
    return (finding.code, finding.kind, finding.message)
