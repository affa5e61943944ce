"""Merkle proofs: which nodes one needs, how it is made from them, and how it is checked.

A proof is a list of hashes. Each is a node that a store can keep for ever, or, at the right edge of the tree where
subtrees are still incomplete, is computed from a few of them; no proof reads more than two nodes a level.

Source: RFC 9162 §2.1.3 and §2.1.4; `docs/spec/tree.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auditseal.core.merkle import EMPTY_ROOT, MAX_SIZE, Address, node_hash
from auditseal.core.scalar import HASH_BYTES
from auditseal.errors import InputError, ProofInvalidError

Part = tuple[Address, ...]
"""What one hash of a proof is made of: one node, or, for a subtree that is still incomplete, the roots of the complete
ones that it consists of, from left to right."""
ReadNode = Callable[[int, int], bytes]
"""Gives the 32 bytes of the node at (level, index)."""


def inclusion_path_nodes(index: int, size: int) -> tuple[Part, ...]:
    """What the proof consists of that a leaf is in a tree, from the leaf's sibling up.

    Args:
        index: of the leaf.
        size: leaves in the tree.

    Raises:
        InputError: there is no such leaf, or size is out of range.
    """
    _check_size(size, "the tree")
    if not 0 <= index < size:
        raise InputError(f"a tree of {size} leaves has no leaf {index}")
    parts: list[Part] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            parts.append(_cover(middle, end))
            end = middle
        else:
            parts.append(_cover(first, middle))
            first = middle
    return tuple(reversed(parts))


def consistency_path_nodes(old_size: int, new_size: int) -> tuple[Part, ...]:
    """What the proof consists of that a tree is the beginning of another; nothing if it is empty or the same.

    Raises:
        InputError: the old tree is the larger, or a size is out of range.
    """
    _check_size(old_size, "the old tree")
    _check_size(new_size, "the new tree")
    if old_size > new_size:
        raise InputError(f"a tree of {new_size} leaves does not continue one of {old_size}")
    if old_size in (0, new_size):
        return ()
    parts: list[Part] = []
    first, end = 0, new_size
    while end != old_size:
        middle = first + _split(end - first)
        if old_size <= middle:
            parts.append(_cover(middle, end))
            end = middle
        else:
            parts.append(_cover(first, middle))
            first = middle
    if first > 0:  # the verifier knows the old root, and with it this node where it is the whole old tree
        parts.append(_cover(first, end))
    return tuple(reversed(parts))


def root_nodes(size: int) -> Part:
    """The complete subtrees that a tree consists of, from left to right; those of its frontier.

    Raises:
        InputError: size is out of range.
    """
    _check_size(size, "the tree")
    return _cover(0, size)


def inclusion_proof(index: int, size: int, read_node: ReadNode) -> tuple[bytes, ...]:
    """The proof that a leaf is in a tree.

    Args:
        index: of the leaf.
        size: leaves in the tree; the store may hold more.
        read_node: gives the node at (level, index); asked for complete nodes of this tree alone.

    Raises:
        InputError: as `inclusion_path_nodes`.
    """
    return tuple(_join(part, read_node) for part in inclusion_path_nodes(index, size))


def consistency_proof(old_size: int, new_size: int, read_node: ReadNode) -> tuple[bytes, ...]:
    """The proof that the tree of the new size begins with the tree of the old size.

    Raises:
        InputError: as `consistency_path_nodes`.
    """
    return tuple(_join(part, read_node) for part in consistency_path_nodes(old_size, new_size))


def root_at(size: int, read_node: ReadNode) -> bytes:
    """The root of a tree of any earlier size, from the stored nodes.

    Raises:
        InputError: size is out of range.
    """
    return _join(root_nodes(size), read_node) if size else EMPTY_ROOT


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Returns if the path proves that the leaf stands at this index in the tree of this size and root.

    Args:
        leaf: the leaf's hash, 32 bytes.
        index: of the leaf.
        size: leaves in the tree.
        path: 32 bytes each, from the leaf's sibling up; exactly as many as the place asks for.
        root: 32 bytes.

    Raises:
        ProofInvalidError: it does not, or there is no such leaf.
        InputError: a number is out of range, or a hash does not have 32 bytes.
    """
    _check_size(size, "the tree")
    if not 0 <= index < MAX_SIZE:
        raise InputError(f"there is no leaf {index}: leaves are counted from 0 to below 2^63-1")
    _check_hashes(leaf, root, *path)
    if index >= size:
        raise ProofInvalidError(f"a tree of {size} leaves has no leaf {index}")
    place, last, hash_ = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofInvalidError(f"the inclusion proof of leaf {index} of {size} is too long")
        if place & 1 or place == last:
            hash_ = node_hash(sibling, hash_)
            # Where the leaf's subtree is the last of its level and has no sibling, the level is skipped.
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            hash_ = node_hash(hash_, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofInvalidError(f"the inclusion proof of leaf {index} of {size} is too short")
    if hash_ != root:
        raise ProofInvalidError(f"leaf {index} is not in the tree of {size} leaves with this root")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Returns if the path proves that the new tree begins with the old one.

    Every tree begins with the empty one: from size 0 the path is empty, and the old root is that of no leaves.

    Args:
        old_size: leaves of the old tree.
        old_root: its root, 32 bytes.
        new_size: leaves of the new tree.
        new_root: its root, 32 bytes.
        path: 32 bytes each; exactly as many as the sizes ask for.

    Raises:
        ProofInvalidError: it does not; the new tree is the smaller, or is empty and has another root, among it.
        InputError: a size is out of range, or a hash does not have 32 bytes.
    """
    _check_size(old_size, "the old tree")
    _check_size(new_size, "the new tree")
    _check_hashes(old_root, new_root, *path)
    if old_size > new_size:
        raise ProofInvalidError(f"the tree has shrunk from {old_size} leaves to {new_size}")
    for size, root in ((old_size, old_root), (new_size, new_root)):
        if size == 0 and root != EMPTY_ROOT:
            raise ProofInvalidError("a tree of 0 leaves has another root than the empty one")
    if old_size in (0, new_size):
        if path:
            raise ProofInvalidError(f"from {old_size} to {new_size} leaves the consistency proof is empty; this is not")
        if old_size and old_root != new_root:
            raise ProofInvalidError(f"there are two trees of {old_size} leaves with different roots")
        return
    _fold_consistency(old_size, old_root, new_size, new_root, path)


def _fold_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """The case 0 < old < new. RFC 9162 §2.1.4.2."""
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    # Where the old tree is complete it is a node of the new one, and the path leaves out what its root says.
    rest = iter(path if place else (old_root, *path))
    old_hash = new_hash = next(rest, b"")
    if not old_hash:
        raise ProofInvalidError(f"the consistency proof from {old_size} to {new_size} leaves is too short")
    for sibling in rest:
        if last == 0:
            raise ProofInvalidError(f"the consistency proof from {old_size} to {new_size} leaves is too long")
        if place & 1 or place == last:
            old_hash, new_hash = node_hash(sibling, old_hash), node_hash(sibling, new_hash)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new_hash = node_hash(new_hash, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofInvalidError(f"the consistency proof from {old_size} to {new_size} leaves is too short")
    if (old_hash, new_hash) != (old_root, new_root):
        raise ProofInvalidError(f"the tree of {new_size} leaves does not begin with the tree of {old_size}")


def _split(count: int) -> int:
    """The largest power of two below `count` (2 or more): where a tree divides."""
    return 1 << (count - 1).bit_length() - 1


def _cover(first: int, end: int) -> Part:
    """The complete subtrees of a range that begins where a subtree of its size may begin, the largest first."""
    parts = []
    while first < end:
        level = (end - first).bit_length() - 1
        parts.append(Address(level=level, index=first >> level))
        first += 1 << level
    return tuple(parts)


def _join(part: Part, read_node: ReadNode) -> bytes:
    hashes = [read_node(node.level, node.index) for node in part]
    joined = hashes.pop()
    while hashes:
        joined = node_hash(hashes.pop(), joined)
    return joined


def _check_size(size: int, what: str) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise InputError(f"{what} has {size} leaves; 0 to 2^63-1 are possible")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise InputError(f"a proof consists of hashes of {HASH_BYTES} bytes")
