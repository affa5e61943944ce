"""What a process does for the others that write to its log: it covers what they left, and keeps what they promised.

Entries are left if they were uncovered at one look and still are when a living process would long have covered them.
Of the processes that find them one works at a time, and looks again before it does. It takes no notice of why they were
left: a process that was killed is like one that was cut off from its signer.

Source: `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Final, NamedTuple

from auditseal.core.times import parse_time
from auditseal.errors import InputError, PolicyNotMetError, StoreError
from auditseal.service.heartbeats import HALF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from auditseal.core.chain import Head
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.ports import CheckpointStore, Clock
    from auditseal.service.checkpoint import Checkpointer
    from auditseal.service.heartbeats import Heartbeats

_MICROS: Final = 1_000_000
_SPREAD: Final = 0.25
"""The part of the promised time, after its first half, over which processes spread their heartbeats."""
_LOOKS_A_HEARTBEAT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How a process shares a log with others that write to it.

    Attributes:
        watch_s: how often to look for what others left.
        grace_s: what was seen uncovered for less may just be being covered by the process that appended it.
        claim: gives, while it is held open, whether this process is the one that works.
        draw: a number from 0 to 1 that no two processes have in common.
    """

    watch_s: float
    grace_s: float
    claim: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(True)
    draw: Callable[[], float] = SystemRandom().random

    def share(self) -> float:
        """How much of the promised time passes before this process renews a promise: a half to three quarters."""
        return HALF + _SPREAD * self.draw()


class _Sight(NamedTuple):
    """A stream of this size was seen uncovered, and has been since then (seconds, monotonic)."""

    size: int
    since: float


class Watch:
    """Looks after the streams of one log that others left. For one thread."""

    def __init__(
        self,
        store: CheckpointStore,
        checkpointer: Checkpointer,
        sharing: Sharing,
        heartbeats: Heartbeats,
        *,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        """Sets up; nothing is read yet.

        Args:
            store: the log.
            checkpointer: what makes checkpoints.
            sharing: how the log is shared.
            heartbeats: when promises are renewed; told of those of streams that are new.
            clock: microseconds since the epoch.
            monotonic: seconds.
        """
        self.every_s = min(sharing.watch_s, checkpointer.pace.heartbeat_s / _LOOKS_A_HEARTBEAT)
        """Seconds from one look to the next."""
        self._store = store
        self._checkpointer = checkpointer
        self._sharing = sharing
        self._heartbeats = heartbeats
        self._clock = clock
        self._monotonic = monotonic
        self._kept: dict[str, int] = {}
        self._sights: dict[str, _Sight] = {}
        self._uncosigned: set[str] = set()
        self._is_first = True

    def look(self, covered: Mapping[str, int]) -> list[StoredCheckpoint]:
        """Looks at the log once, and makes the checkpoints that are overdue.

        Where nothing is, that costs a reading of the heads, and one query for each stream that others have grown.

        Args:
            covered: by stream, up to which size this process has covered it.

        Raises:
            AuditSealError: as `Checkpointer.create`; what is left is found again by the next look.
        """
        left = self._find_left(covered)
        if not left and not self._heartbeats.due() and not self._uncosigned:
            return []
        with self._sharing.claim() as claimed:
            if not claimed:
                return []
            streams = {*filter(self._is_uncovered, left), *self._promised_too_long_ago(), *self._uncosigned}
            return self._cover(sorted(streams)) if streams else []

    def _find_left(self, covered: Mapping[str, int]) -> list[str]:
        now = self._monotonic()
        left = []
        for head in self._store.streams():
            stream, size = head.stream, head.seq + 1
            known = max(covered.get(stream, 0), self._kept.get(stream, 0))
            if known >= size:
                self._sights.pop(stream, None)
                continue
            sight = self._sights.get(stream)
            if sight is None or known >= sight.size:
                # What was old when this process came belongs to one that has ended.
                since = now - self._age_s(head) if self._is_first else now
                sight = self._sights[stream] = _Sight(size, since)
            if now - sight.since >= self._sharing.grace_s and self._is_uncovered(stream):
                left.append(str(stream))
        self._is_first = False
        return left

    def _age_s(self, head: Head) -> float:
        try:
            return max(0.0, (self._clock() - parse_time(head.time)) / _MICROS)
        except InputError:
            return 0.0

    def _is_uncovered(self, stream: str) -> bool:
        """Whether what was seen uncovered is so still; if not, the next look sees the stream anew."""
        kept = self._read_kept(stream)
        if kept and stream not in self._heartbeats:
            self._read_promise(stream, kept)
        if kept >= self._sights[stream].size:
            del self._sights[stream]
            return False
        return True

    def _promised_too_long_ago(self) -> set[str]:
        """The streams whose promise is to be renewed, and that nobody renewed meanwhile."""
        for stream in self._heartbeats.due():
            self._read_promise(stream, self._read_kept(stream))
        return self._heartbeats.due()

    def _read_kept(self, stream: str) -> int:
        last = self._store.last_checkpoint(stream)
        self._kept[stream] = size = 0 if last is None else last.size
        return size

    def _read_promise(self, stream: str, size: int) -> None:
        try:
            self._heartbeats.read(stream, size)
        except InputError:
            self._heartbeats.renewed([stream])  # no entry of ours, as verification tells: not to be asked at each look

    def _cover(self, streams: list[str]) -> list[StoredCheckpoint]:
        """Covers all with one signature; where one of them cannot be covered, each of the others with its own."""
        try:
            made = self._checkpointer.create(streams)
        except PolicyNotMetError:
            self._uncosigned.update(streams)
            raise
        except (StoreError, InputError) as error:
            if len(streams) == 1 or (isinstance(error, StoreError) and error.retryable):
                raise
            return self._cover_each(streams)
        self._uncosigned.difference_update(streams)
        return made

    def _cover_each(self, streams: Iterable[str]) -> list[StoredCheckpoint]:
        """Covers what can be.

        Raises:
            StoreError, InputError: nothing can.
        """
        made: list[StoredCheckpoint] = []
        failure: StoreError | InputError | None = None
        for stream in streams:
            try:
                made += self._checkpointer.create([stream])
            except (StoreError, InputError) as error:
                failure = failure or error
        if failure is not None and not made:
            raise failure
        return made
