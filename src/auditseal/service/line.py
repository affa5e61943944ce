"""A signing line: one signer, the calls in flight with it, and whether it is held to be down.

Source: `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from auditseal.core.entry import StoredSignature
from auditseal.core.times import format_time
from auditseal.errors import ConfigError, SignerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditseal.ports import Clock, Signer

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0


class Sealed(NamedTuple):
    """What became of one entry's signature: exactly one of the two is set."""

    signature: StoredSignature | None
    error: SignerError | None

    def result(self) -> Sealed:
        """Itself: what is known already stands in for a `Sealing`."""
        return self


class Sealing(Protocol):
    """A signature that is being made: a future, or what has become of it."""

    def result(self) -> Sealed:
        """Waits until it is known what became of it."""


class SigningLine:
    """Signs hashes with one signer. Safe to use from many threads."""

    def __init__(self, signer: Signer, clock: Clock, monotonic: Callable[[], float]) -> None:
        self.signer = signer
        self._clock = clock
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(signer.concurrency, "auditseal-sign") if signer.concurrency > 1 else None
        self._lock = threading.Lock()
        self._outage: SignerError | None = None
        self._pause_s = FIRST_PAUSE_S
        self._try_again_at = 0.0

    @property
    def outage(self) -> SignerError | None:
        """Why the signer is held to be down, while it is."""
        return self._outage

    def submit(self, digest: bytes) -> Sealing:
        """Starts signing a hash; signs it at once where that costs only local CPU."""
        if self._pool is None:
            return self._sign(digest)
        return self._pool.submit(self._sign, digest)

    def close(self) -> None:
        """Waits for calls in flight and releases the signer."""
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
                self._outage, self._pause_s = None, FIRST_PAUSE_S
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
                self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
            if probing or self._outage is None:
                self._try_again_at = self._monotonic() + self._pause_s
            self._outage = error
        return Sealed(None, error)
