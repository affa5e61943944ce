"""Covers: one signature for the heads of many streams, so that signing does not grow with the number of streams.

The checkpoint texts of a batch are the leaves of a small Merkle tree, in order of their streams' names. Its root stands
in an entry of type `auditseal.heads` in the stream `auditseal/heads`, whose own checkpoint is signed like any other. A
covered checkpoint has no signature of its own: it is as good as the signed checkpoint that holds its entry. A path
through the small tree discloses neither the names nor the sizes of the other streams.

Source: `docs/spec/checkpoint.md`, "Covered checkpoints".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.canonical import MAX_INTEGER
from auditseal.core.event import StreamName
from auditseal.core.merkle import Frontier, grow, leaf_hash
from auditseal.core.merkle_proof import inclusion_proof, verify_inclusion
from auditseal.core.scalar import HASH_BYTES, format_base64, parse_hash
from auditseal.errors import InputError, ProofInvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADS_STREAM: Final = StreamName("auditseal/heads")
"""The stream whose entries cover other streams' checkpoints."""
HEADS_TYPE: Final = "auditseal.heads"
"""The type of those entries."""

_MAX_PATH: Final = 63
_COVER_MEMBERS: Final = frozenset({"count", "index", "path", "seq"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsRoot:
    """What an entry of type `auditseal.heads` states.

    Attributes:
        count: how many checkpoints it covers, one or more.
        root: over their texts; 32 bytes.
    """

    count: int
    root: bytes

    def __post_init__(self) -> None:
        """Refuses what covers nothing.

        Raises:
            InputError: no checkpoint is covered, or the root is none.
        """
        if not 0 < self.count <= MAX_INTEGER or len(self.root) != HASH_BYTES:
            raise InputError(f"an entry {HEADS_TYPE} covers one checkpoint or more with a root of {HASH_BYTES} bytes")

    def to_payload(self) -> dict[str, Any]:
        """The entry's payload."""
        return {"count": self.count, "root": format_base64(self.root)}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> HeadsRoot:
        """The inverse of `to_payload`.

        Raises:
            InputError: a member is missing, unknown or of another type.
        """
        count, root = payload.get("count"), payload.get("root")
        if set(payload) != {"count", "root"} or type(count) is not int or type(root) is not str:
            raise InputError(f"an entry {HEADS_TYPE} has exactly the members count (a number) and root (base64)")
        return cls(count=count, root=parse_hash(root, "the root over stream heads"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Where a checkpoint stands among those that one entry covers.

    Attributes:
        seq: of the entry in the stream `auditseal/heads`.
        index: of the checkpoint's text among the leaves.
        count: how many leaves there are.
        path: 32 bytes each, from the leaf's sibling up.
    """

    seq: int
    index: int
    count: int
    path: tuple[bytes, ...]

    def to_members(self) -> dict[str, Any]:
        """As JSON members."""
        return {
            "count": self.count,
            "index": self.index,
            "path": [format_base64(each) for each in self.path],
            "seq": self.seq,
        }

    @classmethod
    def from_members(cls, members: Any) -> Cover:
        """The inverse of `to_members`.

        Raises:
            InputError: another shape, or a path that is too long.
        """
        if type(members) is not dict or set(members) != _COVER_MEMBERS:
            raise InputError(f"a cover has exactly the members {', '.join(sorted(_COVER_MEMBERS))}")
        numbers = [members[name] for name in ("seq", "index", "count")]
        if not all(type(each) is int and 0 <= each <= MAX_INTEGER for each in numbers):
            raise InputError("seq, index and count of a cover are numbers from 0 to 2^53-1")
        path = members["path"]
        if type(path) is not list or len(path) > _MAX_PATH or not all(type(each) is str for each in path):
            raise InputError(f"the path of a cover is a list of at most {_MAX_PATH} strings")
        hashes = tuple(parse_hash(each, "a hash of the cover's path") for each in path)
        return cls(seq=numbers[0], index=numbers[1], count=numbers[2], path=hashes)


def cover_texts(texts: Sequence[str]) -> tuple[HeadsRoot, list[tuple[bytes, ...]]]:
    """The root over checkpoint texts, and each one's path to it.

    Raises:
        InputError: there is no text.
    """
    leaves = [leaf_hash(text.encode()) for text in texts]
    frontier, runs = grow(Frontier(), leaves)
    nodes = {(level, index): hash_ for run in runs for level, index, hash_ in run}
    heads = HeadsRoot(count=len(leaves), root=frontier.root())
    return heads, [
        inclusion_proof(index, len(leaves), lambda level, at: nodes[level, at]) for index in range(len(leaves))
    ]


def check_cover(text: str, cover: Cover, heads: HeadsRoot) -> None:
    """Returns if the entry covers this checkpoint.

    Args:
        text: the checkpoint's.
        cover: its place.
        heads: what the entry at `cover.seq` states.

    Raises:
        ProofInvalidError: it does not.
        InputError: a number is out of range.
    """
    if cover.count != heads.count:
        raise ProofInvalidError(f"the cover speaks of {cover.count} checkpoints, and the entry of {heads.count}")
    verify_inclusion(leaf_hash(text.encode()), cover.index, heads.count, cover.path, heads.root)
