"""Checks a stream against what stands outside of the log: what the verifier remembers, and what anchors hold.

Neither can be rewritten by the log's operator, so that they show what signatures cannot: that the end was cut off, that
the whole log is an older copy, that another history was shown before, and that an entry claims another time than the
one at which it can have been made. An entry is after the anchor that lacks it, and before the anchor that has it.

Source: `docs/spec/verification.md`, "Anchors" and "The remembering verifier".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditseal.core.checkpoint import parse_checkpoint
from auditseal.core.checkpoint_check import CLOCK_TOLERANCE_MICROS, compare_root
from auditseal.core.report import AnchorSummary, Code, Finding
from auditseal.core.times import Micros, format_time, parse_time
from auditseal.errors import InputError, NotCheckedError, SignatureInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auditseal.core.checkpoint_check import CheckedStream
    from auditseal.core.log_keys import LogKeys
    from auditseal.core.note import Note
    from auditseal.core.remembered import Remembered
    from auditseal.core.tree_fold import TreeFold


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoredNote:
    """A checkpoint that an anchor holds.

    Attributes:
        note: as it was read.
        time: when it was kept, by the place's own clock; None where that cannot be believed.
        where: names the place for people.
    """

    note: Note
    time: Micros | None
    where: str

    @property
    def size(self) -> int:
        """The entries that it is over.

        Raises:
            InputError: the note is no checkpoint.
        """
        return parse_checkpoint(self.note.text).size


def check_remembered(fold: TreeFold, remembered: Remembered, checked: CheckedStream) -> Iterator[Finding]:
    """What of a remembered stream is not there any more; nothing where the walk began from it."""
    if fold.start or fold.is_broken:
        return
    size = remembered.size
    if fold.size < size and checked.longest <= fold.size:
        yield Finding(
            code=Code.ROLLED_BACK,
            stream=fold.stream,
            seq=fold.size,
            last_seq=size - 1,
            expected=f"{size} entries, proven before",
            actual=f"{fold.size}",
            message="the log is an older copy of itself: it is whole, and ends before what was proven earlier",
        )
        return
    found = compare_root(fold, size, remembered.frontier.root(), "what this verifier proved before")
    if found is not None:
        yield found


def check_anchors(
    fold: TreeFold, anchors: Sequence[AnchoredNote], keys: LogKeys
) -> tuple[list[Finding], list[AnchorSummary]]:
    """(what contradicts the anchors, those that agree by size).

    Raises:
        SignerError: a remote key could not be asked.
    """
    findings: list[Finding] = []
    agreed: list[AnchorSummary] = []
    for anchor in sorted(anchors, key=lambda each: each.size):
        size = anchor.size
        try:
            checkpoint = parse_checkpoint(anchor.note.text)
            keys.signer_of(anchor.note, checkpoint.origin)
        except (SignatureInvalidError, NotCheckedError, InputError) as error:
            unknown = isinstance(error, NotCheckedError)
            findings.append(
                Finding(
                    code=Code.UNKNOWN_SIGNER if unknown else Code.BAD_SIGNATURE,
                    stream=fold.stream,
                    message=f"the checkpoint of size {size} at {anchor.where}: {error}",
                )
            )
            continue
        found = compare_root(fold, size, checkpoint.root, f"the anchored checkpoint at {anchor.where}")
        if found is not None:
            findings.append(found)
        elif fold.root(size) is not None:
            time = None if anchor.time is None else format_time(anchor.time)
            agreed.append(AnchorSummary(where=anchor.where, size=size, time=time))
            findings += _check_times(fold, anchor, size)
    return findings, agreed


def _check_times(fold: TreeFold, anchor: AnchoredNote, size: int) -> Iterator[Finding]:
    """Times do not run back within a stream, so that the entries on both sides of the anchor speak for all."""
    if anchor.time is None:
        return
    last = _micros(fold.marks[size].time)
    if last is not None and last > anchor.time + CLOCK_TOLERANCE_MICROS:
        yield Finding(
            code=Code.MISDATED,
            stream=fold.stream,
            seq=size - 1,
            expected=f"{format_time(anchor.time)} or earlier",
            actual=format_time(last),
            message=f"the entry claims a later time than the anchor that has it: {anchor.where}",
        )
    after = _micros(fold.first_times.get(size, ""))
    if after is not None and after < anchor.time - CLOCK_TOLERANCE_MICROS:
        yield Finding(
            code=Code.MISDATED,
            stream=fold.stream,
            seq=size,
            expected=f"{format_time(anchor.time)} or later",
            actual=format_time(after),
            message=f"the entry claims an earlier time than the anchor that lacks it: {anchor.where}",
        )


def _micros(text: str) -> Micros | None:
    try:
        return parse_time(text)
    except InputError:
        return None
