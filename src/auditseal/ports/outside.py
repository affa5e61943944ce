"""What stands outside of the log: anchors, and witnesses with what they keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from auditseal.core.checkpoint import Checkpoint
from auditseal.core.times import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """A checkpoint found where the log's operator cannot rewrite it.

    Attributes:
        note: the signed note, as it was kept.
        time: when it was kept there, by that place's clock and not the log's; None where the place has no clock that
            can be believed.
        where: names the place for people, such as a file, an object's version or a commit.
    """

    note: bytes
    time: Micros | None
    where: str


class Anchor(Protocol):
    """A place where checkpoints are kept, out of the operator's reach."""

    @property
    def address(self) -> str:
        """Where it is, without a password."""

    def publish(self, note: bytes) -> Anchored:
        """Keeps a signed checkpoint; durable when it returns. What is there already is found and not kept twice.

        Raises:
            InputError: no checkpoint.
            StoreError: it could not be kept; `retryable` where another attempt may succeed.
        """

    def find(self, origin: str) -> list[Anchored]:
        """What is kept of an origin, by size; what cannot be read or fails the place's own checks raises.

        Raises:
            RejectedError: something there is proven wrong, such as a time-stamp over other bytes.
            StoreError: the place cannot be read.
        """

    def close(self) -> None:
        """Releases what was opened. Idempotent."""


class WitnessClient(Protocol):
    """A witness, as a log asks it for cosignatures."""

    @property
    def name(self) -> str:
        """Its name in the witness policy."""

    def add_checkpoint(self, body: bytes, *, timeout_s: float) -> bytes:
        """Asks for a cosignature.

        Args:
            body: of an add-checkpoint request.
            timeout_s: for the whole call.

        Returns:
            Signature lines.

        Raises:
            StaleError: the witness last cosigned another size.
            RejectedError: the witness refuses the checkpoint; the text says why.
            SignerError: no answer in time.
        """


class WitnessStore(Protocol):
    """What a witness last cosigned, by origin. Safe to share between threads and processes."""

    def last(self, origin: str) -> Checkpoint | None:
        """The checkpoint that was last cosigned; None if none was.

        Raises:
            StoreError: the store failed.
        """

    def advance(self, origin: str, before: Checkpoint | None, after: Checkpoint) -> bool:
        """Puts one checkpoint in the place of another, if that is still what was last cosigned; durable on return.

        Args:
            origin: of both.
            before: what `last` gave.
            after: the new one.

        Returns:
            Whether it did; if not, another call came first, and nothing was changed.

        Raises:
            StoreError: as `last`.
        """
