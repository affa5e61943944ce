"""What signs, and what checks a MAC that only its key's holder can check."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from auditseal.core.algorithm import Algorithm, PublicKey


class Signed(NamedTuple):
    """A signature as the signer gave it.

    Attributes:
        signature: raw bytes, as `docs/spec/signature.md` says for the algorithm.
        request_id: the KMS request id, by which CloudTrail knows the call; None for a local key.
    """

    signature: bytes
    request_id: str | None = None


class Signer(Protocol):
    """Signs 32-byte hashes with one key under one algorithm. Safe to call from many threads."""

    @property
    def signer_id(self) -> str:
        """The name under which verifiers find the key: `signerId` in signers.json."""

    @property
    def algorithm(self) -> Algorithm:
        """The one algorithm it signs with."""

    @property
    def development(self) -> bool:
        """Whether the key is local: on this machine, not in a KMS. Shown wherever the signer shows."""

    @property
    def concurrency(self) -> int:
        """How many calls are worth having in flight at once; 1 where signing costs only local CPU."""

    def start(self) -> None:
        """Proves that the key fits the settings, before anything is signed. Idempotent.

        Raises:
            ConfigError: usage, spec, state or algorithm do not fit; the text names the fix.
            SignerError: the key could not be asked.
        """

    def sign(self, digest: bytes) -> Signed:
        """Signs one hash, within the signer's own total deadline and retries.

        Args:
            digest: 32 bytes.

        Raises:
            SignerError: `retryable` says whether the same call may succeed later.
        """

    def close(self) -> None:
        """Releases connections. Idempotent; a closed signer does not sign."""


class NoteSigner(Signer, Protocol):
    """A signer that signs checkpoints and cosignatures as well."""

    @property
    def public_key(self) -> PublicKey | None:
        """Its public key; None for a MAC, and until `start` has learnt it."""

    def sign_message(self, message: bytes) -> Signed:
        """Signs a message of `auditseal.core.note_key.to_sign`, within the signer's own total deadline and retries.

        Args:
            message: for an algorithm that KMS signs RAW, the message itself, at most 4,096 bytes; else 32 bytes of a
                SHA-256, which are not hashed again.

        Raises:
            InputError: the message has another length.
            SignerError: as `sign`.
        """


class MacVerifier(Protocol):
    """Checks a MAC where only the key's holder can: through VerifyMac. Safe to call from many threads."""

    def verify_mac(self, key_id: str, digest: bytes, mac: bytes) -> None:
        """Returns if the MAC is right.

        Args:
            key_id: key id or ARN.
            digest: the 32 bytes that were authenticated.
            mac: 32 bytes.

        Raises:
            SignatureInvalidError: it is not.
            SignerError: no answer, or no permission.
        """
