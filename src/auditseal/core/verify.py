"""Verification of a log, in numbered steps that yield a report.

For each entry, from what is stored and nothing else:

1. the body is canonical JSON with the members of the format (`not-canonical`);
2. what stands beside the body agrees: the place and the query columns with the body, and with `hash` the copy of it
   that each signature may carry (`column-mismatch`);
3. the body and `prev_hash` hash to `hash` (`hash-mismatch`);
4. the entry has its own place in the chain and follows the entry before it (`missing-entry`, `duplicate-seq`, `fork`,
   `broken-link`, `time-runs-back`; `auditseal.core.run`);
5. each signature is well formed (`malformed-signature`), of a known signer (`unknown-signer`) that was valid there
   (`signer-not-valid-here`), and verifies over the stored hash (`bad-signature`); an entry without a signature that
   passes is `unsigned`; one that hands its stream over to another signer is what both keys signed (`bad-rotation`),
   and each of them signed only on its own side of it (`auditseal.core.handover_check`);

and at the end:

6. checkpoints, witnesses, anchors and the verifier's memory agree with the entries (`auditseal.core.evidence`); an
   entry under a checkpoint that verifies needs no signature of its own;
7. something was checked (`nothing-to-check`).

A `Segment` takes any run of entries through steps 1 to 5 on its own, in any thread, process or place, and joins with
the segments beside it; the joined whole gives the report. The caller's part is reading, scheduling and, for keys that
only a KMS can check, asking it.

Source: `docs/spec/verification.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Self

from auditseal.core.entry_check import check_body, check_signature
from auditseal.core.evidence import OWN_TYPES, Checkpoints, Outside, note_own, prove
from auditseal.core.grade import Grade
from auditseal.core.handover_check import check_entry, check_ranges
from auditseal.core.log_keys import LogKeys
from auditseal.core.plain_run import is_plain_run, is_signed_run
from auditseal.core.report import Code, Finding, Findings, Report
from auditseal.core.rotation_event import ROTATED
from auditseal.core.run import ChainFold
from auditseal.core.stored_rows import SEQ, SIGNER, entries_of, stretches
from auditseal.core.stream_part import StreamPart

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.entry_check import Trust
    from auditseal.core.registry import RegisteredSigner
    from auditseal.core.remembered import Remembered
    from auditseal.core.stored_rows import StoredRow

_ALONE: Final = OWN_TYPES | {ROTATED}
"""The types of entries of which each is looked at by itself."""

Sizes = Mapping[str, frozenset[int]]


class Segment:
    """The verification of a run of entries, of one stream or several. It is fed, joined, and asked for the report."""

    def __init__(self, trust: Trust, sizes: Sizes | None = None) -> None:
        """Begins.

        Args:
            trust: what is believed.
            sizes: by stream, at which sizes its tree will be asked for.
        """
        self._trust: Trust | None = trust
        self._sizes = sizes or {}
        self._findings = Findings()
        self._streams: dict[str, StreamPart] = {}
        self._signatures = 0
        self._unreachable: str | None = None

    def add(self, entry: StoredEntry) -> None:
        """Takes the next entry through steps 1 to 5; each stream's in order, where the source has an order."""
        if entry.malformed is not None and entry.seq < 0:
            self._findings.add(Finding(code=Code.NOT_CANONICAL, message=entry.malformed))
            return
        part = self._streams.get(entry.stream)
        if part is None:
            part = self._begin(entry.stream)
        body, found = check_body(entry)
        time = body.time if body else ""
        found += part.fold.add(entry.seq, entry.prev_hash, entry.hash, time, body.id if body else None)
        if entry.signatures:
            part.count(entry.seq, entry.seq, (time, time), self._check_signatures(entry, time, found))
        else:
            part.count(entry.seq, entry.seq, (time, time), None)
            id_ = entry.columns.id if entry.columns is not None else None
            part.leave_range_unsigned(entry.seq, entry.seq, id_)
        part.tree.add(entry.seq, entry.hash, time)
        if body is not None and body.type in OWN_TYPES:
            note_own(part.tree, entry.seq, body)
        elif body is not None and body.type == ROTATED:
            assert self._trust is not None
            handover = check_entry(entry, body, self._trust.registry)
            if isinstance(handover, Finding):
                found.append(handover)
            elif handover is not None:
                part.handovers.append(handover)
        for finding in found:
            self._findings.add(finding)

    def add_rows(self, stream: str, rows: Sequence[StoredRow]) -> None:
        """Takes the next entries of a stream as `add` does one by one, ordinary ones at a fraction of the cost.

        Args:
            stream: of all of them.
            rows: in the order of `entries_of`; the rows of one place must not be parted.
        """
        for run in stretches(rows, _ALONE):
            if len(run) == 1 or not self._take_run(stream, run):
                for entry in entries_of(run):
                    self.add(entry)

    def _take_run(self, stream: str, rows: Sequence[StoredRow]) -> bool:
        """Takes entries that are sound and follow what was taken; False, and nothing, if that is not sure."""
        assert self._trust is not None
        part = self._streams.get(stream)
        first, last = rows[0], rows[-1]
        if part is not None and part.fold.last_seq + 1 != first[SEQ]:
            return False
        if any(first[SEQ] < size <= last[SEQ] for size in self._sizes.get(stream, ())):
            return False
        signer = None if first[SIGNER] is None else self._trust.registry.find(first[SIGNER])
        if signer is None and first[SIGNER] is not None:
            return False
        if not is_plain_run(stream, rows) or (signer is not None and not is_signed_run(rows, signer)):
            return False
        self._signatures += 0 if signer is None else len(rows)
        part = part or self._begin(stream)
        for finding in part.extend(rows, signer):
            self._findings.add(finding)
        return True

    def join(self, following: Segment) -> None:
        """Takes over the segment of the entries that come next in the source; `following` is spent."""
        for name, theirs in following._streams.items():
            ours = self._streams.get(name)
            if ours is None:
                self._streams[name] = theirs
                continue
            for finding in ours.join(theirs):
                self._findings.add(finding)
        for finding in following._findings.kept:
            self._findings.add(finding)
        self._signatures += following._signatures
        self._unreachable = self._unreachable or following._unreachable

    def recall(self, stream: str, known: Remembered) -> None:
        """Begins a stream where an earlier verification of it ended; only what follows will be added."""
        part = self._begin(stream)
        part.fold = ChainFold.resume(stream, size=known.size, head=known.head, time=known.time)

    def sizes(self) -> dict[str, int]:
        """By stream, how far it was read."""
        return {name: part.fold.last_seq + 1 for name, part in self._streams.items()}

    def closed(self) -> Self:
        """This segment without what it trusts and holds open, ready to be sent elsewhere; it takes no more entries."""
        for part in self._streams.values():
            part.close_range()
            part.tree.close()
        self._trust = None
        return self

    def report(
        self,
        source: str,
        *,
        expected_streams: Sequence[str] = (),
        checkpoints: Checkpoints | None = None,
        outside: Outside | None = None,
    ) -> Report:
        """The report, with steps 6 and 7, when all is joined.

        Args:
            source: the address, without a password.
            expected_streams: which must have entries; one that has none is named.
            checkpoints: by stream, as they stand in the source.
            outside: what else the log is held against.
        """
        assert self._trust is not None
        outside = outside or Outside()
        for part in self._streams.values():
            ranges = check_ranges(part.fold.stream, part.handovers, part.summary().signed_by) if part.handovers else ()
            for finding in (*part.unsigned_findings(), *part.fold.finish(), *ranges):
                self._findings.add(finding)
        unread: list[str | None] = [name for name in expected_streams if name not in self._streams]
        for name in unread or ([] if self._streams else [None]):
            self._findings.add(
                Finding(code=Code.NOTHING_TO_CHECK, stream=name, message="no entries were read, so nothing is proven")
            )
        proven = prove(
            LogKeys(self._trust.registry, self._trust.mac_rules),
            outside,
            findings=self._findings,
            walked=[(part.summary(), part.tree) for part in self._streams.values()],
            checkpoints=checkpoints or {},
        )
        streams = tuple(proven.streams)
        asked = {Grade.COSIGNED: outside.policy, Grade.RECONCILED: outside.reconciled, Grade.ANCHORED: outside.anchors}
        return Report(
            source=source,
            streams=streams,
            findings=self._findings.in_order(),
            checked={
                "streams": len(streams),
                "entries": sum(stream.entries for stream in streams),
                "signatures": self._signatures,
                **({"checkpoints": proven.checkpoints} if proven.checkpoints else {}),
                **({"remembered": len(outside.resumed)} if outside.resumed else {}),
            },
            unreachable=self._unreachable or proven.unreachable,
            not_checked=tuple(grade for grade, by in asked.items() if by is None),
            remembered=proven.remembered,
        )

    def _begin(self, stream: str) -> StreamPart:
        part = self._streams[stream] = StreamPart(stream, self._sizes.get(stream, frozenset()))
        return part

    def _check_signatures(self, entry: StoredEntry, time: str, found: list[Finding]) -> RegisteredSigner | None:
        """Step 5; adds to `found`, and gives the signer of the first signature that verifies."""
        assert self._trust is not None
        good: RegisteredSigner | None = None
        unreachable = None
        faults: list[Finding] = []
        unknown: list[Finding] = []
        for signature in entry.signatures:
            checked = check_signature(entry, signature, time, self._trust)
            finding = checked.finding
            if finding is not None:
                (unknown if finding.code is Code.UNKNOWN_SIGNER else faults).append(finding)
                self._signatures += finding.code in _CHECKED_AND_FALSE
            elif checked.signer is not None:
                self._signatures += 1
                good = good or checked.signer
            else:
                unreachable = checked.unreachable
        if good is None and not faults:
            if unreachable is None:
                faults = unknown
            self._unreachable = self._unreachable or unreachable
        found += faults
        return good


_CHECKED_AND_FALSE: Final = frozenset({Code.BAD_SIGNATURE, Code.SIGNER_NOT_VALID_HERE})
