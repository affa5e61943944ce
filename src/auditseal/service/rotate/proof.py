"""Proving a log that is being written to: all of it up to where it stood when the proof began.

What writers append meanwhile is left out, and what they were just signing is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from auditseal.core.report import Code, Verdict
from auditseal.errors import NotCheckedError, RejectedError
from auditseal.service.audit import audit
from auditseal.service.rotate.checkpoints import reach_of_checkpoints

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.registry import Registry
    from auditseal.core.report import Finding, Report
    from auditseal.core.rotation import Rotation
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.ports import CheckpointStore, MacVerifier, Store
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


class UpToWithCheckpoints(UpTo):
    """The same, with the checkpoints up to there (`auditseal.ports.CheckpointSource`)."""

    def __init__(self, store: CheckpointStore, ends: Mapping[str, int]) -> None:
        super().__init__(store, ends)
        self._kept = store

    def checkpoints(self, streams: Sequence[str] | None = None) -> Iterator[StoredCheckpoint]:
        """Those over what `walk` gives (`CheckpointSource.checkpoints`)."""
        for checkpoint in self._kept.checkpoints(streams):
            if checkpoint.size <= self._ends.get(checkpoint.stream, -1) + 1:
                yield checkpoint


def require_valid(
    desk: Desk, registry: Registry, what: str, mac_verifier: MacVerifier | None, *, excused: Rotation | None = None
) -> Report:
    """The report on the log, from seq 0 to where it stands now, if it is valid; without what is excused.

    Args:
        desk: for the log.
        registry: the signers to accept.
        what: the registry's place, for the texts.
        mac_verifier: asks KMS about MACs; None leaves them unproven.
        excused: a rotation away from a revoked signer, whose entries are proven by nothing, and need not be.

    Raises:
        RejectedError: it is invalid.
        NotCheckedError: it is inconclusive.
        SignerError: what was left unsigned cannot be signed.
        StoreError: the log cannot be read.
    """
    ends: dict[str, int] = {head.stream: head.seq for head in desk.store.streams()}
    if not desk.dry_run:
        desk.settle(ends)
    ends = {stream: reach_of_checkpoints(desk, stream, end) for stream, end in ends.items()}
    kept = desk.checkpoints
    source = UpTo(desk.store, ends) if kept is None else UpToWithCheckpoints(kept.store, ends)
    report = audit(source, registry, mac_verifier=mac_verifier)
    if excused is not None:
        rest = [each for each in report.findings if not _is_excused(each, excused, registry)]
        report = replace(report, findings=tuple(rest))
    verdict = report.verdict
    if verdict is Verdict.VALID:
        return report
    first = next((finding.message for finding in report.findings), report.unreachable or "nothing was checked")
    kind = RejectedError if verdict is Verdict.INVALID else NotCheckedError
    raise kind(f"the log is {verdict} under {what}: {first}")


def _is_excused(finding: Finding, rotation: Rotation, registry: Registry) -> bool:
    """Whether a finding says no more than that the old signer is revoked, and nobody else signed for it."""
    if finding.code is Code.SIGNER_NOT_VALID_HERE:
        return finding.actual == rotation.old.signer_id
    new = registry.find(rotation.new_id)
    begins = new.valid_from.seq.get(finding.stream or "", 0) if new is not None and new.valid_from else 0
    return finding.code is Code.UNSIGNED and finding.last_seq is not None and finding.last_seq < begins
