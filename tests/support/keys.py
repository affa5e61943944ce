"""Keys of every algorithm, made once, and signing with them as `docs/spec/signature.md` says; for tests alone."""

from __future__ import annotations

import hmac
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa, utils

from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.registered_signer import RegisteredSigner

SECRET = b"a-secret-of-the-tests-0123456789"
WITH_PUBLIC_KEY = tuple(id_ for id_ in AlgorithmId if id_ is not AlgorithmId.HMAC_SHA256)
_PREHASHED = utils.Prehashed(hashes.SHA256())


def private_key(algorithm: AlgorithmId, number: int = 0) -> Any:
    """A private key of the algorithm, the same at each call; another number is another key."""
    return _make_key(algorithm, number)


@cache
def _make_key(algorithm: AlgorithmId, number: int) -> Any:
    del number
    match algorithm:
        case AlgorithmId.RSA_SHA256 | AlgorithmId.RSA_PSS_SHA256:
            return rsa.generate_private_key(65537, 2048)
        case AlgorithmId.ECDSA_P256_SHA256:
            return ec.generate_private_key(ec.SECP256R1())
        case AlgorithmId.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case AlgorithmId.ML_DSA_44:
            return mldsa.MLDSA44PrivateKey.generate()
        case AlgorithmId.ML_DSA_65:
            return mldsa.MLDSA65PrivateKey.generate()
        case AlgorithmId.ML_DSA_87:
            return mldsa.MLDSA87PrivateKey.generate()
        case AlgorithmId.HMAC_SHA256:
            return SECRET


def public_key(algorithm: AlgorithmId, number: int = 0) -> Any:
    """The public key of `private_key`."""
    return private_key(algorithm, number).public_key()


@cache
def sign(algorithm: AlgorithmId, digest: bytes, *, key: Any = None) -> bytes:
    """A signature over 32 bytes with a key, by default `private_key`; the same at each call."""
    key = key or private_key(algorithm)
    match algorithm:
        case AlgorithmId.RSA_SHA256:
            return key.sign(digest, padding.PKCS1v15(), _PREHASHED)
        case AlgorithmId.RSA_PSS_SHA256:
            return key.sign(digest, padding.PSS(padding.MGF1(hashes.SHA256()), 32), _PREHASHED)
        case AlgorithmId.ECDSA_P256_SHA256:
            return key.sign(digest, ec.ECDSA(_PREHASHED))
        case AlgorithmId.HMAC_SHA256:
            return hmac.digest(key, digest, "sha256")
        case _:
            return key.sign(digest)


def signer(algorithm: AlgorithmId = AlgorithmId.ED25519, **members: Any) -> RegisteredSigner:
    """The registered signer of `private_key`, with the id `signer-ALGORITHM` unless the members say otherwise."""
    if algorithm is AlgorithmId.HMAC_SHA256:
        members = {"secret": SECRET} | members
    else:
        members = {"public_key": public_key(algorithm)} | members
    return RegisteredSigner(**{"signer_id": f"signer-{algorithm}", "algorithm": ALGORITHMS[algorithm]} | members)
