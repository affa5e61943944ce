"""Sealing: signing entries that are durable already, now or when the signer answers again.

Chaining never waits for a signature. What is chained is handed over here; each signature is stored beside its entry
when it comes, and an entry whose signature failed stays pending: visible as such, and tried again.

Source: `docs/spec/signature.md`, `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from auditseal.core.entry import StoredSignature
from auditseal.core.event import Micros, format_time
from auditseal.errors import ConfigError, SignerError, StoreError
from auditseal.ports import NewSignature
from auditseal.service.group import GroupCommit
from auditseal.service.ids import now_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from auditseal.core.entry import Entry, StoredEntry
    from auditseal.ports import Clock, Signer, Store

_GROUP_SIZE: Final = 1000
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_PAGE: Final = 500


class Sealed(NamedTuple):
    """What became of one entry's signature: exactly one of the two is set."""

    signature: StoredSignature | None
    error: SignerError | None


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
    """Signs entries with one signer and stores the signatures. Safe to use from many threads."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        *,
        clock: Clock = now_micros,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.signer = signer
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(signer.concurrency, "auditseal-sign") if signer.concurrency > 1 else None
        self._storing: GroupCommit[NewSignature, None] = GroupCommit(self._store_group, max_items=_GROUP_SIZE)
        self._in_flight: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._outage: SignerError | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._try_again_at = 0.0

    def begin(self, entries: Sequence[Entry | StoredEntry]) -> list[Future[Sealed]]:
        """Starts signing; `finish` waits for it. The entries count as in flight from here on."""
        with self._lock:
            self._in_flight.update((entry.stream, entry.seq) for entry in entries)
        if self._pool is None:
            return [_done(self._sign(entry.hash)) for entry in entries]
        return [self._pool.submit(self._sign, entry.hash) for entry in entries]

    def finish(self, entries: Sequence[Entry | StoredEntry], futures: Sequence[Future[Sealed]]) -> list[Sealed]:
        """Waits for what `begin` started, stores the signatures, and says what became of each entry.

        Raises:
            StoreError: the signatures could not be stored; the entries stay pending.
        """
        try:
            outcomes = [future.result() for future in futures]
            made = [
                NewSignature(stream=entry.stream, seq=entry.seq, signature=outcome.signature)
                for entry, outcome in zip(entries, outcomes, strict=True)
                if outcome.signature is not None
            ]
            if made:
                self._storing.submit(made)
        finally:
            with self._lock:
                self._in_flight.difference_update((entry.stream, entry.seq) for entry in entries)
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
    def outage(self) -> SignerError | None:
        """Why the signer is held to be down, while it is."""
        return self._outage

    def close(self) -> None:
        """Waits for signatures in flight and releases the signer."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        self.signer.close()

    def _sign(self, digest: bytes) -> Sealed:
        """Signs one hash; while the signer is down, answers at once with why, but for one attempt a pause."""
        with self._lock:
            probing = self._outage is not None
            if self._outage is not None:
                if self._monotonic() < self._try_again_at:
                    return Sealed(None, self._outage)
                self._try_again_at = self._monotonic() + self._pause_s
        try:
            signed = self.signer.sign(digest)
        except SignerError as error:
            return self._note_outage(error, probing=probing)
        except ConfigError as error:
            return self._note_outage(SignerError(str(error), reason="misconfigured"), probing=probing)
        if self._outage is not None:
            with self._lock:
                self._outage, self._pause_s = None, _FIRST_PAUSE_S
        return Sealed(
            StoredSignature(
                signer=self.signer.signer_id,
                algorithm=self.signer.algorithm.id,
                signature=signed.signature,
                entry_hash=digest,
                request_id=signed.request_id,
                signed_at=format_time(self._clock()),
            ),
            None,
        )

    def _note_outage(self, error: SignerError, *, probing: bool) -> Sealed:
        with self._lock:
            if probing:
                self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            if probing or self._outage is None:
                self._try_again_at = self._monotonic() + self._pause_s
            self._outage = error
        return Sealed(None, error)

    def _store_group(self, signatures: Sequence[NewSignature]) -> list[None]:
        self._store.add_signatures(signatures)
        return [None] * len(signatures)


class Resealer:
    """Tries again, in the background, whatever is pending, until nothing is.

    It runs while there is a backlog of this process; where it watches, always, and also signs what another process left
    behind. Of several processes one works at a time, so that nothing is signed twice.
    """

    def __init__(
        self,
        sealer: Sealer,
        *,
        grace_s: float = 15.0,
        watch_s: float | None = None,
        claim: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(True),
    ) -> None:
        """Sets up.

        Args:
            sealer: signs.
            grace_s: what is younger may just be being signed by the process that appended it.
            watch_s: how often to look for what others left; None looks only when woken.
            claim: gives, while it is held open, whether this process is the one that works.
        """
        self._sealer = sealer
        self._grace_s = grace_s
        self._watch_s = watch_s
        self._claim = claim
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is a backlog: see to it that it is worked off."""
        with self._lock:
            if self._stop.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="auditseal-reseal", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stops after the signatures in flight; what is pending stays so."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stop.wait(pause_s):
            try:
                with self._claim() as claimed:
                    backlog = self._sealer.sign_pending(grace_s=self._grace_s, stop=self._stop) if claimed else None
            except StoreError:
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                continue
            if backlog is not None and backlog.left == 0:
                if self._watch_s is None:
                    return
                pause_s = self._watch_s
            else:
                advanced = backlog is not None and backlog.signed
                pause_s = _FIRST_PAUSE_S if advanced else min(pause_s * 2, self._watch_s or _LONGEST_PAUSE_S)


def _done(outcome: Sealed) -> Future[Sealed]:
    future: Future[Sealed] = Future()
    future.set_result(outcome)
    return future
