"""Proving a log that is being written to: all of it up to where it stood when the proof began.

What writers append meanwhile is left out, and what they were just signing is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from auditseal.core.report import Verdict
from auditseal.errors import NotCheckedError, RejectedError
from auditseal.service.audit import audit

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.registry import Registry
    from auditseal.core.report import Report
    from auditseal.ports import MacVerifier, Store
    from auditseal.service.rotate.desk import Desk


class UpTo:
    """The entries of a log up to a seq of each stream (`auditseal.ports.Source`)."""

    def __init__(self, store: Store, ends: Mapping[str, int]) -> None:
        self._store = store
        self._ends = ends
        self.address = store.address

    def walk(self, streams: Sequence[str] | None = None) -> Iterator[StoredEntry]:
        """All entries up to the ends (`Source.walk`)."""
        for entry in self._store.walk(streams):
            if entry.seq <= self._ends.get(entry.stream, -1):
                yield entry

    def count(self, streams: Sequence[str] | None = None) -> int | None:
        """About how many there are (`Source.count`)."""
        return self._store.count(streams)

    def close(self) -> None:
        """The log stays open: it is its opener's."""


def require_valid(desk: Desk, registry: Registry, what: str, mac_verifier: MacVerifier | None) -> Report:
    """The report on the log, from seq 0 to where it stands now, if it is valid.

    Args:
        desk: for the log.
        registry: the signers to accept.
        what: the registry's place, for the texts.
        mac_verifier: asks KMS about MACs; None leaves them unproven.

    Raises:
        RejectedError: it is invalid.
        NotCheckedError: it is inconclusive.
        SignerError: what was left unsigned cannot be signed.
        StoreError: the log cannot be read.
    """
    ends: dict[str, int] = {head.stream: head.seq for head in desk.store.streams()}
    if not desk.dry_run:
        desk.settle(ends)
    report = audit(UpTo(desk.store, ends), registry, mac_verifier=mac_verifier)
    if report.verdict is Verdict.VALID:
        return report
    first = next((finding.message for finding in report.findings), report.unreachable or "nothing was checked")
    kind = RejectedError if report.verdict is Verdict.INVALID else NotCheckedError
    raise kind(f"the log is {report.verdict} under {what}: {first}")
