"""Checks a stream's checkpoints against its recomputed tree, and what it promised against what is there.

For each checkpoint of a stream, from the smallest:

1. its text is a checkpoint of this stream and of one log (`bad-checkpoint`);
2. a known signer signed it (`unknown-signer`, `bad-signature`), or the entry that covers it, under a checkpoint that
   passes all of this (`bad-checkpoint`, `missing-checkpoint`);
3. its entries are all there (`truncated`), and have its root (`split-view`);
4. its last entry announces it (`bad-checkpoint`);
5. its signer was valid at all entries that no smaller checkpoint covers (`signer-not-valid-here`).

A newer key therefore cannot cover what was signed before its time, and between the ranges of two signers nothing is
covered. Where a checkpoint fails rule 5, nobody covers its entries; one that follows it counts from where its own
signer's range begins, so that what comes after a key that was revoked can be proven. Then the announcements: each
follows the one before it (`bad-checkpoint`), the last one's checkpoint is there (`missing-checkpoint`), and the one
that it promises is not late (`overdue`).

Source: `docs/spec/verification.md`, "Checkpoints".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from auditseal.core.checkpoint import Checkpoint, log_origin_of, parse_checkpoint
from auditseal.core.heads import HEADS_STREAM, check_cover
from auditseal.core.report import Code, Finding
from auditseal.core.scalar import format_base64
from auditseal.core.times import format_time, parse_time
from auditseal.errors import (
    InputError,
    NotCheckedError,
    SignatureInvalidError,
    SignerNotAllowedError,
    VerificationError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auditseal.core.log_keys import LogKeys
    from auditseal.core.note import Note
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.core.times import Micros
    from auditseal.core.tree_fold import TreeFold

CLOCK_TOLERANCE_MICROS: Final = 300 * 1_000_000
"""How far two clocks may be apart: five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCheckpoint:
    """A checkpoint that passed, or failed rule 5 alone.

    Attributes:
        first, size: it is over the entries from `first`, which no smaller one is over, to before `size`.
        signer: who signed it, or what covers it.
        note: the signed note: its own, or that of the checkpoint over the entry that covers it.
        cover_seq: of that entry; None for one with a signature of its own.
    """

    first: int
    size: int
    signer: RegisteredSigner
    note: Note
    cover_seq: int | None = None


@dataclass(slots=True)
class CheckedStream:
    """What became of one stream's checkpoints, by size."""

    good: list[CheckedCheckpoint] = field(default_factory=list)
    refused: list[CheckedCheckpoint] = field(default_factory=list)
    """Those that failed rule 5 alone: of each there is a finding over its entries."""
    findings: list[Finding] = field(default_factory=list)
    checked: int = 0
    longest: int = 0
    """The largest size that a known signer ever signed, right or wrong."""

    def over(self, seq: int) -> CheckedCheckpoint | None:
        """The smallest checkpoint over an entry, good or refused."""
        found = [each for each in (*self.good, *self.refused) if each.first <= seq < each.size]
        return min(found, key=lambda each: each.size, default=None)


