"""Sealing: signing entries that are durable already, now or when the signer answers again.

Chaining never waits for a signature. What is chained is handed over here; each signature is stored beside its entry
when it comes, and an entry whose signature failed stays pending: visible as such, and tried again.

Source: `docs/spec/signature.md`, `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.times import Micros, format_time
from auditseal.errors import SignerError, StoreError
from auditseal.ports import NewSignature
from auditseal.service.follow_up import FollowUp
from auditseal.service.group import GroupCommit
from auditseal.service.ids import now_micros
from auditseal.service.line import FIRST_PAUSE_S, LONGEST_PAUSE_S, Sealed, SigningLine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from auditseal.core.entry import Entry, StoredEntry
    from auditseal.ports import Clock, Signer, Store
    from auditseal.service.line import Sealing
    from auditseal.service.succession import Succession

__all__ = ["Backlog", "Resealer", "Sealed", "Sealer"]

_GROUP_SIZE: Final = 1000
_PAGE: Final = 500
_OWN_SHARE_OF_GRACE: Final = 1 / 3
"""Within it a process begins to sign what it appended; the rest of the grace is time for the signer to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The result of one attempt at what is pending.

    Attributes:
        signed: how many were signed now.
        left: how many still wait.
        error: why the attempt ended early, else None.
    """

    signed: int
    left: int
    error: SignerError | None = None


class Sealer:
    """Signs entries and stores the signatures, each with the signer whose turn it is. Safe to use from many threads."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        *,
        succession: Succession | None = None,
        clock: Clock = now_micros,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sets up.

        Args:
            store: where the entries are.
            signer: signs what no other signer has taken over.
            succession: says who signs an entry after a rotation; None leaves all to `signer`.
            clock: microseconds since the epoch.
            monotonic: seconds, for pauses.
        """
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._succession = succession
        self._line = SigningLine(signer, clock, monotonic)
        self._lines = {signer.signer_id: self._line}
        self._storing: GroupCommit[NewSignature, None] = GroupCommit(self._store_group, max_items=_GROUP_SIZE)
        self._in_flight: set[tuple[str, int]] = set()
        self._lock = threading.Lock()

    @property
    def signer(self) -> Signer:
        """What signs now: the configured signer, or the last that took over from it."""
        return self._line.signer

    def begin(self, entries: Sequence[Entry | StoredEntry]) -> list[Sealing]:
        """Starts signing; `finish` waits for it. The entries count as in flight from here on.

        Raises:
            StoreError: whose turn it is cannot be read; nothing is in flight.
        """
        with self._lock:
            self._in_flight.update((entry.stream, entry.seq) for entry in entries)
        try:
            if self._succession is None:
                return [self._line.submit(entry.hash) for entry in entries]
            return [self._submit(entry, self._succession) for entry in entries]
        except BaseException:
            self._end_flight(entries)
            raise

    def finish(self, entries: Sequence[Entry | StoredEntry], sealings: Sequence[Sealing]) -> list[Sealed]:
        """Waits for what `begin` started, stores the signatures, and says what became of each entry.

        A signature that could not be stored counts as none: its entry stays pending, and the outcome says why.
        """
        try:
            outcomes = [sealing.result() for sealing in sealings]
            made = [
                NewSignature(stream=entry.stream, seq=entry.seq, signature=outcome.signature)
                for entry, outcome in zip(entries, outcomes, strict=True)
                if outcome.signature is not None
            ]
            if made:
                self._storing.submit(made)
        except StoreError as error:
            lost = SignerError(f"its signature was not stored: {error}", reason="not-stored", retryable=error.retryable)
            return [Sealed(None, outcome.error or lost) for outcome in outcomes]
        finally:
            self._end_flight(entries)
        return outcomes

    def sign_pending(self, *, grace_s: float = 0.0, stop: threading.Event | None = None) -> Backlog:
        """Signs what is pending, oldest first, until nothing is left or the signer fails.

        Args:
            grace_s: leave alone what is younger, since another process may just be signing it.
            stop: ends the attempt early when set.
        """
        signed = 0
        error: SignerError | None = None
        while error is None and not (stop is not None and stop.is_set()):
            before = format_time(Micros(max(0, self._clock() - int(grace_s * 1_000_000)))) if grace_s else None
            with self._lock:
                in_flight = set(self._in_flight)
            page = self._store.pending(limit=_PAGE + len(in_flight), before=before)
            entries = [entry for entry in page if (entry.stream, entry.seq) not in in_flight]
            if not entries:
                break
            outcomes = self.finish(entries, self.begin(entries))
            signed += sum(outcome.signature is not None for outcome in outcomes)
            error = next((outcome.error for outcome in outcomes if outcome.error is not None), None)
        return Backlog(signed=signed, left=self._store.count_pending(), error=error)

    @property
    def in_flight(self) -> int:
        """How many entries are being signed at this moment."""
        with self._lock:
            return len(self._in_flight)

    @property
    def outage(self) -> SignerError | None:
        """Why the signer is held to be down, while it is."""
        return self._line.outage

    def close(self) -> None:
        """Waits for signatures in flight and releases the signers."""
        for line in self._lines.values():
            line.close()

    def _end_flight(self, entries: Sequence[Entry | StoredEntry]) -> None:
        with self._lock:
            self._in_flight.difference_update((entry.stream, entry.seq) for entry in entries)

    def _submit(self, entry: Entry | StoredEntry, succession: Succession) -> Sealing:
        """Hands an entry to the signer whose turn it is; where that cannot be said, the entry stays pending."""
        try:
            signer = succession.signer_of(entry)
        except SignerError as error:
            return Sealed(None, error)
        line = self._line
        if signer is not line.signer:
            with self._lock:
                known = self._lines.get(signer.signer_id)
                line = known or SigningLine(signer, self._clock, self._monotonic)
                self._lines[signer.signer_id] = line
                if succession.is_current(signer):
                    self._line = line
        return line.submit(entry.hash)

    def _store_group(self, signatures: Sequence[NewSignature]) -> list[None]:
        self._store.add_signatures(signatures)
        return [None] * len(signatures)


class Resealer:
    """Signs in the background: what this process has appended as durable, at once, and whatever stays pending.

    What is pending it tries again until nothing is. It does so while there is a backlog of this process; where it
    watches, always, and also signs what another process left behind. Of several processes one works at a time, and what
    is young is left to the process that appended it, so that nothing is signed twice.
    """

    def __init__(
        self,
        sealer: Sealer,
        *,
        grace_s: float = 15.0,
        first_pause_s: float = FIRST_PAUSE_S,
        watch_s: float | None = None,
        claim: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(True),
    ) -> None:
        """Sets up.

        Args:
            sealer: signs.
            grace_s: what is younger may just be being signed by the process that appended it.
            first_pause_s: before the first attempt, and between attempts while they succeed.
            watch_s: how often to look for what others left; None looks only when woken.
            claim: gives, while it is held open, whether this process is the one that works.
        """
        self._sealer = sealer
        self._grace_s = grace_s
        self._first_pause_s = first_pause_s
        self._watch_s = watch_s
        self._claim = claim
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._woken = False
        self._follow_up = FollowUp(sealer, within_s=grace_s * _OWN_SHARE_OF_GRACE, let_go=self.wake)

    def take(self, entries: Sequence[Entry]) -> None:
        """This process has just appended these entries, and nobody waits for their signatures: they are signed soon."""
        self._follow_up.take(entries)

    def release(self) -> None:
        """Lets go of what was taken and is not being signed yet, for somebody else to sign."""
        self._follow_up.release()

    def wake(self) -> None:
        """There is a backlog: see to it that it is worked off."""
        with self._lock:
            self._woken = True
            if self._stop.is_set() or self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="auditseal-reseal", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stops once what was taken is signed; what is pending besides stays so."""
        self._stop.set()
        self._follow_up.close()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            self._work_off()
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _work_off(self) -> None:
        pause_s = self._first_pause_s
        while not self._stop.wait(pause_s):
            with self._lock:
                self._woken = False
            try:
                with self._claim() as claimed:
                    backlog = self._sealer.sign_pending(grace_s=self._grace_s, stop=self._stop) if claimed else None
            except StoreError:
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            if backlog is not None and backlog.left == 0 and self._may_end():
                return
            if backlog is not None and backlog.left == 0:
                pause_s = self._watch_s or self._first_pause_s
            else:
                advanced = backlog is not None and backlog.signed
                pause_s = self._first_pause_s if advanced else min(pause_s * 2, self._watch_s or LONGEST_PAUSE_S)

    def _may_end(self) -> bool:
        """Whether nothing came in since the last attempt began; if so, the next `wake` starts another thread."""
        if self._watch_s is not None:
            return False
        with self._lock:
            if not self._woken:
                self._thread = None
            return not self._woken
