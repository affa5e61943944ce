"""Parts of a stream's Merkle tree, computed apart from each other and joined.

A stretch of neighbouring leaves is kept as the fewest complete subtrees that it consists of. Two stretches that meet
are joined without their leaves, so that each part of a log can be hashed on its own, in any process.

Source: RFC 9162 §2.1.1; `docs/spec/verification.md`, "Checkpoints".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.heads import HeadsRoot
from auditseal.core.merkle import leaf_hashes, node_hash
from auditseal.core.promise import Promise
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUFFER: Final = 4096

Node = tuple[int, int, bytes]
"""Level, index, hash: as `auditseal.core.merkle.Address` has them."""


@dataclass(slots=True, kw_only=True)
class Stretch:
    """Leaves that follow each other.

    Attributes:
        first, end: the first leaf, and the one after the last.
        nodes: the complete subtrees, from left to right.
        first_time, last_time: which the first and the last entry claim; "" where unreadable.
        last_hash: of the last entry; 32 bytes.
        is_marked: whether the tree will be asked for at its end.
    """

    first: int
    end: int
    nodes: list[Node]
    first_time: str
    last_time: str
    last_hash: bytes
    is_marked: bool = False

    def join(self, following: Stretch) -> None:
        """Takes over the stretch that begins where this one ends."""
        for node in following.nodes:
            push(self.nodes, node)
        self.end, self.is_marked = following.end, following.is_marked
        self.last_time, self.last_hash = following.last_time, following.last_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """An entry of type `auditseal.checkpoint` as it was read.

    Attributes:
        seq: its place.
        time: which it claims.
        promise: what it says; None if it cannot be read.
        problem: why not, else None.
    """

    seq: int
    time: str
    promise: Promise | None
    problem: str | None = None


class TreePart:
    """What a segment of a walk finds out about one stream's tree."""

    def __init__(self, sizes: frozenset[int] = frozenset()) -> None:
        """Begins.

        Args:
            sizes: at which the tree will be asked for, besides those that the entries themselves announce.
        """
        self.stretches: list[Stretch] = []
        self.announced: list[Announced] = []
        self.heads: dict[int, HeadsRoot] = {}
        self._sizes = sizes
        self._hashes: list[bytes] = []
        self._end = -1
        self._first_time = self._last_time = ""

    def add(self, seq: int, hash_: bytes, time: str) -> None:
        """Takes the next entry; one that stands at a place that was taken already is others' to report."""
        if seq != self._end:
            if seq == self._end - 1:
                return
            self._cut(is_marked=False)
            self._end = seq
        if not self._hashes:
            self._first_time = time
        self._hashes.append(hash_)
        self._last_time = time
        self._end = end = seq + 1
        if end in self._sizes:
            self._cut(is_marked=True)
        elif len(self._hashes) >= _BUFFER:
            self._cut(is_marked=False)

    def extend(self, first: int, hashes: list[bytes], first_time: str, last_time: str) -> None:
        """Takes entries that follow each other and the last one taken, if any was.

        Args:
            first: the seq of the first; no size at which the tree will be asked for lies between them.
            hashes: of all.
            first_time: which the first claims.
            last_time: which the last claims.
        """
        self._end = first
        if not self._hashes:
            self._first_time = first_time
        self._hashes += hashes
        self._last_time = last_time
        self._end = end = first + len(hashes)
        if end in self._sizes or len(self._hashes) >= _BUFFER:
            self._cut(is_marked=end in self._sizes)

    def announce(self, seq: int, time: str, payload: Mapping[str, Any]) -> None:
        """Takes what an entry of type `auditseal.checkpoint` says, after the entry itself."""
        promise, problem = None, None
        try:
            promise = Promise.from_payload(payload)
        except InputError as error:
            problem = str(error)
        self.announced.append(Announced(seq=seq, time=time, promise=promise, problem=problem))
        if self._end == seq + 1:
            self._cut(is_marked=True)

    def cover(self, seq: int, payload: Mapping[str, Any]) -> None:
        """Takes what an entry of type `auditseal.heads` says; one that cannot be read covers nothing."""
        try:
            self.heads[seq] = HeadsRoot.from_payload(payload)
        except InputError:
            return

    def close(self) -> None:
        """Hashes what is left; further entries begin a new stretch."""
        self._cut(is_marked=False)

    def join(self, following: TreePart) -> None:
        """Takes over the part of the entries that come next in the source."""
        self.close()
        following.close()
        for stretch in following.stretches:
            self._append(stretch)
        self.announced += following.announced
        self.heads.update(following.heads)

    def _cut(self, *, is_marked: bool) -> None:
        if not self._hashes:
            if is_marked and self.stretches and self.stretches[-1].end == self._end:
                self.stretches[-1].is_marked = True
            return
        first = self._end - len(self._hashes)
        stretch = Stretch(
            first=first,
            end=self._end,
            nodes=subtrees(first, leaf_hashes(self._hashes)),
            first_time=self._first_time,
            last_time=self._last_time,
            last_hash=self._hashes[-1],
            is_marked=is_marked,
        )
        self._hashes = []
        self._append(stretch)

    def _append(self, stretch: Stretch) -> None:
        last = self.stretches[-1] if self.stretches else None
        if last is not None and last.end == stretch.first and not last.is_marked:
            last.join(stretch)
        else:
            self.stretches.append(stretch)


def subtrees(first: int, row: list[bytes]) -> list[Node]:
    """The complete subtrees of neighbouring leaves, from left to right, hashed level by level.

    Args:
        first: the index of the first leaf.
        row: leaf hashes, 32 bytes each.
    """
    left: list[Node] = []
    right: list[Node] = []
    level = 0
    while row:
        if first & 1:
            left.append((level, first, row[0]))
            row, first = row[1:], first + 1
        if len(row) & 1:
            right.append((level, first + len(row) - 1, row[-1]))
        pairs = iter(row)
        row = [node_hash(*pair) for pair in zip(pairs, pairs, strict=False)]
        first >>= 1
        level += 1
    return [*left, *reversed(right)]


def push(nodes: list[Node], node: Node) -> None:
    """Appends a complete subtree that begins where the last one ends; two halves become one."""
    level, index, hash_ = node
    while nodes and index & 1 and nodes[-1][0] == level and nodes[-1][1] == index - 1:
        hash_ = node_hash(nodes.pop()[2], hash_)
        level, index = level + 1, index >> 1
    nodes.append((level, index, hash_))
