"""The ranges of entries that an account speaks for: signed by a witnessed call, themselves or through a checkpoint.

Source: `docs/spec/reconciliation.md` §6.
"""

from __future__ import annotations

from bisect import bisect_right
from heapq import merge
from typing import TYPE_CHECKING

from auditseal.core.account import AccountedRange
from auditseal.core.grade import subtract
from auditseal.core.heads import HEADS_STREAM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from auditseal.core.expectation import Expectation
    from auditseal.core.reconcile import Reconciliation, Window
    from auditseal.ports import Source
    from auditseal.service.accounting.ports import Ledger

_Stretch = tuple[str, int, int]
"""(stream, first seq, last seq)."""


def accounted_ranges(ledger: Ledger, joint: Reconciliation, expectation: Expectation, window: Window) -> list[_Stretch]:
    """The ranges, by stream and seq; none where there is too much that no call accounts for.

    An entry whose own signature is not accounted for is in none, whatever checkpoint is over it.
    """
    if not joint.exceptions_are_all:
        return []
    bad: dict[str, list[tuple[int, int]]] = {}
    for stream, seq, first_seq in joint.exceptions:
        if first_seq is None:
            bad.setdefault(stream, []).append((seq, seq + 1))
    good = (
        (span.stream, span.first_seq, span.last_seq)
        for span in ledger.spans()
        if span.at in window
        and span.signer in expectation.key_of_signer
        and (span.stream, span.last_seq, span.first_seq if span.by_checkpoint else None) not in joint.exceptions
    )
    joined = list(_joined(good))
    heads = [(first, last) for stream, first, last in joined if stream == HEADS_STREAM]
    covered = ((stream, first, last) for stream, first, last, seq in ledger.covers() if _holds(heads, seq))
    return [
        (stream, first, end - 1)
        for stream, begin, last in _joined(merge(joined, covered))
        for first, end in subtract((begin, last + 1), bad.get(stream, ()))
    ]


def with_heads(log: Source, stretches: Sequence[_Stretch]) -> tuple[AccountedRange, ...]:
    """The ranges with the hash of each one's last entry; one whose last entry is not there any more is left out.

    Raises:
        StoreError: the log cannot be read.
    """
    wanted = {(stream, last) for stream, _, last in stretches}
    heads: dict[tuple[str, int], bytes] = {}
    if hasattr(log, "entry"):
        for place in wanted:
            entry = log.entry(*place)
            if entry is not None:
                heads[place] = entry.hash
    elif wanted:
        for entry in log.walk(sorted({stream for stream, _ in wanted})):
            if (entry.stream, entry.seq) in wanted:
                heads[entry.stream, entry.seq] = entry.hash
    return tuple(
        AccountedRange(stream=stream, first_seq=first, last_seq=last, head=heads[stream, last])
        for stream, first, last in stretches
        if (stream, last) in heads
    )


def _joined(stretches: Iterable[_Stretch]) -> Iterator[_Stretch]:
    """The same entries in as few stretches as possible; by stream and first seq, as they come."""
    current: _Stretch | None = None
    for stretch in stretches:
        if current is None or current[0] != stretch[0] or stretch[1] > current[2] + 1:
            if current is not None:
                yield current
            current = stretch
        elif stretch[2] > current[2]:
            current = (current[0], current[1], stretch[2])
    if current is not None:
        yield current


def _holds(stretches: Sequence[tuple[int, int]], seq: int) -> bool:
    index = bisect_right(stretches, (seq, 1 << 62)) - 1
    return index >= 0 and stretches[index][0] <= seq <= stretches[index][1]
