"""The outcome of a verification: findings with their places, what was checked, and the verdict.

Findings of one code that follow each other and say the same are kept as one with a range, so that a report on a log
without any signature is a line and not a million.

Source: `docs/spec/report.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from auditseal.core.grade import Grade, GradeRange, Span, subtract
from auditseal.core.remembered import Remembered
from auditseal.errors import NotCheckedError, RejectedError


class Verdict(StrEnum):
    """What a verification proves."""

    VALID = "valid"
    INVALID = "invalid"
    INCONCLUSIVE = "inconclusive"


class Severity(StrEnum):
    """What a finding does to the verdict.

    `error` proves that something is wrong; `gap` leaves something unproven; `note` says what to know and changes
    nothing.
    """

    ERROR = "error"
    GAP = "gap"
    NOTE = "note"


class Code(StrEnum):
    """What can be found. The names are a contract: programs match on them."""

    HASH_MISMATCH = "hash-mismatch"
    BROKEN_LINK = "broken-link"
    MISSING_ENTRY = "missing-entry"
    DUPLICATE_SEQ = "duplicate-seq"
    FORK = "fork"
    COLUMN_MISMATCH = "column-mismatch"
    NOT_CANONICAL = "not-canonical"
    TIME_RUNS_BACK = "time-runs-back"
    BAD_SIGNATURE = "bad-signature"
    MALFORMED_SIGNATURE = "malformed-signature"
    UNSIGNED = "unsigned"
    UNKNOWN_SIGNER = "unknown-signer"
    SIGNER_NOT_VALID_HERE = "signer-not-valid-here"
    TRUNCATED = "truncated"
    ROLLED_BACK = "rolled-back"
    SPLIT_VIEW = "split-view"
    OVERDUE = "overdue"
    BAD_CHECKPOINT = "bad-checkpoint"
    MISSING_CHECKPOINT = "missing-checkpoint"
    MISDATED = "misdated"
    NOT_COSIGNED = "not-cosigned"
    NOT_ANCHORED = "not-anchored"
    BELOW_GRADE = "below-grade"
    NOTHING_TO_CHECK = "nothing-to-check"
    NOT_COVERED = "not-covered"
    BAD_PROOF = "bad-proof"
    CONTINUES = "continues"
    BAD_ROTATION = "bad-rotation"


_SEVERITIES: Final = {
    Code.UNSIGNED: Severity.GAP,
    Code.UNKNOWN_SIGNER: Severity.GAP,
    Code.OVERDUE: Severity.GAP,
    Code.MISSING_CHECKPOINT: Severity.GAP,
    Code.NOT_COSIGNED: Severity.GAP,
    Code.NOT_ANCHORED: Severity.GAP,
    Code.BELOW_GRADE: Severity.GAP,
    Code.NOTHING_TO_CHECK: Severity.GAP,
    Code.NOT_COVERED: Severity.NOTE,
    Code.CONTINUES: Severity.NOTE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that verification noticed.

    Attributes:
        code: what it is.
        stream: the stream; None where the source as a whole is meant.
        seq: the entry, or the first of a range; None where no entry is meant.
        last_seq: the last of a range; equal to `seq` for one entry.
        entry_id: the event's id, where one entry is meant and it could be read.
        expected, actual: the two sides of what does not agree, as text.
        message: one sentence for a person.
    """

    code: Code
    message: str
    stream: str | None = None
    seq: int | None = None
    last_seq: int | None = None
    entry_id: str | None = None
    expected: str | None = None
    actual: str | None = None

    @property
    def severity(self) -> Severity:
        """What this finding does to the verdict; it follows from the code alone."""
        return _SEVERITIES.get(self.code, Severity.ERROR)

    @property
    def count(self) -> int:
        """How many entries are meant; 1 where none is named."""
        if self.seq is None or self.last_seq is None:
            return 1
        return self.last_seq - self.seq + 1

    def continues(self, before: Finding) -> bool:
        """Whether this says of the next entry what `before` said of those up to it."""
        return (
            self.code == before.code
            and self.stream == before.stream
            and self.seq is not None
            and before.last_seq is not None
            and self.seq == before.last_seq + 1
            and self.expected == before.expected
            and self.actual == before.actual
            and self.code in _IN_RANGES
        )


_IN_RANGES: Final = frozenset({Code.UNSIGNED, Code.UNKNOWN_SIGNER, Code.SIGNER_NOT_VALID_HERE, Code.MISSING_ENTRY})


