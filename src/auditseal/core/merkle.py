"""The Merkle tree over a log: hashing, and the frontier by which a tree grows without being read.

Leaf data is the 32-byte entry hash. A tree of n leaves is a row of complete subtrees, one for each bit that is set in
n; the frontier is their roots. A node is named by its level and its index in that level: it covers the leaves from
`index << level` to before `(index + 1) << level`, is known once these are, and never changes. Proofs are in
`merkle_proof`.

Source: RFC 9162 §2.1.1; `docs/spec/tree.md`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.scalar import HASH_BYTES, MAX_NUMBER
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_SIZE: Final = MAX_NUMBER
"""The largest number of leaves."""
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""

_SIZE_BYTES: Final = 8


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data): 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def leaf_hashes(data: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each, in a tight loop."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + each).digest() for each in data]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): 32 bytes, of two of 32."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The name of a node.

    Attributes:
        level: 0 for leaves; a node of level k has 2^k leaves under it.
        index: from 0, in its level.
    """

    level: int
    index: int

    @property
    def end(self) -> int:
        """The leaf after the last that is under it: the smallest tree that has this node."""
        return (self.index + 1) << self.level


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """Neighbours in one level that became known together.

    Attributes:
        level: of all.
        first_index: of the first.
        hashes: 32 bytes each, by index without a gap.
    """

    level: int
    first_index: int
    hashes: Sequence[bytes]

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        """Each as (level, index, hash)."""
        return ((self.level, index, each) for index, each in enumerate(self.hashes, self.first_index))


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The roots of a tree's complete subtrees: all that is needed to grow it and to know its root.

    Attributes:
        size: the number of leaves.
        nodes: 32 bytes each, the largest subtree first, one for each bit that is set in `size`.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what is no frontier.

        Raises:
            InputError: size out of range, or nodes that do not fit it.
        """
        if not 0 <= self.size <= MAX_SIZE:
            raise InputError(f"a tree has 0 to 2^63-1 leaves, not {self.size}")
        count = self.size.bit_count()
        if len(self.nodes) != count:
            raise InputError(f"a frontier of {self.size} leaves has {count} nodes, not {len(self.nodes)}")

    def root(self) -> bytes:
        """The root: 32 bytes."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for left in self.nodes[-2::-1]:
            root = node_hash(left, root)
        return root

    def append(self, leaf: bytes) -> Frontier:
        """The frontier with one leaf more; one node hash on average.

        Args:
            leaf: 32 bytes, as `leaf_hash` gives them.

        Raises:
            InputError: the tree is full.
        """
        nodes, carry = self.nodes, leaf
        size = self.size
        while size & 1:
            carry = node_hash(nodes[-1], carry)
            nodes = nodes[:-1]
            size >>= 1
        return Frontier(size=self.size + 1, nodes=(*nodes, carry))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """The frontier with more leaves, hashed level by level.

        Args:
            leaves: 32 bytes each, as `leaf_hashes` gives them.

        Raises:
            InputError: the tree is full.
        """
        return _grow(self, list(leaves), None)

    def to_bytes(self) -> bytes:
        """Size as 8 bytes, big-endian, then the nodes: the form in which a store keeps it."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.nodes)

    @classmethod
    def from_bytes(cls, stored: bytes) -> Frontier:
        """The inverse of `to_bytes`.

        Raises:
            InputError: another length than the size asks for.
        """
        size, rest = int.from_bytes(stored[:_SIZE_BYTES], "big"), stored[_SIZE_BYTES:]
        if len(stored) < _SIZE_BYTES or len(rest) != HASH_BYTES * size.bit_count():
            raise InputError(f"{len(stored)} bytes are no stored frontier")
        return cls(size=size, nodes=tuple(rest[at : at + HASH_BYTES] for at in range(0, len(rest), HASH_BYTES)))


def grow(frontier: Frontier, leaves: Iterable[bytes]) -> tuple[Frontier, list[NodeRun]]:
    """The frontier with more leaves, and every node that they complete, the leaves among them, from below.

    A store that keeps these nodes, or those from some level up, can serve any proof; see `merkle_proof`. A node that
    it does not keep is `root_of` the nodes under it, from any one level.

    Args:
        frontier: of the tree before.
        leaves: 32 bytes each, as `leaf_hashes` gives them.

    Raises:
        InputError: the tree is full.
    """
    runs: list[NodeRun] = []
    return _grow(frontier, list(leaves), runs), runs


def _grow(frontier: Frontier, row: list[bytes], runs: list[NodeRun] | None) -> Frontier:
    size = frontier.size + len(row)
    if size > MAX_SIZE:
        raise InputError("a tree has at most 2^63-1 leaves")
    sha256 = hashlib.sha256
    kept, new = list(frontier.nodes), []
    first, level = frontier.size, 0
    while row:
        if runs is not None:
            runs.append(NodeRun(level=level, first_index=first, hashes=row))
        if first & 1:  # the left one of the first pair is the subtree of this level in the frontier
            row = [kept.pop(), *row]
        if len(row) & 1:
            new.append(row[-1])
        pairs = iter(row)
        row = [sha256(b"\x01%b%b" % pair).digest() for pair in zip(pairs, pairs, strict=False)]
        first >>= 1
        level += 1
    return Frontier(size=size, nodes=(*kept, *reversed(new)))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes; over 2^k neighbouring nodes of one level, the node k levels above them."""
    return Frontier().extend(leaves).root()