class CheckpointCheck:
    """Checks the checkpoints of one log; `auditseal/heads` first, since it may cover the others'."""

    def __init__(self, keys: LogKeys, *, now: Micros | None = None) -> None:
        """Takes what is believed.

        Args:
            keys: the accepted signers.
            now: what the time is, if it is to be asked whether a promise is overdue.
        """
        self._keys = keys
        self._now = now
        self._log_origin: str | None = None
        self._heads: tuple[TreeFold, CheckedStream] | None = None

    def check(self, fold: TreeFold, stored: Sequence[StoredCheckpoint]) -> CheckedStream:
        """Checks one stream.

        Args:
            fold: all of its entries.
            stored: its checkpoints as they stand in the source.

        Raises:
            SignerError: a remote key could not be asked.
        """
        result = CheckedStream()
        if fold.stream == HEADS_STREAM:
            self._heads = (fold, result)
        covered = fold.start
        for each in sorted(stored, key=lambda one: one.size):
            if 0 < each.size <= fold.start:
                result.findings += self._contradiction(fold, each)
                continue
            try:
                good = self._check_one(fold, each, covered, result)
            except (VerificationError, InputError) as error:
                result.findings.append(_failure(fold.stream, each.size, error))
                continue
            if good is not None:
                result.good.append(good)
                covered = max(covered, good.size)
        result.findings += _check_announcements(fold)
        result.findings += self._check_promise(fold, covered)
        return result

    def _check_one(
        self, fold: TreeFold, stored: StoredCheckpoint, covered: int, result: CheckedStream
    ) -> CheckedCheckpoint | None:
        seq = stored.size - 1
        checkpoint = self._parsed(stored)
        announced = next((each for each in fold.announced if each.seq == seq), None)
        said = announced.promise.signer if announced is not None and announced.promise is not None else None
        signer, note = self._signer_of(stored, checkpoint, said)
        result.checked += 1
        result.longest = max(result.longest, stored.size)
        found = compare_root(fold, checkpoint.size, checkpoint.root, "a signed checkpoint")
        if found is not None:
            result.findings.append(found)
        if found is not None or fold.root(checkpoint.size) is None:
            return None
        if announced is None or announced.promise is None or announced.promise.size != stored.size:
            raise InputError("no entry announces it")
        over = CheckedCheckpoint(
            first=covered,
            size=stored.size,
            signer=signer,
            note=note,
            cover_seq=None if stored.cover is None else stored.cover.seq,
        )
        return self._in_its_range(fold, over, announced.time, result)

    def _in_its_range(
        self, fold: TreeFold, over: CheckedCheckpoint, time: str, result: CheckedStream
    ) -> CheckedCheckpoint | None:
        """Rule 5."""
        stream, seq, signer = fold.stream, over.size - 1, over.signer
        first = min(over.first, seq)
        refused_to = max((each.size for each in result.refused), default=0)
        begins = signer.valid_from.seq.get(stream, 0) if signer.valid_from else 0
        if first < begins <= min(refused_to, seq):
            first, over = begins, replace(over, first=begins)
        try:
            signer.check_valid_at(stream, first, fold.first_times.get(first))
            signer.check_valid_at(stream, seq, time)
        except SignerNotAllowedError as error:
            first = min(max(first, refused_to), seq)
            finding = Finding(
                code=Code.SIGNER_NOT_VALID_HERE,
                stream=stream,
                seq=first,
                last_seq=seq,
                actual=signer.signer_id,
                message=f"the checkpoint of size {over.size} cannot cover what no earlier one does: {error}",
            )
            result.findings.append(finding)
            result.refused.append(replace(over, first=first))
            return None
        return over

    def _contradiction(self, fold: TreeFold, stored: StoredCheckpoint) -> list[Finding]:
        """What the log signed against the tree that was proven before; what else is wrong there changes nothing."""
        if stored.size != fold.start or stored.cover is not None:
            return []
        try:
            checkpoint = self._parsed(stored)
            self._signer_of(stored, checkpoint, None)
        except (VerificationError, InputError):
            return []
        found = compare_root(fold, checkpoint.size, checkpoint.root, "a signed checkpoint")
        return [] if found is None else [found]

    def _parsed(self, stored: StoredCheckpoint) -> Checkpoint:
        if stored.malformed is not None:
            raise InputError(stored.malformed)
        checkpoint = parse_checkpoint(stored.text)
        if checkpoint.size != stored.size or checkpoint.extensions:
            raise InputError(f"its text speaks of {checkpoint.size} entries, or of more than origin, size and root")
        log_origin = log_origin_of(checkpoint.origin, stored.stream)
        if self._log_origin is None:
            self._log_origin = log_origin
        if log_origin != self._log_origin:
            raise InputError(f"it is of the log {log_origin[:130]}, and others here are of {self._log_origin[:130]}")
        return checkpoint

    def _signer_of(
        self, stored: StoredCheckpoint, checkpoint: Checkpoint, said: str | None
    ) -> tuple[RegisteredSigner, Note]:
        """Step 2.

        Raises:
            VerificationError, InputError: it fails.
        """
        if stored.cover is None:
            note = stored.note()
            signer, _ = self._keys.signer_of(note, checkpoint.origin, said=said)
            return signer, note
        if self._heads is None or stored.stream == HEADS_STREAM:
            raise NotCheckedError(f"it is covered by an entry of {HEADS_STREAM}, which is not here")
        fold, checked = self._heads
        heads = fold.heads.get(stored.cover.seq)
        over = checked.over(stored.cover.seq)
        if heads is None or over is None:
            raise NotCheckedError(f"entry {stored.cover.seq} of {HEADS_STREAM}, which covers it, is not proven")
        check_cover(stored.text, stored.cover, heads)
        return over.signer, over.note

    def _check_promise(self, fold: TreeFold, covered: int) -> Iterator[Finding]:
        last = fold.announced[-1] if fold.announced else None
        if last is not None and last.promise is not None and last.seq >= covered:
            yield Finding(
                code=Code.MISSING_CHECKPOINT,
                stream=fold.stream,
                seq=last.seq,
                expected=f"a checkpoint of size {last.seq + 1} by {last.promise.signer}",
                actual="none that verifies",
                message="the log announced a checkpoint, and it is not there",
            )
        if self._now is not None:
            yield from _check_silence(fold, self._now)


