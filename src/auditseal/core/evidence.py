"""What a log's checkpoints, its witnesses, anchors and the verifier's own memory prove, over one walk through the log.

The walk itself (`auditseal.core.verify`) feeds each entry to its stream's `TreePart`; what follows from the trees is
found here at the end. A checkpoint over an entry stands in for a signature of its own.

Source: `docs/spec/verification.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from auditseal.core.account_document import check_account
from auditseal.core.checkpoint_check import CheckedStream, CheckpointCheck
from auditseal.core.grade import Grade, GradeRange, Span, subtract, union
from auditseal.core.heads import HEADS_STREAM, HEADS_TYPE
from auditseal.core.note import format_note
from auditseal.core.outside_check import AnchoredNote, check_anchors, check_remembered
from auditseal.core.promise import CHECKPOINT_TYPE
from auditseal.core.remembered import Remembered
from auditseal.core.report import AnchorSummary, Code, Finding, Findings, Severity, SignedRange, StreamSummary
from auditseal.core.times import format_time
from auditseal.core.tree_fold import Mark, TreeFold
from auditseal.core.tree_part import TreePart
from auditseal.core.witness_policy import ASKS_FOR_NOBODY, NONE
from auditseal.errors import SignerError

if TYPE_CHECKING:
    from auditseal.core.account import AccountedRange
    from auditseal.core.event import Body
    from auditseal.core.log_keys import LogKeys
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.core.times import Micros
    from auditseal.core.witness_policy import WitnessPolicy

OWN_TYPES: Final = frozenset({CHECKPOINT_TYPE, HEADS_TYPE})
"""The types of entries by which the log speaks of its own checkpoints."""


Checkpoints = Mapping[str, Sequence["StoredCheckpoint"]]
"""By stream, its checkpoints as they stand in the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a verification holds a log against, besides the registry.

    Attributes:
        anchors: by stream, what was found; None where no anchor was asked.
        remembered: by stream, what this verifier proved before.
        resumed: the streams whose walk begins where `remembered` ends.
        policy: which witnesses must have cosigned; None asks for none.
        reconciled: by stream, the ranges of accounts of signatures; None where no account was given.
        now: what the time is; None asks not whether a promise is overdue.
        require: the grade without which an entry counts as unproven; None asks for none.
    """

    anchors: Mapping[str, Sequence[AnchoredNote]] | None = None
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    resumed: frozenset[str] = frozenset()
    policy: WitnessPolicy | None = None
    reconciled: Mapping[str, Sequence[AccountedRange]] | None = None
    now: Micros | None = None
    require: Grade | None = None

    def sizes(self) -> dict[str, frozenset[int]]:
        """By stream, at which sizes its tree will be asked for."""
        found = {stream: {known.size} for stream, known in self.remembered.items()}
        for stream, anchors in (self.anchors or {}).items():
            found.setdefault(stream, set()).update(anchor.size for anchor in anchors)
        for stream, ranges in (self.reconciled or {}).items():
            found.setdefault(stream, set()).update(each.last_seq + 1 for each in ranges)
        return {stream: frozenset(sizes) for stream, sizes in found.items()}


@dataclass(slots=True)
class Proven:
    """What the end of a walk has found.

    Attributes:
        streams: the summaries, completed.
        checkpoints: how many were checked.
        unreachable: why a remote key could not be asked, else None.
        remembered: what the verifier may remember now.
    """

    streams: list[StreamSummary] = field(default_factory=list)
    checkpoints: int = 0
    unreachable: str | None = None
    remembered: dict[str, Remembered] = field(default_factory=dict)


def note_own(part: TreePart, seq: int, body: Body) -> None:
    """Takes what an entry of one of the log's own types says, after the part has taken the entry."""
    if body.type == CHECKPOINT_TYPE:
        part.announce(seq, body.time, body.payload)
    elif body.stream == HEADS_STREAM:
        part.cover(seq, body.payload)


def prove(
    keys: LogKeys,
    outside: Outside,
    *,
    findings: Findings,
    walked: Sequence[tuple[StreamSummary, TreePart]],
    checkpoints: Checkpoints,
) -> Proven:
    """Concludes from a whole walk; findings are added, and those that a checkpoint answers are taken out.

    Args:
        keys: by which checkpoints are believed.
        outside: what the log is held against.
        findings: of the walk.
        walked: for each stream that was read, its summary and its tree.
        checkpoints: by stream, as they stand in the source.
    """
    return _Conclusion(keys, outside, findings).of(walked, checkpoints)


