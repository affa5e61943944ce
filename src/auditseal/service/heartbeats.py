"""When the promise of each stream's next checkpoint is to be renewed, so that silence stays evidence.

Says when and no more: `auditseal.service.checkpoint_loop` makes the checkpoints. For one thread.

Source: `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditseal.core.event import parse_body
from auditseal.core.promise import CHECKPOINT_TYPE, Promise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from auditseal.ports import CheckpointStore, Clock

_MICROS: Final = 1_000_000
HALF: Final = 0.5
"""How much of the promised time is over when a process renews the promise that has its log to itself."""


class Heartbeats:
    """The moments at which the promises of one log are renewed, by stream."""

    def __init__(
        self,
        store: CheckpointStore,
        heartbeat_s: float,
        *,
        share: float = HALF,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        """Sets up; nothing is read yet.

        Args:
            store: the log.
            heartbeat_s: seconds from one checkpoint to the promised next one.
            share: how much of it passes before a promise is renewed, 0 to 1.
            clock: microseconds since the epoch, as the promises have it.
            monotonic: seconds.
        """
        self._store = store
        self._heartbeat_s = heartbeat_s
        self._share = share
        self._clock = clock
        self._monotonic = monotonic
        self._moments: dict[str, float] = {}

    @property
    def earliest(self) -> float | None:
        """The first moment of all; None where nothing was promised."""
        return min(self._moments.values(), default=None)

    def __contains__(self, stream: str) -> bool:
        """Whether a promise of the stream is known."""
        return stream in self._moments

    def due(self) -> set[str]:
        """The streams whose moment has come."""
        now = self._monotonic()
        return {stream for stream, moment in self._moments.items() if moment <= now}

    def renewed(self, streams: Iterable[str]) -> None:
        """These streams were just promised a next checkpoint, by this process."""
        moment = self._monotonic() + self._heartbeat_s * self._share
        self._moments.update(dict.fromkeys(streams, moment))

    def read(self, stream: str, size: int) -> None:
        """Takes the moment from what was promised under a stream's last checkpoint, by whichever process.

        Args:
            stream: which.
            size: of its last checkpoint; 1 or more.

        Raises:
            InputError: the entry that announces the checkpoint cannot be read.
            StoreError: the log cannot be read.
        """
        self._moments[stream] = self._monotonic() + self._left(stream, size)

    def _left(self, stream: str, size: int) -> float:
        """Seconds until the promise is to be renewed."""
        entry = self._store.entry(stream, size - 1)
        body = None if entry is None else parse_body(entry.body)
        if body is None or body.type != CHECKPOINT_TYPE:
            return 0.0
        next_by = Promise.from_payload(body.payload).next_by
        if next_by is None:
            return self._heartbeat_s
        return (next_by - self._clock()) / _MICROS - self._heartbeat_s * (1 - self._share)
