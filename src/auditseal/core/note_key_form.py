"""The one byte form of a public key in a note's key: raw for Ed25519 and ML-DSA, SubjectPublicKeyInfo for the others.

Source: c2sp.org/signed-note, "Verifier keys"; RFC 5280 §4.1; `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from auditseal.core.algorithm import ALGORITHMS, AlgorithmId, PublicKey, offline_rule
from auditseal.errors import InputError

_RAW: Final[dict[AlgorithmId, Callable[[bytes], PublicKey]]] = {
    AlgorithmId.ED25519: ed25519.Ed25519PublicKey.from_public_bytes,
    AlgorithmId.ML_DSA_44: mldsa.MLDSA44PublicKey.from_public_bytes,
    AlgorithmId.ML_DSA_65: mldsa.MLDSA65PublicKey.from_public_bytes,
    AlgorithmId.ML_DSA_87: mldsa.MLDSA87PublicKey.from_public_bytes,
}


def encode_public_key(algorithm: AlgorithmId, key: PublicKey) -> bytes:
    """The key's bytes.

    Raises:
        InputError: the key does not serve the algorithm.
    """
    offline_rule(ALGORITHMS[algorithm], key)
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_bytes_raw()


def decode_public_key(algorithm: AlgorithmId, octets: bytes) -> PublicKey:
    """The key of these bytes.

    Raises:
        InputError: no key, one of another algorithm, or not in its one form.
    """
    try:
        key = _RAW.get(algorithm, load_der_public_key)(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{len(octets)} bytes are no public key for {algorithm}") from None
    if not isinstance(key, PublicKey) or encode_public_key(algorithm, key) != octets:
        raise InputError(f"a public key for {algorithm} is not in its one form")
    return key