class _Conclusion:
    def __init__(self, keys: LogKeys, outside: Outside, findings: Findings) -> None:
        self._keys = keys
        self._outside = outside
        self._findings = findings
        self._heads_anchors: list[AnchorSummary] = []

    def of(self, walked: Sequence[tuple[StreamSummary, TreePart]], checkpoints: Checkpoints) -> Proven:
        proven = Proven()
        outside = self._outside
        summaries = {summary.stream: summary for summary, _ in walked}
        parts = {summary.stream: part for summary, part in walked}
        check = CheckpointCheck(self._keys, now=outside.now)
        known = {*checkpoints, *outside.remembered, *(outside.anchors or {}), *(outside.reconciled or {}), *parts}
        # The stream of heads comes first, since it may cover the others' checkpoints.
        for name in sorted(known, key=lambda stream: (stream != HEADS_STREAM, stream)):
            fold = self._fold(name, parts.get(name) or TreePart())
            try:
                checked = check.check(fold, checkpoints.get(name, ()))
                contradictions, agreed = check_anchors(fold, (outside.anchors or {}).get(name, ()), self._keys)
            except SignerError as error:
                proven.unreachable = str(error)
                checked, contradictions, agreed = CheckedStream(), [], []
            otherwise, accounted = check_account(fold, (outside.reconciled or {}).get(name, ()))
            contradictions += otherwise
            agreed += self._through_heads(checked)
            if name == HEADS_STREAM:
                self._heads_anchors = list(agreed)
            proven.checkpoints += checked.checked
            for finding in (*checked.findings, *contradictions, *self._recall(fold, checked)):
                self._findings.add(finding)
            covered = [(0, fold.start), *((good.first, good.size) for good in checked.good)]
            self._findings.narrow(Code.UNSIGNED, name, union(covered))
            remembered = self._remember(fold, checked)
            if remembered is not None:
                proven.remembered[name] = remembered
            if name in summaries:
                proven.streams.append(self._summary(summaries[name], fold, checked, agreed, accounted))
        proven.streams.sort(key=lambda summary: summary.stream)
        return proven

    def _fold(self, stream: str, part: TreePart) -> TreeFold:
        known = self._outside.remembered.get(stream)
        if known is None or stream not in self._outside.resumed:
            return TreeFold(stream, part)
        start = Mark(frontier=known.frontier, head=known.head, time=known.time)
        return TreeFold(stream, part, start=start, promised=known.next_by)

    def _through_heads(self, checked: CheckedStream) -> list[AnchorSummary]:
        """The anchors of the stream of heads, for the checkpoints that entries under them cover."""
        found = []
        for anchor in self._heads_anchors:
            under = [each.size for each in checked.good if each.cover_seq is not None and each.cover_seq < anchor.size]
            if under:
                found.append(replace(anchor, size=max(under)))
        return found

    def _recall(self, fold: TreeFold, checked: CheckedStream) -> Sequence[Finding]:
        known = self._outside.remembered.get(fold.stream)
        return () if known is None else tuple(check_remembered(fold, known, checked))

    def _remember(self, fold: TreeFold, checked: CheckedStream) -> Remembered | None:
        """The largest beginning of the stream about which there is no finding; what was known before, if larger."""
        known = self._outside.remembered.get(fold.stream)
        unproven = self._findings.first_unproven(fold.stream)
        end = fold.size if unproven is None else min(unproven, fold.size)
        size = max((size for size in fold.marks if size <= end), default=0)
        if size <= (0 if known is None else known.size):
            return known
        mark = fold.marks[size]
        note = next((good.note for good in reversed(checked.good) if good.size <= size), None)
        text = format_note(note).decode() if note is not None else None if known is None else known.checkpoint
        promises = [each.promise for each in fold.announced if each.seq < size and each.promise is not None]
        next_by = promises[-1].next_by if promises else None if known is None else known.next_by
        return Remembered(frontier=mark.frontier, head=mark.head, time=mark.time, checkpoint=text, next_by=next_by)

    def _summary(
        self,
        summary: StreamSummary,
        fold: TreeFold,
        checked: CheckedStream,
        agreed: Sequence[AnchorSummary],
        accounted: Sequence[Span],
    ) -> StreamSummary:
        own = [(each.first_seq, each.last_seq + 1) for each in summary.signed_by]
        by_checkpoint = [
            SignedRange(
                signer=good.signer.signer_id,
                algorithm=good.signer.algorithm.id,
                first_seq=first,
                last_seq=end - 1,
                development=good.signer.development,
                by_checkpoint=True,
            )
            for good in checked.good
            for first, end in subtract((good.first, good.size), own)
        ]
        spans = {
            Grade.CHAINED: [(summary.first_seq, summary.last_seq + 1)],
            Grade.SIGNED: [*own, (0, fold.start), *((each.first_seq, each.last_seq + 1) for each in by_checkpoint)],
            Grade.COSIGNED: self._cosigned(fold, checked),
            Grade.ANCHORED: self._anchored(fold, agreed),
        }
        # An account is of calls and not of bytes: what no signature covers, it does not prove.
        spans[Grade.RECONCILED] = [
            each for span in union(accounted) for each in subtract(span, subtract(span, spans[Grade.SIGNED]))
        ]
        # What is proven wrong has no grade, whoever signed it.
        bad = self._findings.spans(fold.stream, Severity.ERROR)
        graded = {
            grade: [rest for span in union(each) for rest in subtract(span, bad)] for grade, each in spans.items()
        }
        self._require(summary, graded)
        return replace(
            summary,
            signed=summary.signed + sum(each.last_seq - each.first_seq + 1 for each in by_checkpoint),
            signed_by=_joined([*summary.signed_by, *by_checkpoint]),
            resumed_at=fold.start,
            checkpoint=max((good.size for good in checked.good), default=0),
            next_by=None if fold.promised is None else format_time(fold.promised),
            grades=tuple(
                GradeRange(grade=grade, first_seq=first, last_seq=end - 1)
                for grade, each in graded.items()
                for first, end in each
            ),
            anchors=tuple(agreed),
        )

    def _cosigned(self, fold: TreeFold, checked: CheckedStream) -> list[Span]:
        policy = self._outside.policy
        if policy is None:
            return []
        size = max((good.size for good in checked.good if policy.evaluate(good.note).met), default=0)
        last = checked.good[-1] if checked.good else None
        if last is None or size < last.size:
            end = fold.size if last is None else last.size
            finding = Finding(
                code=Code.NOT_COSIGNED,
                stream=fold.stream,
                seq=size,
                last_seq=max(end - 1, size),
                message=ASKS_FOR_NOBODY,
            )
            if policy.quorum != NONE:
                missing = () if last is None else policy.evaluate(last.note).missing
                finding = replace(
                    finding,
                    expected=f"the quorum {policy.quorum}",
                    actual=f"without {', '.join(missing) or policy.quorum}",
                    message="too few witnesses have cosigned a checkpoint over these entries",
                )
            self._findings.add(finding)
        return [(0, size)] if size else []

    def _anchored(self, fold: TreeFold, agreed: Sequence[AnchorSummary]) -> list[Span]:
        if self._outside.anchors is None:
            return []
        if not agreed:
            self._findings.add(
                Finding(
                    code=Code.NOT_ANCHORED,
                    stream=fold.stream,
                    message="no anchor that was asked holds a checkpoint of this stream that agrees with it",
                )
            )
        return [(0, max((each.size for each in agreed), default=0))]

    def _require(self, summary: StreamSummary, graded: Mapping[Grade, list[Span]]) -> None:
        grade = self._outside.require
        if grade is None:
            return
        for first, end in subtract((summary.first_seq, summary.last_seq + 1), graded.get(grade, ())):
            self._findings.add(
                Finding(
                    code=Code.BELOW_GRADE,
                    stream=summary.stream,
                    seq=first,
                    last_seq=end - 1,
                    expected=grade,
                    message=f"{grade} ({grade.name.lower()}) was asked for, and is not proven of these entries",
                )
            )


def _joined(ranges: Sequence[SignedRange]) -> tuple[SignedRange, ...]:
    joined: list[SignedRange] = []
    for each in sorted(ranges, key=lambda one: one.first_seq):
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.last_seq + 1 == each.first_seq
            and (last.signer, last.by_checkpoint) == (each.signer, each.by_checkpoint)
        ):
            joined[-1] = replace(last, last_seq=each.last_seq)
        else:
            joined.append(each)
    return tuple(joined)