def _failure(stream: str, size: int, error: VerificationError | InputError) -> Finding:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Code.BAD_CHECKPOINT)
    message = f"the checkpoint of size {size}: {error}"
    return Finding(code=code, stream=stream, seq=max(size - 1, 0), message=message)


_CODES: Final = ((SignatureInvalidError, Code.BAD_SIGNATURE), (NotCheckedError, Code.UNKNOWN_SIGNER))


def _check_silence(fold: TreeFold, now: Micros) -> Iterator[Finding]:
    if fold.promised is None:
        return
    newest = _micros(fold.last_time)
    if newest is not None and now < newest - CLOCK_TOLERANCE_MICROS:
        yield Finding(
            code=Code.OVERDUE,
            stream=fold.stream,
            expected=f"a clock at {format_time(newest)} or later",
            actual=format_time(now),
            message="this machine's clock is behind the log: whether the next checkpoint is due cannot be told",
        )
    elif now > fold.promised:
        yield Finding(
            code=Code.OVERDUE,
            stream=fold.stream,
            expected=f"a checkpoint by {format_time(fold.promised)}",
            actual=f"none by {format_time(now)}",
            message="the log promised a checkpoint and is silent: it stopped, or what followed was taken away",
        )


def _micros(text: str) -> Micros | None:
    try:
        return parse_time(text)
    except InputError:
        return None


def _check_announcements(fold: TreeFold) -> Iterator[Finding]:
    """Each entry that announces a checkpoint names its own place and the announcement before it."""
    before: tuple[int, bytes] | None = None
    first = True
    for each in fold.announced:
        problem = each.problem
        if each.promise is not None:
            promise = each.promise
            if promise.size != each.seq + 1:
                problem = f"it announces size {promise.size}, and its place allows {each.seq + 1}"
            elif promise.previous != before and not (first and fold.start):
                problem = f"it follows {_named(promise.previous)}, and the checkpoint before it is {_named(before)}"
        if problem is not None:
            yield Finding(
                code=Code.BAD_CHECKPOINT,
                stream=fold.stream,
                seq=each.seq,
                message=f"the entry that announces a checkpoint is wrong: {problem}",
            )
        root = fold.root(each.seq + 1)
        if root is None:
            return
        before, first = (each.seq + 1, root), False


def _named(previous: tuple[int, bytes] | None) -> str:
    return "none" if previous is None else f"{previous[0]} {format_base64(previous[1])}"


def compare_root(fold: TreeFold, size: int, root: bytes, what: str) -> Finding | None:
    """What is wrong with the entries, if somebody reliable says that there were so many with this root.

    None also where the entries do not follow each other up to there, which other findings say.

    Args:
        fold: the entries.
        size: how many there were.
        root: of their tree; 32 bytes.
        what: names who says so, such as `a signed checkpoint`.
    """
    if size > fold.size and not fold.is_broken:
        return Finding(
            code=Code.TRUNCATED,
            stream=fold.stream,
            seq=fold.size,
            last_seq=size - 1,
            expected=f"{size} entries",
            actual=f"{fold.size}",
            message=f"{what} proves that there were more entries: the end of the log was cut off",
        )
    found = fold.root(size)
    if found is None or found == root:
        return None
    return Finding(
        code=Code.SPLIT_VIEW,
        stream=fold.stream,
        seq=size - 1,
        expected=format_base64(root),
        actual=format_base64(found),
        message=f"{what} of size {size} has another root: the log showed another history then, or was rewritten since",
    )
