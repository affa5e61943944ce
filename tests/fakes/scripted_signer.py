"""A signer that does what a test tells it, over a real Ed25519 key: fails, waits, and counts."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditseal.adapters.signers.local import LocalSigner
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.errors import SignerError
from auditseal.ports import Signed


def outage(reason: str = "unreachable", *, retryable: bool = True) -> SignerError:
    return SignerError("Sign failed: KMS is out of reach", reason=reason, retryable=retryable)


class ScriptedSigner:
    """Implements `Signer`.

    Attributes:
        failure: what every call raises while it is set.
        before: called with the digest before each signature; may wait or raise.
        digests: what was asked for, in order, failed calls included.
    """

    def __init__(self, signer_id: str = "audit-2026", *, concurrency: int = 4, development: bool = False) -> None:
        self._local = LocalSigner(signer_id=signer_id, key=Ed25519PrivateKey.generate())
        self.signer_id = signer_id
        self.algorithm = self._local.algorithm
        self.concurrency = concurrency
        self.development = development
        self.failure: Exception | None = None
        self.start_failure: Exception | None = None
        self.before: Callable[[bytes], None] = lambda _: None
        self.digests: list[bytes] = []
        self.closed = False
        self._lock = threading.Lock()

    def start(self) -> None:
        if self.start_failure is not None:
            raise self.start_failure

    def sign(self, digest: bytes) -> Signed:
        with self._lock:
            self.digests.append(digest)
            number = len(self.digests)
        self.before(digest)
        if self.failure is not None:
            raise self.failure
        return Signed(signature=self._local.sign(digest).signature, request_id=f"request-{number}")

    def close(self) -> None:
        self.closed = True

    def registry(self) -> Registry:
        """What verifiers know of it."""
        return Registry(
            signers=(
                RegisteredSigner(
                    signer_id=self.signer_id,
                    algorithm=self.algorithm,
                    public_key=self._local.public_key,
                    development=self.development,
                ),
            )
        )
