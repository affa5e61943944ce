"""What a segment of a verification remembers of one stream: the ends of its runs, its tree, and who signed which range.

Source: `docs/spec/verification.md`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auditseal.core.report import Code, Finding, SignedRange, StreamSummary
from auditseal.core.run import ChainFold
from auditseal.core.stored_rows import HASH
from auditseal.core.tree_part import TreePart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.handover_check import GoodHandover
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.stored_rows import StoredRow


class StreamPart:
    """What a segment remembers of one stream."""

    def __init__(self, stream: str, sizes: frozenset[int]) -> None:
        """Begins.

        Args:
            stream: its name.
            sizes: at which its tree will be asked for.
        """
        self.fold = ChainFold(stream)
        self.tree = TreePart(sizes)
        self._signed = 0
        self._first_time = ""
        self._last_time = ""
        self._ranges: list[SignedRange] = []
        # The range that grows, kept apart since a range that is made anew for every entry costs more than its check.
        self._signer: RegisteredSigner | None = None
        self._first = self._last = -1
        # Entries without any signature, by range: in a log of checkpoints these are all.
        self._unsigned: list[list[int]] = []
        self._unsigned_ids: dict[int, str | None] = {}
        self.handovers: list[GoodHandover] = []

    def count(self, first: int, last: int, times: tuple[str, str], signer: RegisteredSigner | None) -> None:
        """Takes note of entries that follow each other and of who signed them.

        Args:
            first: the seq of the first.
            last: the seq of the last.
            times: which the first and the last claim; "" where unreadable.
            signer: of each of them; None if none has a signature that verifies.
        """
        self._first_time = self._first_time or times[0]
        self._last_time = times[1] or self._last_time
        if signer is None:
            return
        self._signed += last - first + 1
        if signer is not self._signer or first != self._last + 1:
            self.close_range()
            self._signer, self._first = signer, first
        self._last = last

    def extend(self, rows: Sequence[StoredRow], signer: RegisteredSigner | None) -> list[Finding]:
        """Takes entries that are sound by themselves and follow each other.

        Args:
            rows: one for each; no size at which the tree will be asked for lies between them.
            signer: who signed them all; None if nobody did.

        Returns:
            what is wrong with how the first follows the entry before it.
        """
        (_, first, id_, first_time, _, _, _, prev_hash, hash_, *_) = rows[0]
        (_, last, _, last_time, _, _, _, last_prev_hash, last_hash, *_) = rows[-1]
        found = self.fold.add(first, prev_hash, hash_, first_time, id_)
        self.fold.extend(last, last_prev_hash, last_hash, last_time)
        self.count(first, last, (first_time, last_time), signer)
        if signer is None:
            self.leave_range_unsigned(first, last, id_)
        self.tree.extend(first, [row[HASH] for row in rows], first_time, last_time)
        return found

    def leave_range_unsigned(self, first: int, last: int, first_id: str | None) -> None:
        """Takes note of entries without a signature."""
        if self._unsigned and self._unsigned[-1][1] + 1 == first:
            self._unsigned[-1][1] = last
            return
        self._unsigned.append([first, last])
        self._unsigned_ids[first] = first_id

    def unsigned_findings(self) -> list[Finding]:
        """One for each range of entries without a signature."""
        return [
            Finding(
                code=Code.UNSIGNED,
                stream=self.fold.stream,
                seq=first,
                last_seq=last,
                entry_id=self._unsigned_ids.get(first) if first == last else None,
                message="no signature covers it",
            )
            for first, last in self._unsigned
        ]

    def join(self, following: StreamPart) -> list[Finding]:
        """Takes over the part that comes next."""
        for first, last in following._unsigned:
            if self._unsigned and self._unsigned[-1][1] + 1 == first:
                self._unsigned[-1][1] = last
            else:
                self._unsigned.append([first, last])
        self._unsigned_ids.update(following._unsigned_ids)
        self.handovers += following.handovers
        self.close_range()
        following.close_range()
        self._signed += following._signed
        self._first_time = self._first_time or following._first_time
        self._last_time = following._last_time or self._last_time
        for range_ in following._ranges:
            self._add_range(range_)
        self.tree.join(following.tree)
        return self.fold.merge(following.fold)

    def summary(self) -> StreamSummary:
        """The stream as a whole."""
        self.close_range()
        return StreamSummary(
            stream=self.fold.stream,
            entries=self.fold.entries,
            signed=self._signed,
            first_seq=self.fold.first_seq,
            last_seq=self.fold.last_seq,
            first_time=self._first_time,
            last_time=self._last_time,
            head=self.fold.head,
            signed_by=tuple(self._ranges),
        )

    def close_range(self) -> None:
        """Ends the range that grows."""
        signer, self._signer = self._signer, None
        if signer is None:
            return
        self._add_range(
            SignedRange(
                signer=signer.signer_id,
                algorithm=signer.algorithm.id,
                first_seq=self._first,
                last_seq=self._last,
                development=signer.development,
            )
        )

    def _add_range(self, range_: SignedRange) -> None:
        last = self._ranges[-1] if self._ranges else None
        if last is not None and last.last_seq + 1 == range_.first_seq and last.signer == range_.signer:
            self._ranges[-1] = replace(last, last_seq=range_.last_seq)
        else:
            self._ranges.append(range_)
