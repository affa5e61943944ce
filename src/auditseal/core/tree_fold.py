"""A stream's tree as a walk through the log has found it, at the sizes that somebody asks about.

The tree is known as far as the entries follow each other without a gap. It is kept where a checkpoint was announced,
anchored or remembered, and at its end.

Source: `docs/spec/verification.md`, "Checkpoints".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditseal.core.merkle import Frontier
from auditseal.core.tree_part import push

if TYPE_CHECKING:
    from auditseal.core.times import Micros
    from auditseal.core.tree_part import Announced, Node, TreePart


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The tree at one size.

    Attributes:
        frontier: of the tree.
        head: the hash of its last entry; 32 bytes.
        time: which that entry claims; "" where unreadable.
    """

    frontier: Frontier
    head: bytes
    time: str


class TreeFold:
    """The tree of one stream."""

    def __init__(
        self, stream: str, part: TreePart, *, start: Mark | None = None, promised: Micros | None = None
    ) -> None:
        """Joins what the walk has found.

        Args:
            stream: its name.
            part: of the whole walk.
            start: the tree that was proven before, where the walk began; None: from the first entry.
            promised: when the next checkpoint was due, as those entries had it.
        """
        self.stream = stream
        self.size = self.start = 0 if start is None else start.frontier.size
        self.marks: dict[int, Mark] = {} if start is None else {self.size: start}
        self.first_times: dict[int, str] = {}
        self.announced: list[Announced] = sorted(part.announced, key=lambda each: each.seq)
        self.heads = part.heads
        self.last_time = "" if start is None else start.time
        self.is_broken = False
        promises = [each.promise for each in self.announced if each.promise is not None]
        self.promised = promises[-1].next_by if promises else promised
        self._fold(part, start)

    def root(self, size: int) -> bytes | None:
        """The root at a size that was asked for; None where the entries do not reach or do not follow."""
        mark = self.marks.get(size)
        return None if mark is None else mark.frontier.root()

    def _fold(self, part: TreePart, start: Mark | None) -> None:
        nodes = [] if start is None else _nodes_of(start.frontier)
        part.close()
        stretches = sorted(part.stretches, key=lambda each: each.first)
        for stretch in stretches:
            if stretch.end <= self.size:
                continue
            if stretch.first != self.size:
                self.is_broken = True
                return
            self.first_times[stretch.first] = stretch.first_time
            for node in stretch.nodes:
                push(nodes, node)
            self.size, self.last_time = stretch.end, stretch.last_time
            if stretch.is_marked or stretch is stretches[-1]:
                frontier = Frontier(size=self.size, nodes=tuple(hash_ for _, _, hash_ in nodes))
                self.marks[self.size] = Mark(frontier=frontier, head=stretch.last_hash, time=stretch.last_time)


def _nodes_of(frontier: Frontier) -> list[Node]:
    nodes: list[Node] = []
    end = 0
    hashes = iter(frontier.nodes)
    for level in range(frontier.size.bit_length() - 1, -1, -1):
        if frontier.size >> level & 1:
            nodes.append((level, end >> level, next(hashes)))
            end += 1 << level
    return nodes
