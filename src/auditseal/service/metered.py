"""A signer that says of each call how long it took and how it ended; for metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from auditseal.errors import SignerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditseal.core.algorithm import Algorithm, PublicKey
    from auditseal.ports import NoteSigner, Signed, Signer


class MeteredSigner:
    """Another signer, observed (`auditseal.ports.Signer`)."""

    def __init__(
        self,
        signer: Signer,
        observe: Callable[[float, str | None], None],
        *,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Sets up.

        Args:
            signer: does the work.
            observe: takes the seconds of each call, and the error's reason or None.
            monotonic: a clock in seconds.
        """
        self._signer = signer
        self._observe = observe
        self._monotonic = monotonic

    @property
    def signer_id(self) -> str:
        """As the signer."""
        return self._signer.signer_id

    @property
    def algorithm(self) -> Algorithm:
        """As the signer."""
        return self._signer.algorithm

    @property
    def development(self) -> bool:
        """As the signer."""
        return self._signer.development

    @property
    def concurrency(self) -> int:
        """As the signer."""
        return self._signer.concurrency

    def start(self) -> None:
        """As the signer."""
        self._signer.start()

    def sign(self, digest: bytes) -> Signed:
        """As the signer, observed."""
        return self._observed(self._signer.sign, digest)

    def close(self) -> None:
        """As the signer."""
        self._signer.close()

    def _observed(self, sign: Callable[[bytes], Signed], message: bytes) -> Signed:
        began = self._monotonic()
        try:
            signed = sign(message)
        except SignerError as error:
            self._observe(self._monotonic() - began, error.reason)
            raise
        self._observe(self._monotonic() - began, None)
        return signed


class MeteredNoteSigner(MeteredSigner):
    """Another signer of checkpoints, observed (`auditseal.ports.NoteSigner`)."""

    _signer: NoteSigner

    @property
    def public_key(self) -> PublicKey | None:
        """As the signer."""
        return self._signer.public_key

    def sign_message(self, message: bytes) -> Signed:
        """As the signer, observed."""
        return self._observed(self._signer.sign_message, message)


def metered(signer: Signer, observe: Callable[[float, str | None], None]) -> MeteredSigner:
    """The signer, observed; it signs checkpoints if the signer does. See `MeteredSigner`."""
    return (MeteredNoteSigner if hasattr(signer, "sign_message") else MeteredSigner)(signer, observe)
