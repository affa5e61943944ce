"""What a log promises with a checkpoint: the payload of the entry that is the last leaf under it.

The entry is of type `auditseal.checkpoint`. It is hashed, chained and proven like any other, so that a promise can be
neither added later nor left out unseen; and since it says by when the next checkpoint is due, silence is evidence.

Source: `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.canonical import MAX_INTEGER
from auditseal.core.event import check_name
from auditseal.core.scalar import HASH_BYTES, format_base64, parse_hash
from auditseal.core.times import Micros, format_time, parse_time
from auditseal.errors import ChainBrokenError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.checkpoint import Checkpoint

CHECKPOINT_TYPE: Final = "auditseal.checkpoint"
"""The type of the entry that announces a checkpoint."""

_MEMBERS: Final = frozenset({"next_by", "previous", "signer", "size"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What an entry says of the checkpoint that it announces.

    Attributes:
        size: leaves under the checkpoint; the seq of this entry, plus one.
        signer: the signerId that will sign it.
        next_by: when the next one is due at the latest; None only where the stream ends here and none will follow.
        previous: size and root of the checkpoint before; None for the first of the stream.
    """

    size: int
    signer: str
    next_by: Micros | None
    previous: tuple[int, bytes] | None

    def __post_init__(self) -> None:
        """Refuses what contradicts itself.

        Raises:
            InputError: a number is out of range, the checkpoint before is not smaller, the signer is no name.
        """
        check_name("signer", self.signer)
        if not 0 < self.size <= MAX_INTEGER:
            raise InputError(f"a checkpoint's entry announces a size from 1 to 2^53-1, not {self.size}")
        if self.next_by is not None:
            format_time(self.next_by)
        if self.previous is not None:
            size, root = self.previous
            if not 0 < size < self.size or len(root) != HASH_BYTES:
                raise InputError(
                    f"before a checkpoint of size {self.size} there is a smaller one with a root, not {size}"
                )

    def to_payload(self) -> dict[str, Any]:
        """The entry's payload: `next_by` in RFC 3339, roots in base64 as in the checkpoint itself."""
        previous = self.previous
        return {
            "next_by": None if self.next_by is None else format_time(self.next_by),
            "previous": None if previous is None else {"root": format_base64(previous[1]), "size": previous[0]},
            "signer": self.signer,
            "size": self.size,
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Promise:
        """The inverse of `to_payload`.

        Raises:
            InputError: a member is missing, unknown, of another type or out of range.
        """
        if set(payload) != _MEMBERS:
            raise InputError(f"an entry {CHECKPOINT_TYPE} has exactly the members next_by, previous, signer, size")
        next_by, previous = payload["next_by"], payload["previous"]
        return cls(
            size=_integer(payload["size"]),
            signer=payload["signer"],
            next_by=None if next_by is None else parse_time(_string(next_by)),
            previous=None if previous is None else _parse_previous(previous),
        )


def check_promise(promise: Promise, *, seq: int, checkpoint: Checkpoint, previous: Checkpoint | None) -> None:
    """Returns if the entry at this place announces this checkpoint, after that one.

    Args:
        promise: of the entry.
        seq: of the entry.
        checkpoint: the one to be announced.
        previous: the checkpoint before it in the same stream; None if there is none.

    Raises:
        ChainBrokenError: it announces another size, stands at another place, or follows another checkpoint.
    """
    if promise.size != seq + 1:
        raise ChainBrokenError(f"entry {seq} announces a checkpoint of size {promise.size}; its place allows {seq + 1}")
    if checkpoint.size != promise.size:
        raise ChainBrokenError(f"the checkpoint has size {checkpoint.size}; entry {seq} announces {promise.size}")
    before = None if previous is None else (previous.size, previous.root)
    if promise.previous != before:
        raise ChainBrokenError(
            f"entry {seq} names {_named(promise.previous)} as the checkpoint before its own; it is {_named(before)}"
        )


def _named(previous: tuple[int, bytes] | None) -> str:
    return "none" if previous is None else f"{previous[0]} {format_base64(previous[1])}"


def _parse_previous(previous: Any) -> tuple[int, bytes]:
    if type(previous) is not dict or set(previous) != {"root", "size"}:
        raise InputError("`previous` has exactly the members root and size")
    return _integer(previous["size"]), parse_hash(_string(previous["root"]), "the root of `previous`")


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise InputError(f"`size` is an integer, not {type(value).__name__}")
    return value


def _string(value: Any) -> str:
    if type(value) is not str:
        raise InputError(f"`next_by` and `root` are strings, not {type(value).__name__}")
    return value
