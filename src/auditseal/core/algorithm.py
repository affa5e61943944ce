"""The signature algorithms: one table from our id to the names of AWS KMS and the rule that checks it offline.

Nothing here signs: signers are adapters. What is signed is always the 32-byte entry hash.

Source: `docs/spec/signature.md`; AWS KMS Developer Guide, "Key spec reference" and "Sign".
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa, utils

from auditseal.errors import InputError, SignatureInvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST_BYTES = 32
"""Size of what is signed: a SHA-256 entry hash."""
MAX_RAW_BYTES: Final = 4096
"""The longest message that AWS KMS signs whole (MessageType RAW)."""


class AlgorithmId(StrEnum):
    """The algorithm ids that stand in entries and in signers.json."""

    RSA_SHA256 = "rsa-sha256"
    RSA_PSS_SHA256 = "rsa-pss-sha256"
    ECDSA_P256_SHA256 = "ecdsa-p256-sha256"
    ED25519 = "ed25519"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"
    HMAC_SHA256 = "hmac-sha256"


PublicKey = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """One row of the table.

    Attributes:
        id: our name.
        kms_signing_algorithm: SigningAlgorithm of Sign, or MacAlgorithm of GenerateMac.
        kms_message_type: MessageType of Sign; None for a MAC, which has none.
        kms_key_specs: the KeySpecs that fit, the usual one first.
        kms_key_usage: SIGN_VERIFY or GENERATE_VERIFY_MAC.
        signature_bytes: the only length a signature has, where there is one; None where the key decides.
    """

    id: AlgorithmId
    kms_signing_algorithm: str
    kms_message_type: str | None
    kms_key_specs: tuple[str, ...]
    kms_key_usage: str
    signature_bytes: int | None

    @property
    def is_mac(self) -> bool:
        """Whether only the holder of the key can verify."""
        return self.kms_message_type is None


_RSA_SPECS = ("RSA_2048", "RSA_3072", "RSA_4096")

_ROWS = (
    (AlgorithmId.RSA_SHA256, "RSASSA_PKCS1_V1_5_SHA_256", "DIGEST", _RSA_SPECS, None),
    (AlgorithmId.RSA_PSS_SHA256, "RSASSA_PSS_SHA_256", "DIGEST", _RSA_SPECS, None),
    (AlgorithmId.ECDSA_P256_SHA256, "ECDSA_SHA_256", "DIGEST", ("ECC_NIST_P256",), None),
    (AlgorithmId.ED25519, "ED25519_SHA_512", "RAW", ("ECC_NIST_EDWARDS25519",), 64),
    (AlgorithmId.ML_DSA_44, "ML_DSA_SHAKE_256", "RAW", ("ML_DSA_44",), 2420),
    (AlgorithmId.ML_DSA_65, "ML_DSA_SHAKE_256", "RAW", ("ML_DSA_65",), 3309),
    (AlgorithmId.ML_DSA_87, "ML_DSA_SHAKE_256", "RAW", ("ML_DSA_87",), 4627),
    (AlgorithmId.HMAC_SHA256, "HMAC_SHA_256", None, ("HMAC_256",), 32),
)

ALGORITHMS: dict[AlgorithmId, Algorithm] = {
    id_: Algorithm(
        id=id_,
        kms_signing_algorithm=kms_name,
        kms_message_type=message_type,
        kms_key_specs=specs,
        kms_key_usage="SIGN_VERIFY" if message_type else "GENERATE_VERIFY_MAC",
        signature_bytes=length,
    )
    for id_, kms_name, message_type, specs, length in _ROWS
}

_ALIASES = {
    "rsa": AlgorithmId.RSA_SHA256,
    "rsa-pkcs1v15-sha256": AlgorithmId.RSA_SHA256,
    "rsa-pss": AlgorithmId.RSA_PSS_SHA256,
    "ecdsa": AlgorithmId.ECDSA_P256_SHA256,
    "ecdsa-p256": AlgorithmId.ECDSA_P256_SHA256,
    "hmac": AlgorithmId.HMAC_SHA256,
}


def parse_algorithm(name: str) -> Algorithm:
    """The algorithm of a name in any case: ours, one found in the wild (`Ed25519`, `rsa`) or one of AWS KMS.

    Args:
        name: such as `rsa-sha256`, `RSA-SHA256` or `RSASSA_PSS_SHA_256`.

    Raises:
        InputError: for any other name; KMS's `ML_DSA_SHAKE_256` among them, which leaves the size open.
    """
    plain = name.strip().lower().replace("_", "-")
    if plain in _ALIASES:
        return ALGORITHMS[_ALIASES[plain]]
    for algorithm in ALGORITHMS.values():
        kms_plain = algorithm.kms_signing_algorithm.lower().replace("_", "-")
        if plain == algorithm.id or (plain == kms_plain and kms_plain != "ml-dsa-shake-256"):
            return algorithm
    known = ", ".join(ALGORITHMS)
    raise InputError(f"unknown signature algorithm {name[:40]!r}: use one of {known}")


def check_message(algorithm: Algorithm, message: bytes) -> None:
    """Returns if KMS takes a message of this length for the algorithm: a digest, or what it signs whole.

    Raises:
        InputError: it does not.
    """
    if algorithm.kms_message_type == "RAW":
        if not 0 < len(message) <= MAX_RAW_BYTES:
            raise InputError(f"{algorithm.id} signs 1 to {MAX_RAW_BYTES} bytes, not {len(message)}")
    elif len(message) != DIGEST_BYTES:
        raise InputError(f"{algorithm.id} signs a digest of {DIGEST_BYTES} bytes, not {len(message)}")


def offline_rule(algorithm: Algorithm, key: PublicKey | bytes) -> Callable[[bytes, bytes], None]:
    """The check of one key under one algorithm, built once and called for each entry.

    Args:
        algorithm: the row to apply.
        key: the parsed public key, or the secret's bytes for a MAC.

    Returns:
        A function of (signature, digest) that returns None or raises SignatureInvalidError, also for a digest of
        other than 32 bytes.

    Raises:
        InputError: the key is not of the algorithm's type.
    """
    return _rule(algorithm, key, DIGEST_BYTES)


def message_rule(algorithm: Algorithm, key: PublicKey | bytes) -> Callable[[bytes, bytes], None]:
    """The check of one key for what `check_message` lets it sign: for a checkpoint, not for an entry.

    Returns:
        A function of (signature, message) that returns None or raises SignatureInvalidError.

    Raises:
        InputError: the key is not of the algorithm's type.
    """
    return _rule(algorithm, key, None)


def _rule(algorithm: Algorithm, key: PublicKey | bytes, length: int | None) -> Callable[[bytes, bytes], None]:
    check = _library_check(algorithm.id, key)
    if check is None:
        kind = key_kind(key)
        raise InputError(f"{'a' if kind == 'secret' else 'an'} {kind} key cannot serve {algorithm.id}")

    def rule(signature: bytes, message: bytes) -> None:
        if length is not None and len(message) != length:
            # A stored hash can have been cut; some checks would take it for a message, others fail on it.
            raise SignatureInvalidError(f"{len(message)} bytes are no hash, which has {length}")
        try:
            check(signature, message)
        except InvalidSignature:
            raise SignatureInvalidError(f"the {algorithm.id} signature does not verify") from None

    return rule


_SHA256: Final = hashes.SHA256()
_PREHASHED: Final = utils.Prehashed(_SHA256)
_PKCS1: Final = padding.PKCS1v15()
_PSS: Final = padding.PSS(padding.MGF1(hashes.SHA256()), DIGEST_BYTES)
_ECDSA: Final = ec.ECDSA(_PREHASHED)
_PURE: Final[dict[AlgorithmId, type]] = {
    AlgorithmId.ED25519: ed25519.Ed25519PublicKey,
    AlgorithmId.ML_DSA_44: mldsa.MLDSA44PublicKey,
    AlgorithmId.ML_DSA_65: mldsa.MLDSA65PublicKey,
    AlgorithmId.ML_DSA_87: mldsa.MLDSA87PublicKey,
}


def _library_check(id_: AlgorithmId, key: PublicKey | bytes) -> Callable[[bytes, bytes], None] | None:
    """The check as `cryptography` does it, raising InvalidSignature; None if the key is of another type."""
    match key:
        case rsa.RSAPublicKey() if id_ is AlgorithmId.RSA_SHA256:
            return partial(_check_pkcs1, key.recover_data_from_signature)
        case rsa.RSAPublicKey() if id_ is AlgorithmId.RSA_PSS_SHA256:
            return lambda signature, digest: key.verify(signature, digest, _PSS, _PREHASHED)
        case ec.EllipticCurvePublicKey() if id_ is AlgorithmId.ECDSA_P256_SHA256 and key.curve.name == "secp256r1":
            return lambda signature, digest: key.verify(signature, digest, _ECDSA)
        case bytes() if id_ is AlgorithmId.HMAC_SHA256:
            return lambda signature, digest: _check_mac(key, signature, digest)
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey() | bytes():
            return None
        case _:
            return key.verify if isinstance(key, _PURE.get(id_, ())) else None


def _check_pkcs1(recover: Callable[..., bytes], signature: bytes, digest: bytes) -> None:
    """As `key.verify` does, by the same code of OpenSSL but with less ado, which costs a third of its time."""
    if recover(signature, _PKCS1, _SHA256) != digest:
        raise InvalidSignature


def _check_mac(secret: bytes, signature: bytes, digest: bytes) -> None:
    if not hmac.compare_digest(hmac.digest(secret, digest, "sha256"), signature):
        raise InvalidSignature


def key_kind(key: PublicKey | bytes) -> str:
    """The key's type in the words of `openssl pkey -text`, such as `RSA-2048`; `secret` for a MAC."""
    match key:
        case bytes():
            return "secret"
        case rsa.RSAPublicKey():
            return f"RSA-{key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
        case _:
            return infer_algorithm(key).id.upper()


def infer_algorithm(key: PublicKey) -> Algorithm:
    """The algorithm that a key serves where nothing names one: PKCS#1 v1.5 for RSA, as in the guidance.

    Raises:
        InputError: an elliptic curve other than P-256.
    """
    match key:
        case rsa.RSAPublicKey():
            return ALGORITHMS[AlgorithmId.RSA_SHA256]
        case ec.EllipticCurvePublicKey():
            if key.curve.name != "secp256r1":
                raise InputError(f"no signature algorithm here uses an {key_kind(key)} key")
            return ALGORITHMS[AlgorithmId.ECDSA_P256_SHA256]
        case _:
            return next(ALGORITHMS[id_] for id_, kind in _PURE.items() if isinstance(key, kind))
