"""A stream's Merkle tree over a store: grown with the entries, read for proofs.

Nothing is kept for the leaves, which follow from the entries; a node is kept for every 256 entries, and one for every
256 of these, and so on. Growing needs each entry's hash once, and reads those that this process did not just append; a
proof reads a bounded range on each kept level.

Source: `docs/spec/tree.md`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from auditseal.core.merkle import Frontier, grow, leaf_hashes, root_of
from auditseal.core.merkle_proof import consistency_proof, inclusion_proof, root_at, root_nodes
from auditseal.errors import StoreError
from auditseal.service.recent_hashes import RecentHashes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.ports import CheckpointStore

KEPT_LEVELS: Final = 8
"""Nodes of every so many levels are kept."""
_STEP: Final = 4096
_ROOTS: Final = 4
"""So many roots are remembered: a checkpoint names that of the one before it."""


class StreamTree:
    """The tree of one stream. Safe to use from many threads."""

    def __init__(self, store: CheckpointStore, stream: str) -> None:
        self._store = store
        self._stream = stream
        self._lock = threading.Lock()
        self._frontier: Frontier | None = None
        self._recent = RecentHashes()
        self._roots: dict[int, bytes] = {}

    def appended(self, first: int, hashes: Sequence[bytes]) -> None:
        """This process has just appended entries: their hashes, from seq `first` on, need not be read."""
        self._recent.add(first, hashes)

    def grow_to(self, size: int) -> Frontier:
        """The frontier at a size; the nodes that are complete by then are kept, if they were not.

        Args:
            size: leaves; all of these entries are in the store.

        Raises:
            StoreError: an entry is missing, or the store failed.
        """
        with self._lock:
            if self._frontier is None:
                self._frontier = self._load()
            if self._frontier.size > size:
                return self._frontier_at(size)
            while self._frontier.size < size:
                self._frontier = self._step(self._frontier, min(size, self._frontier.size + _STEP))
            self._roots = dict([*self._roots.items(), (size, self._frontier.root())][-_ROOTS:])
            return self._frontier

    def root(self, size: int) -> bytes:
        """The root at a size."""
        return self._roots.get(size) or root_at(size, self.read_node)

    def inclusion(self, seq: int, size: int) -> tuple[bytes, ...]:
        """The proof that the entry `seq` is a leaf of the tree of a size.

        Raises:
            InputError: it is not.
            StoreError: an entry is missing.
        """
        return inclusion_proof(seq, size, self.read_node)

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """The proof that the tree of the new size begins with that of the old one.

        Raises:
            InputError: the old one is the larger.
            StoreError: an entry is missing.
        """
        return consistency_proof(old_size, new_size, self.read_node)

    def read_node(self, level: int, index: int) -> bytes:
        """One complete node, from what is kept, or from the entries where that is not there."""
        base = level - level % KEPT_LEVELS
        while True:
            first, end = index << (level - base), (index + 1) << (level - base)
            row = self._row(base, first, end)
            if len(row) == end - first:
                return root_of(row)
            if base == 0:
                raise StoreError(f"{self._stream} has no entry {first + len(row)}: verify the log")
            base -= KEPT_LEVELS

    def _row(self, level: int, first: int, end: int) -> list[bytes]:
        if level:
            return self._store.nodes(self._stream, level, first, end)
        return leaf_hashes(self._store.entry_hashes(self._stream, first, end))

    def _load(self) -> Frontier:
        return self._frontier_at(self._store.count_nodes(self._stream, KEPT_LEVELS) << KEPT_LEVELS)

    def _frontier_at(self, size: int) -> Frontier:
        nodes = tuple(self.read_node(node.level, node.index) for node in root_nodes(size))
        return Frontier(size=size, nodes=nodes)

    def _step(self, frontier: Frontier, size: int) -> Frontier:
        grown, runs = grow(frontier, leaf_hashes(self._hashes(frontier.size, size)))
        kept = [node for run in runs if run.level and not run.level % KEPT_LEVELS for node in run]
        if kept:
            self._store.add_nodes(self._stream, kept)
        return grown

    def _hashes(self, first: int, end: int) -> list[bytes]:
        """The hashes of a range of entries, of which this process may have appended some."""
        hashes: list[bytes] = []
        while (at := first + len(hashes)) < end:
            run = self._recent.take(at, end)
            if not run:
                until = self._recent.until(at, end)
                run = self._store.entry_hashes(self._stream, at, until)
                if len(run) != until - at:
                    raise StoreError(f"{self._stream} has no entry {at + len(run)}: verify the log")
            hashes += run
        return hashes