class Findings:
    """Collects findings in the order in which they are made, joining neighbours into ranges."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        # The last finding of each code and stream: ranges join although other codes stand between.
        self._last: dict[tuple[Code, str | None], int] = {}

    def add(self, finding: Finding) -> None:
        """Keeps one finding; `last_seq` is filled in where it was left out."""
        if finding.seq is not None and finding.last_seq is None:
            finding = replace(finding, last_seq=finding.seq)
        key = (finding.code, finding.stream)
        index = self._last.get(key)
        if index is not None and finding.continues(self._kept[index]):
            self._kept[index] = replace(self._kept[index], last_seq=finding.last_seq, entry_id=None)
            return
        self._last[key] = len(self._kept)
        self._kept.append(finding)

    def narrow(self, code: Code, stream: str, proven: Sequence[Span]) -> None:
        """Takes these seqs out of a stream's findings of a code, since something else proves them."""
        kept: list[Finding] = []
        for finding in self._kept:
            if finding.code is not code or finding.stream != stream or finding.seq is None or finding.last_seq is None:
                kept.append(finding)
                continue
            for first, end in subtract((finding.seq, finding.last_seq + 1), proven):
                same = (first, end - 1) == (finding.seq, finding.last_seq)
                part = replace(finding, seq=first, last_seq=end - 1, entry_id=None)
                kept.append(finding if same else part)
        self._kept = kept
        self._last = {}

    def first_unproven(self, stream: str) -> int | None:
        """The lowest seq of a stream that a finding of weight is about; None without any."""
        return min(
            (
                finding.seq
                for finding in self._kept
                if finding.stream == stream and finding.seq is not None and finding.severity is not Severity.NOTE
            ),
            default=None,
        )

    def spans(self, stream: str, severity: Severity) -> list[Span]:
        """The seqs of a stream that findings of a severity are about."""
        return [
            (finding.seq, finding.last_seq + 1)
            for finding in self._kept
            if finding.stream == stream
            and finding.severity is severity
            and finding.seq is not None
            and finding.last_seq is not None
        ]

    @property
    def kept(self) -> Sequence[Finding]:
        """What was kept so far, in the order in which it was found."""
        return self._kept

    def in_order(self) -> tuple[Finding, ...]:
        """All findings by stream and place."""
        return tuple(
            sorted(
                self._kept,
                key=lambda finding: (
                    finding.stream or "",
                    -1 if finding.seq is None else finding.seq,
                    list(Code).index(finding.code),
                ),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRange:
    """A stretch of entries signed by one signer and verified; both ends are included.

    Attributes:
        by_checkpoint: whether the signature is that of a checkpoint over them.
    """

    signer: str
    algorithm: str
    first_seq: int
    last_seq: int
    development: bool = False
    by_checkpoint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSummary:
    """An anchor that agrees with the stream: what it holds existed by then.

    Attributes:
        where: names the place for people.
        size: the entries below this seq are under it.
        time: RFC 3339, by the place's own clock; None where it has none that can be believed.
    """

    where: str
    size: int
    time: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """What was read of one stream.

    Attributes:
        entries: how many were read.
        signed: how many have a signature that verifies, of a signer valid there, or are under a checkpoint that does.
        first_seq, last_seq, first_time, last_time: the ends, as the entries claim them.
        head: the hash of the last entry; 32 bytes.
        signed_by: by range; entries without a good signature are in none.
        resumed_at: the first seq that was read, where those before had been proven earlier; else 0.
        checkpoint: the size of the largest checkpoint that verifies; 0 without any.
        next_by: RFC 3339; when the log promised the next checkpoint at the latest; None without a promise.
        grades: what is proven, by range; a grade that was not asked for or not checked has none.
        anchors: those that agree, by size.
    """

    stream: str
    entries: int
    signed: int
    first_seq: int
    last_seq: int
    first_time: str
    last_time: str
    head: bytes
    signed_by: tuple[SignedRange, ...] = ()
    resumed_at: int = 0
    checkpoint: int = 0
    next_by: str | None = None
    grades: tuple[GradeRange, ...] = ()
    anchors: tuple[AnchorSummary, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of a verification.

    Attributes:
        source: the address that was read, without a password.
        streams: one summary for each stream that was read.
        findings: all of them, by place.
        checked: how many of each kind were checked, such as `entries` and `signatures`.
        unreachable: why a remote key could not be asked, so that some signatures were not checked; else None.
        not_checked: the grades that nobody looked for in this verification.
        remembered: by stream, what a verifier may remember after it; never shown.
    """

    source: str
    streams: tuple[StreamSummary, ...] = ()
    findings: tuple[Finding, ...] = ()
    checked: Mapping[str, int] = field(default_factory=dict)
    unreachable: str | None = None
    not_checked: tuple[Grade, ...] = ()
    remembered: Mapping[str, Remembered] = field(default_factory=dict, repr=False)

    @property
    def verdict(self) -> Verdict:
        """Invalid if anything is proven wrong, inconclusive if anything is unproven or nothing was checked."""
        severities = {finding.severity for finding in self.findings}
        if Severity.ERROR in severities:
            return Verdict.INVALID
        # Where nothing is new since the last time, the entry that stood last then was compared; and a consistency
        # proof has checkpoints alone.
        something = any(self.checked.get(kind) for kind in ("entries", "remembered", "checkpoints"))
        if Severity.GAP in severities or self.unreachable or not something:
            return Verdict.INCONCLUSIVE
        return Verdict.VALID

    def require_ok(self) -> Report:
        """This report, if its verdict is valid.

        Raises:
            RejectedError: the verdict is invalid.
            NotCheckedError: the verdict is inconclusive.
        """
        if self.verdict is Verdict.VALID:
            return self
        counts = ", ".join(summarize(self.findings)) or "nothing was checked"
        text = f"{self.source} is {self.verdict}: {counts}"
        raise (RejectedError if self.verdict is Verdict.INVALID else NotCheckedError)(text)


def summarize(findings: Iterable[Finding]) -> list[str]:
    """How many entries each code concerns, such as `hash-mismatch at 2`."""
    counts: dict[Code, int] = {}
    for finding in findings:
        counts[finding.code] = counts.get(finding.code, 0) + finding.count
    return [f"{code} at {count}" for code, count in counts.items()]
