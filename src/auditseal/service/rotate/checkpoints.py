"""The checkpoints of a log that is rotated: the one that ends the old signer's range, and whose turn others are.

Source: `docs/spec/rotation.md` §3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from auditseal.core.promise import CHECKPOINT_TYPE
from auditseal.ports import EntryFilter
from auditseal.service.checkpoint import Checkpointer

if TYPE_CHECKING:
    from auditseal.ports import CheckpointStore, NoteSigner, Signer
    from auditseal.service.rotate.desk import Desk


_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """How a log keeps checkpoints.

    Attributes:
        store: the log.
        origin: its name in them.
        cover_entries: whether they stand in for signatures of entries.
    """

    store: CheckpointStore
    origin: str
    cover_entries: bool


class _Turns:
    """Whose turn it is, by the desk's view of the log (`auditseal.service.succession.Turns`)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def signer_at(self, stream: str, seq: int) -> Signer:
        return self._desk.succession(stream).signer_at(stream, seq)

    def close(self) -> None:
        """The signers are the desk's."""


def closing_checkpointer(desk: Desk, old: Signer) -> Checkpointer | None:
    """What makes the checkpoint that ends a range of the old signer; None for a log without checkpoints."""
    if desk.checkpoints is None:
        return None
    return Checkpointer(
        desk.checkpoints.store,
        cast("NoteSigner", old),
        origin=desk.checkpoints.origin,
        covers_entries=desk.checkpoints.cover_entries,
        succession=_Turns(desk),
    )


def make_checkpoint(desk: Desk, stream: str) -> None:
    """A checkpoint over all of a stream, by whose turn it is; nothing in a log without checkpoints.

    Raises:
        SignerError, StoreError: it could not be made.
    """
    checkpointer = closing_checkpointer(
        desk, desk.succession(stream).signer_at(stream, desk.store.head(stream).seq + 1)
    )
    if checkpointer is None:
        return
    (made,) = checkpointer.create([stream])
    _sign_announcement(desk, stream, made.size - 1)


def reach_of_checkpoints(desk: Desk, stream: str, end: int) -> int:
    """The seq up to which a stream can be verified: a checkpoint that was announced by `end` is there, and ends there.

    One that is not kept may just be being signed, and is waited for; where that was given up, another one is made.

    Raises:
        SignerError, StoreError: it could not be made.
    """
    if desk.checkpoints is None:
        return end
    store = desk.checkpoints.store
    waited_s = 0.0
    while True:
        last = store.last_checkpoint(stream)
        kept = last.size if last is not None else 0
        which = EntryFilter(stream=stream, type=CHECKPOINT_TYPE, first_seq=kept, last_seq=end)
        if not store.select(which, limit=1):
            return max(end, kept - 1)
        if waited_s >= desk.grace_s and not desk.dry_run:
            make_checkpoint(desk, stream)
        desk.sleep(_POLL_S)
        waited_s += _POLL_S


def _sign_announcement(desk: Desk, stream: str, seq: int) -> None:
    announcing = desk.store.entry(stream, seq)
    if announcing is not None and desk.checkpoints is not None and not desk.checkpoints.cover_entries:
        desk.own.sign(announcing, desk.turn_of(announcing))


def complete_range(desk: Desk, stream: str, seq: int, checkpointer: Checkpointer) -> None:
    """Sees to it that the range before an entry that hands over ends with a signed checkpoint, if one was announced.

    Raises:
        SignerError, StoreError: not signed, or not kept; it may be tried again.
    """
    announcing = desk.store.entry(stream, seq - 1)
    if announcing is None or announcing.columns is None or announcing.columns.type != CHECKPOINT_TYPE:
        return
    checkpointer.complete(stream, seq)
    _sign_announcement(desk, stream, seq - 1)
