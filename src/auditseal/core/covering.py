"""What a signed checkpoint says of one entry under it: whether its tree has the entry, and if not, in which way.

Source: `docs/spec/verification.md`, "Checkpoints"; `docs/spec/tree.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Final

from auditseal.core.merkle import Frontier, leaf_hash, leaf_hashes
from auditseal.core.merkle_proof import inclusion_path_nodes, verify_inclusion
from auditseal.errors import InputError, ProofInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from auditseal.core.checkpoint import Checkpoint

_BLOCK: Final = 4096


class Outcome(StrEnum):
    """What became of an entry that was held against a checkpoint."""

    HOLDS = "holds"
    """The signed tree has the entry's stored hash at its place."""
    OTHER_HASH = "other-hash"
    """The signed tree has another hash there, and which is known."""
    OTHER_TREE = "other-tree"
    """These entries do not have the signed root: this one, or another under the checkpoint, is not what was signed."""
    BAD_CHECKPOINT = "bad-checkpoint"
    """The checkpoint is none that the log signed."""
    NOT_VALID = "not-valid"
    """Its signer was not valid there."""
    NOT_CHECKED = "not-checked"
    """Its signer is not known, or what is needed is not in the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covering:
    """A checkpoint over an entry, and what it says of it.

    Attributes:
        size: of the checkpoint.
        outcome: what it says.
        signer: signerId of who signed it, or the checkpoint that covers it; None where that is not known.
        development: whether that is a local key.
        heads_seq: of the entry of the stream of heads by which it is signed; None for one with its own signature.
        has: the hash that the signed tree has at the entry's place, so far as it is known.
        problem: why the checkpoint does not count; "" where it does.
        kept_differs: whether a node that the log keeps of the tree is not what the entries make.
    """

    size: int
    outcome: Outcome
    signer: str | None = None
    development: bool = False
    heads_seq: int | None = None
    has: bytes | None = None
    problem: str = ""
    kept_differs: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether it proves the entry's stored hash; None where that could not be checked."""
        return {Outcome.HOLDS: True, Outcome.NOT_CHECKED: None}.get(self.outcome, False)


def hash_at(seq: int, checkpoint: Checkpoint, path: Sequence[bytes], hashes: Iterable[bytes]) -> bytes | None:
    """The one of some entry hashes that a checkpoint's tree has at a place; None if it has none of them.

    Args:
        seq: the place.
        checkpoint: whose tree.
        path: the inclusion path of the place, which does not depend on what stands there; one that is none leads to
            none of the hashes.
        hashes: any number of bytes each.
    """
    for each in hashes:
        try:
            verify_inclusion(leaf_hash(each), seq, checkpoint.size, path, checkpoint.root)
        except (ProofInvalidError, InputError):
            continue
        return each
    return None


def inclusion_path(seq: int, size: int, hashes: Iterable[bytes]) -> tuple[bytes, ...]:
    """The inclusion path of a place, from all entries under a tree, in constant memory.

    Args:
        seq: the place.
        size: of the tree.
        hashes: the entry hashes from seq 0 on, in order; no more than `size` of them are taken.

    Raises:
        InputError: there are too few, or there is no such place.
    """
    parts = inclusion_path_nodes(seq, size)
    rest = iter(hashes)
    roots: dict[int, bytes] = {}
    at = 0
    for number, part in sorted(enumerate(parts), key=lambda each: each[1][0].index << each[1][0].level):
        if at == seq:
            at += len(list(islice(rest, 1)))
        end, frontier = part[-1].end, Frontier()
        while at < end:
            block = leaf_hashes(islice(rest, min(_BLOCK, end - at)))
            if not block:
                raise InputError(f"there are {at} entries, and the tree has {size}")
            frontier = frontier.extend(block)
            at += len(block)
        roots[number] = frontier.root()
    return tuple(roots[number] for number in range(len(parts)))
