"""Signers with a key on this machine: for development and tests, and marked as such wherever they show.

A local key can be copied by whoever can read it, so its signatures prove little. `REQUIRE_KMS=true` refuses these
signers; that is decided where settings are read, by `development`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auditseal.adapters.signers.private_key import MAX_PEM_BYTES, PrivateKey, parse_private_key
from auditseal.core.algorithm import (
    ALGORITHMS,
    DIGEST_BYTES,
    Algorithm,
    AlgorithmId,
    PublicKey,
    check_message,
    infer_algorithm,
    offline_rule,
)
from auditseal.errors import ConfigError, InputError, SignerError
from auditseal.ports import Signed

MIN_SECRET_BYTES: Final = 16

_PREHASHED: Final = utils.Prehashed(hashes.SHA256())
_PKCS1: Final = padding.PKCS1v15()
_PSS: Final = padding.PSS(padding.MGF1(hashes.SHA256()), DIGEST_BYTES)
_ECDSA: Final = ec.ECDSA(_PREHASHED)


class LocalSigner:
    """Signs entry hashes with a key in memory. Safe to call from many threads; it implements `Signer`."""

    development = True
    concurrency = 1

    def __init__(self, *, signer_id: str, key: PrivateKey | bytes, algorithm: Algorithm | None = None) -> None:
        """Takes a parsed key.

        Args:
            signer_id: the name under which verifiers find the key.
            key: a private key, or a secret of at least 16 bytes for HMAC.
            algorithm: what it signs with; None takes the usual one of the key's type.

        Raises:
            ConfigError: the key does not serve the algorithm, or the secret is too short.
        """
        self.signer_id = signer_id
        self.public_key: PublicKey | None = None if isinstance(key, bytes) else key.public_key()
        if isinstance(key, bytes) and len(key) < MIN_SECRET_BYTES:
            raise ConfigError(
                f"the HMAC secret of {signer_id} has {len(key)} bytes, and {MIN_SECRET_BYTES} are the least: "
                "make one of 32 (openssl rand -hex 32)"
            )
        try:
            self.algorithm = algorithm or _usual(self.public_key)
            offline_rule(self.algorithm, key if isinstance(key, bytes) else cast("PublicKey", self.public_key))
        except InputError as error:
            raise ConfigError(f"the local key of {signer_id}: {error}") from None
        self._sign: Callable[[bytes], bytes] | None = _signing(self.algorithm.id, key)

    @classmethod
    def from_pem(cls, pem: bytes, *, signer_id: str, where: str, algorithm: Algorithm | None = None) -> LocalSigner:
        """The signer of a PEM's key.

        Args:
            pem: see `parse_private_key`.
            signer_id: as for the class.
            where: what it was read from, for the texts.
            algorithm: as for the class.

        Raises:
            ConfigError: no usable private key, or it does not serve the algorithm.
        """
        return cls(signer_id=signer_id, key=parse_private_key(pem, where=where), algorithm=algorithm)

    @classmethod
    def from_file(cls, path: Path, *, signer_id: str, algorithm: Algorithm | None = None) -> LocalSigner:
        """The signer of a key file: PEM, or for HMAC the bytes of the secret without surrounding white space.

        Raises:
            ConfigError: the file cannot be read, or `from_pem` refuses it.
        """
        try:
            with path.open("rb") as file:
                content = file.read(MAX_PEM_BYTES + 1)
        except OSError as error:
            raise ConfigError(f"the key file {path} cannot be read: {error.strerror}") from error
        if algorithm is not None and algorithm.is_mac:
            return cls(signer_id=signer_id, key=content.strip(), algorithm=algorithm)
        return cls.from_pem(content, signer_id=signer_id, where=f"the key file {path}", algorithm=algorithm)

    def public_der(self) -> bytes | None:
        """The DER SubjectPublicKeyInfo for signers.json; None for HMAC, which has none."""
        if self.public_key is None:
            return None
        return self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def start(self) -> None:
        """Nothing is left to prove: the key was checked when it was taken."""

    def sign(self, digest: bytes) -> Signed:
        """Signs one hash; see `Signer.sign`.

        Raises:
            InputError: the digest is not 32 bytes.
            SignerError: the signer was closed.
        """
        if len(digest) != DIGEST_BYTES:
            raise InputError(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
        return self.sign_message(digest)

    def sign_message(self, message: bytes) -> Signed:
        """Signs a checkpoint or a cosignature; see `NoteSigner.sign_message`.

        Raises:
            InputError: the message has a length that the algorithm does not take.
            SignerError: the signer was closed.
        """
        check_message(self.algorithm, message)
        if self._sign is None:
            raise SignerError(f"the local signer {self.signer_id} was closed", reason="closed")
        return Signed(signature=self._sign(message))

    def close(self) -> None:
        """Lets go of the key. Idempotent."""
        self._sign = None


def _usual(public_key: PublicKey | None) -> Algorithm:
    return ALGORITHMS[AlgorithmId.HMAC_SHA256] if public_key is None else infer_algorithm(public_key)


def _signing(id_: AlgorithmId, key: PrivateKey | bytes) -> Callable[[bytes], bytes]:
    """The key's own way to sign; that it fits the algorithm has been checked."""
    if isinstance(key, bytes):
        return lambda digest: hmac.digest(key, digest, "sha256")
    if isinstance(key, rsa.RSAPrivateKey):
        scheme = _PSS if id_ is AlgorithmId.RSA_PSS_SHA256 else _PKCS1
        return lambda digest: key.sign(digest, scheme, _PREHASHED)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return lambda digest: key.sign(digest, _ECDSA)
    return key.sign
