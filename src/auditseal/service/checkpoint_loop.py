"""The checkpoints of an open log, made in the background: every so many entries or milliseconds, and as a heartbeat.

Callers that want a signed acknowledgement wait here until a checkpoint covers their entries. While the signer is down
they are told so at once; what they appended is durable, and covered by the first checkpoint that succeeds. Where other
processes write to the log, this one also does what those leave undone (`auditseal.service.watch`).

Source: `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

import threading
import time
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from auditseal.core.entry import Entry
from auditseal.errors import AuditSealError, PolicyNotMetError, SignerError, StoreError
from auditseal.service.heartbeats import HALF, Heartbeats
from auditseal.service.ids import now_micros
from auditseal.service.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.ports import CheckpointStore, Clock
    from auditseal.service.checkpoint import Checkpointer
    from auditseal.service.watch import Sharing

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


class CheckpointLoop:
    """Makes the checkpoints of one log while it is open. Safe to use from many threads."""

    def __init__(
        self,
        store: CheckpointStore,
        checkpointer: Checkpointer,
        *,
        patience_s: float = 15.0,
        sharing: Sharing | None = None,
        clock: Clock = now_micros,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts the thread.

        Args:
            store: the log.
            checkpointer: what makes them.
            patience_s: how long a caller waits for its entries to be covered.
            sharing: how others that write to the log are looked after; None leaves them alone.
            clock: microseconds since the epoch, as the promises have it.
            monotonic: seconds.
        """
        self.checkpointer = checkpointer
        self._store = store
        self._patience_s = patience_s
        self._monotonic = monotonic
        share = HALF if sharing is None else sharing.share()
        heartbeat_s = checkpointer.pace.heartbeat_s
        self._heartbeats = Heartbeats(store, heartbeat_s, share=share, clock=clock, monotonic=monotonic)
        self._watch: Watch | None = None
        if sharing is not None:
            self._watch = Watch(store, checkpointer, sharing, self._heartbeats, clock=clock, monotonic=monotonic)
        self._look_at = monotonic()
        self._look_pause_s = _FIRST_PAUSE_S
        self._changed = threading.Condition()
        self._heads: dict[str, int] = {}
        self._covered: dict[str, int] = {}
        self._waiting = 0
        self._since: float | None = None
        self._outage: AuditSealError | None = None
        self._watch_outage: AuditSealError | None = None
        self._failures = 0
        self._try_again_at = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._stopped = False
        self._read_state()
        self._thread = threading.Thread(target=self._run, name="auditseal-checkpoint", daemon=True)
        self._thread.start()

    @property
    def outage(self) -> SignerError | None:
        """Why no checkpoint can be made, while it cannot."""
        error = self._outage or self._watch_outage
        if error is None or isinstance(error, SignerError):
            return error
        reasons = {PolicyNotMetError: "witnesses", StoreError: "store"}
        return SignerError(str(error), reason=reasons.get(type(error), "checkpoint"))

    def appended(self, entries: Sequence[Entry | StoredEntry]) -> None:
        """These entries are durable, and due to be covered."""
        sizes = _sizes(entries)
        if self._outage is None:  # else they would only take memory until the signer answers
            self._hand_to_trees(entries)
        with self._changed:
            for stream, size in sizes.items():
                self._heads[stream] = max(self._heads.get(stream, 0), size)
            self._waiting += len(entries)
            if entries and self._since is None:
                self._since = self._monotonic()
                self._changed.notify_all()
            elif self._waiting >= self.checkpointer.pace.entries:
                self._changed.notify_all()

    def wait(self, entries: Sequence[Entry | StoredEntry]) -> dict[str, int]:
        """Waits until the entries are covered, an attempt at it has failed, or patience ends.

        Returns:
            By stream, up to which size it is covered.
        """
        wanted = _sizes(entries)
        deadline = self._monotonic() + self._patience_s
        with self._changed:
            failures = self._failures
            while not self._stopped and any(self._covered.get(name, 0) < size for name, size in wanted.items()):
                left = deadline - self._monotonic()
                pausing = self._outage is not None and self._monotonic() < self._try_again_at
                if left <= 0 or self._failures != failures or pausing:
                    break
                self._changed.wait(left)
            return {name: self._covered.get(name, 0) for name in wanted}

    def close(self) -> None:
        """Makes the last checkpoint, over what is not covered yet, and stops. Idempotent."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def _hand_to_trees(self, entries: Sequence[Entry | StoredEntry]) -> None:
        for stream, group in groupby(entries, attrgetter("stream")):
            run = list(group)
            first = run[0].seq
            # Between entries of this process another one's may stand.
            follow = [entry.seq for entry in run] == list(range(first, first + len(run)))
            if follow and all(isinstance(entry, Entry) for entry in run):
                self.checkpointer.tree(stream).appended(first, [entry.hash for entry in run])

    def _read_state(self) -> None:
        """What an earlier process left uncovered, and when it promised the next checkpoints."""
        now = self._monotonic()
        for head in self._store.streams():
            last = self._store.last_checkpoint(head.stream)
            size = last.size if last is not None else 0
            self._covered[head.stream] = size
            if head.seq + 1 <= size:
                self._heartbeats.read(head.stream, size)
            elif self._watch is None:  # else another process may just be at it
                self._heads[head.stream] = head.seq + 1
                self._waiting += head.seq + 1 - size
                self._since = now

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and (wait_s := self._wait_s()) > 0:
                    self._changed.wait(wait_s)
                stopping = self._stopped
                due = self._take_due()
            failure = self._attempt(due, beating=not stopping) if due else None
            if stopping:
                return
            if self._watch is not None and self._look_at <= self._monotonic() and not isinstance(failure, SignerError):
                self._look(self._watch)

    def _wait_s(self) -> float:
        """Seconds until something is to be done."""
        now = self._monotonic()
        upkeep_at = self._heartbeats.earliest if self._watch is None else self._look_at
        times = [moment for moment in (self._own_at(now), upkeep_at) if moment is not None]
        earliest = min(times, default=now + self.checkpointer.pace.heartbeat_s)
        return max(earliest, self._try_again_at) - now

    def _own_at(self, now: float) -> float | None:
        """When what this process appended is to be covered; None where nothing is."""
        if self._since is None:
            return None
        pace = self.checkpointer.pace
        return now if self._waiting >= pace.entries else self._since + pace.interval_s

    def _take_due(self) -> list[str]:
        now = self._monotonic()
        own_at = self._own_at(now)
        if not self._stopped and self._watch is not None and (own_at is None or own_at > now):
            return []  # it is time for a look alone
        due = {name for name, size in self._heads.items() if self._covered.get(name, 0) < size}
        if not self._stopped and self._watch is None:
            due |= self._heartbeats.due()
        self._waiting, self._since = 0, None
        return sorted(due)

    def _attempt(self, streams: Sequence[str], *, beating: bool) -> AuditSealError | None:
        """Why it failed, if it did."""
        try:
            made = self.checkpointer.create(streams)
        except AuditSealError as error:
            self._note_failure(error)
            return error
        self._note_made(made, beating=beating)
        return None

    def _look(self, watch: Watch) -> None:
        """Does what others left; when that fails, this process's own callers do not wait for it."""
        try:
            made = watch.look(self._covered)
        except AuditSealError as error:
            self._watch_outage = error
            self._look_pause_s = max(watch.every_s, min(self._look_pause_s * 2, _LONGEST_PAUSE_S))
        else:
            self._watch_outage, self._look_pause_s = None, watch.every_s
            if made:
                self._note_made(made, beating=True)
        self._look_at = self._monotonic() + self._look_pause_s

    def _note_made(self, made: Sequence[StoredCheckpoint], *, beating: bool) -> None:
        if beating:
            self._heartbeats.renewed(each.stream for each in made)
        with self._changed:
            for each in made:
                self._covered[each.stream] = max(self._covered.get(each.stream, 0), each.size)
            self._outage, self._pause_s, self._try_again_at = None, _FIRST_PAUSE_S, 0.0
            self._changed.notify_all()

    def _note_failure(self, error: AuditSealError) -> None:
        with self._changed:
            self._outage = error
            self._failures += 1
            self._try_again_at = self._monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            self._since = self._monotonic()
            self._changed.notify_all()


def _sizes(entries: Sequence[Entry | StoredEntry]) -> dict[str, int]:
    """By stream, the size that it has with the last of its entries."""
    sizes: dict[str, int] = {}
    for entry in entries:
        sizes[entry.stream] = max(sizes.get(entry.stream, 0), entry.seq + 1)
    return sizes
