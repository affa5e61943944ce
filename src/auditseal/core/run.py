"""Runs: stretches of one stream whose entries follow each other, and how they join into a whole.

A log can be cut anywhere: each part is folded on its own, in any order, on any machine, and the folds are merged. What
a fold cannot decide alone (does the first entry follow one before it?) stays open in its runs' ends and is decided
where two ends meet. Memory grows with the number of discontinuities, not of entries.

Source: `docs/spec/verification.md` §3.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditseal.core.chain import NO_HASH
from auditseal.core.report import Code, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

# More branches than this at one place are counted, not told apart.
_MAX_BRANCHES = 64


@dataclass(slots=True, kw_only=True)
class _Run:
    """Entries `first` to `last` without a gap.

    Attributes:
        openings: the `prev_hash` of each entry at `first` (several where the stream forks there).
        tips: the hash of each entry at `last`.
        followed: what entries at `last` may follow: the hashes at `last - 1`; at `first`, the openings.
        first_time, last_time: the first and the last that can be read, as claimed, RFC 3339; "" without any.
        timed: the seq of `first_time`.
    """

    first: int
    last: int
    openings: set[bytes]
    tips: set[bytes]
    followed: set[bytes]
    first_time: str
    last_time: str
    timed: int


class ChainFold:
    """Folds the places and links of one stream's entries; says what does not fit as soon as that is sure."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.entries = 0
        self._runs: list[_Run] = []

    @classmethod
    def resume(cls, stream: str, *, size: int, head: bytes, time: str) -> ChainFold:
        """A fold that takes so many entries for proven; they are not counted.

        Args:
            stream: its name.
            size: how many, from the first.
            head: the hash of the last of them.
            time: which that one claims.
        """
        fold = cls(stream)
        whole = _Run(
            first=0,
            last=size - 1,
            openings={NO_HASH},
            tips={head},
            followed=set(),
            first_time=time,
            last_time=time,
            timed=size - 1,
        )
        fold._runs.append(whole)
        return fold

    def add(self, seq: int, prev_hash: bytes, hash_: bytes, time: str, entry_id: str | None = None) -> list[Finding]:
        """Takes one entry, in any order; entries in order of seq cost the least.

        Args:
            seq: its number, ≥ 0.
            prev_hash: as stored.
            hash_: as stored; whether the body hashes to it is another step's matter.
            time: as the body claims.
            entry_id: the event's id, for findings.

        Returns:
            `broken-link`, `time-runs-back`, `duplicate-seq` or `fork`, if so.
        """
        self.entries += 1
        run = self._runs[-1] if self._runs else None
        if run is not None and seq == run.last + 1:
            found = []
            if prev_hash not in run.tips:
                found.append(self._broken(run.tips, seq, prev_hash, entry_id))
            if time and time < run.last_time:
                found.append(self._back(run.last_time, seq, time, entry_id))
            run.last, run.followed, run.tips = seq, run.tips, {hash_}
            run.last_time = time or run.last_time
            if not run.first_time:
                run.first_time, run.timed = time, seq
            return found
        found = [] if seq or prev_hash == NO_HASH else [self._broken({NO_HASH}, seq, prev_hash, entry_id)]
        if run is not None and seq == run.last:
            return [*found, self._same_place(run, seq, prev_hash, hash_, entry_id)]
        single = _Run(
            first=seq,
            last=seq,
            openings={prev_hash},
            tips={hash_},
            followed={prev_hash},
            first_time=time,
            last_time=time,
            timed=seq,
        )
        return [*found, *self._insert(single, entry_id)]

    def extend(self, last: int, prev_hash: bytes, hash_: bytes, time: str) -> None:
        """Takes the entries after the one that was added last, which are known to follow each other and to have times.

        Args:
            last: the seq of the last of them.
            prev_hash: of that one, as stored.
            hash_: of that one, as stored.
            time: as that one claims.
        """
        run = self._runs[-1]
        self.entries += last - run.last
        run.last, run.followed, run.tips, run.last_time = last, {prev_hash}, {hash_}, time

    def merge(self, other: ChainFold) -> list[Finding]:
        """Joins the fold of another, disjoint part of the same stream into this one; `other` is spent."""
        self.entries += other.entries
        return [finding for run in other._runs for finding in self._insert(run, None)]

    def finish(self) -> list[Finding]:
        """What is missing now that all parts are in: the gaps, from seq 0 on."""
        found = []
        expected = 0
        for run in self._runs:
            if run.first > expected:
                found.append(
                    Finding(
                        code=Code.MISSING_ENTRY,
                        stream=self.stream,
                        seq=expected,
                        last_seq=run.first - 1,
                        message="not in the log, although later entries are",
                    )
                )
            expected = run.last + 1
        return found

    @property
    def first_seq(self) -> int:
        """The lowest seq that was read; -1 without entries."""
        return self._runs[0].first if self._runs else -1

    @property
    def last_seq(self) -> int:
        """The highest seq that was read; -1 without entries."""
        return self._runs[-1].last if self._runs else -1

    @property
    def head(self) -> bytes:
        """The hash at the highest seq: 32 bytes, or empty without entries."""
        return min(self._runs[-1].tips) if self._runs else b""

    def _insert(self, run: _Run, entry_id: str | None) -> Iterator[Finding]:
        index = bisect_right(self._runs, run.first, key=lambda other: other.first)
        before = self._runs[index - 1] if index else None
        after = self._runs[index] if index < len(self._runs) else None
        if (before is not None and before.last >= run.first) or (after is not None and run.last >= after.first):
            yield from self._overlap(run, before, after, entry_id)
            return
        if before is not None and before.last + 1 == run.first:
            yield from self._join(before, run, entry_id)
            run = before
            index -= 1
        else:
            self._runs.insert(index, run)
        if after is not None and run.last + 1 == after.first:
            yield from self._join(run, after, None)
            del self._runs[index + 1]

    def _join(self, left: _Run, right: _Run, entry_id: str | None) -> Iterator[Finding]:
        for opening in sorted(right.openings - left.tips):
            yield self._broken(left.tips, right.first, opening, entry_id)
        if right.first_time and right.first_time < left.last_time:
            yield self._back(left.last_time, right.timed, right.first_time, entry_id)
        if not left.first_time:
            left.first_time, left.timed = right.first_time, right.timed
        left.followed = left.tips if right.first == right.last else right.followed
        left.last, left.tips = right.last, right.tips
        left.last_time = right.last_time or left.last_time

    def _overlap(self, run: _Run, before: _Run | None, after: _Run | None, entry_id: str | None) -> Iterator[Finding]:
        """Entries whose places are taken: named, and not kept, since the log is proven wrong already."""
        for taken in (before, after):
            if taken is None:
                continue
            first, last = max(run.first, taken.first), min(run.last, taken.last)
            if first > last:
                continue
            if first == last == run.last == taken.last and run.first == run.last:
                for prev_hash in sorted(run.openings):
                    for tip in sorted(run.tips):
                        yield self._same_place(taken, first, prev_hash, tip, entry_id)
                continue
            yield Finding(
                code=Code.DUPLICATE_SEQ,
                stream=self.stream,
                seq=first,
                last_seq=last,
                entry_id=entry_id,
                message="stands more than once in the log",
            )

    def _same_place(self, run: _Run, seq: int, prev_hash: bytes, hash_: bytes, entry_id: str | None) -> Finding:
        known = hash_ in run.tips
        follows = prev_hash in run.followed
        expected = _hex(run.tips)
        if len(run.tips) < _MAX_BRANCHES:
            run.tips.add(hash_)
        if run.first == run.last:
            run.openings.add(prev_hash)
        if known or not follows:
            return Finding(
                code=Code.DUPLICATE_SEQ,
                stream=self.stream,
                seq=seq,
                entry_id=entry_id,
                expected=expected,
                actual=hash_.hex(),
                message="the same entry stands twice in the log" if known else "two entries have this number",
            )
        return Finding(
            code=Code.FORK,
            stream=self.stream,
            seq=seq,
            entry_id=entry_id,
            expected=expected,
            actual=hash_.hex(),
            message="the stream forks here: two entries follow the same one",
        )

    def _broken(self, tips: set[bytes], seq: int, prev_hash: bytes, entry_id: str | None) -> Finding:
        return Finding(
            code=Code.BROKEN_LINK,
            stream=self.stream,
            seq=seq,
            entry_id=entry_id,
            expected=_hex(tips) or "none",
            actual=prev_hash.hex() or "none",
            message="does not follow the entry before it",
        )

    def _back(self, last_time: str, seq: int, time: str, entry_id: str | None) -> Finding:
        return Finding(
            code=Code.TIME_RUNS_BACK,
            stream=self.stream,
            seq=seq,
            entry_id=entry_id,
            expected=f"{last_time} or later",
            actual=time,
            message="claims an earlier time than the entry before it",
        )


def _hex(hashes: set[bytes]) -> str:
    return " or ".join(sorted(hash_.hex() for hash_ in hashes))
