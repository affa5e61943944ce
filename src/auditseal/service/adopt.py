"""Adopting the existing deployment's history: a new stream starts with a signed statement of what was found there.

The old rows stay where they are, under their own rule. What the statement fixes is their number, their head and what a
verification said of them on that day: nobody can later add, remove or mend rows and say that they were always so.

Source: `docs/spec/agent-manager.md` §5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from auditseal.core.event import OWN_PREFIX, Event
from auditseal.errors import ConflictError, NotCheckedError, SignerError

if TYPE_CHECKING:
    from auditseal.core.receipt import Receipt
    from auditseal.core.report import Report
    from auditseal.service.log import Log

ADOPTED: Final = f"{OWN_PREFIX}adopted"
"""The type of the statement."""


def adopt(log: Log, report: Report, *, stream: str, actor: str | None = None) -> Receipt:
    """Starts a stream with what a verification found of the old table.

    Args:
        log: where the stream is started.
        report: on all rows of the old table.
        stream: a new one.
        actor: who adopts.

    Raises:
        NotCheckedError: there was no row to adopt, or a remote key was not to be asked.
        ConflictError: the stream has entries already; nothing was appended. Or another writer was first, and the
            statement stands behind its entry.
        AuditSealError: as `Log.append`.
    """
    if not report.streams:
        raise NotCheckedError(f"{report.source} has no rows: there is no history to adopt")
    if report.unreachable is not None:
        raise NotCheckedError(f"not every row could be checked, so nothing was adopted: {report.unreachable}")
    head = log.store.head(stream)
    if head.seq >= 0:
        raise ConflictError(
            f"the stream {stream} has {head.seq + 1} entries already: adopt into a new one, --stream NAME"
        )
    receipt = log.append_own(Event(type=ADOPTED, payload=statement(report), actor=actor, stream=stream))
    if receipt.seq != 0:
        raise ConflictError(
            f"another writer started the stream {stream} in this moment, and the statement stands at #{receipt.seq}: "
            "adopt once more into a new stream"
        )
    if receipt.status != "signed":
        cause = log.outage or SignerError("the signer did not answer", reason="unknown", retryable=True)
        raise SignerError(
            f"the statement is in the log as {stream} #0, and its signature is due: {cause}. It is signed when the "
            "signer answers, at the latest by auditseal sign-pending",
            reason=cause.reason,
            retryable=cause.retryable,
        )
    return receipt


def statement(report: Report) -> dict[str, Any]:
    """The payload: where the rows are, how many, their head, and the verdict with its findings by code."""
    [table] = report.streams
    counts: dict[str, int] = {}
    for finding in report.findings:
        counts[str(finding.code)] = counts.get(str(finding.code), 0) + finding.count
    return {
        "format": "agent-manager",
        "source": report.source,
        "rows": table.entries,
        "head": table.head.hex(),
        "first_time": table.first_time,
        "last_time": table.last_time,
        "signed_rows": table.signed,
        "signers": sorted({part.signer for part in table.signed_by}),
        "verdict": str(report.verdict),
        "findings": counts,
        "checked": dict(report.checked),
    }
