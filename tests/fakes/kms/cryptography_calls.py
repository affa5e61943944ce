"""Signatures and MACs as KMS makes them, by `cryptography`; which message fits which algorithm is decided here.

Source: AWS KMS API Reference, "Sign" and "GenerateMac".
"""

from __future__ import annotations

import hmac
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from fakes.kms.refusal import RefusalError

_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_MU_BYTES = 64


def check_message(algorithm: str, message_type: str, message: bytes) -> None:
    """Refuses a message that the algorithm does not take in this form."""
    raw_only = {"ED25519_SHA_512"}
    digest_only = {"ED25519_PH_SHA_512"}
    wrong = (
        (algorithm in raw_only and message_type != "RAW")
        or (algorithm in digest_only and message_type != "DIGEST")
        or (algorithm == "ML_DSA_SHAKE_256" and message_type == "DIGEST")
        or (algorithm != "ML_DSA_SHAKE_256" and message_type == "EXTERNAL_MU")
    )
    if wrong:
        raise RefusalError("ValidationException", f"MessageType {message_type} is not valid for algorithm {algorithm}.")
    if message_type == "DIGEST" and len(message) != int(algorithm.rsplit("_", 1)[1]) // 8:
        raise RefusalError("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")
    if message_type == "EXTERNAL_MU" and len(message) != _MU_BYTES:
        raise RefusalError("ValidationException", f"Message is invalid length for algorithm {algorithm}.")


def sign(material: Any, algorithm: str, message_type: str, message: bytes) -> bytes:
    match _scheme(algorithm, message_type):
        case ("RSA", pad, hash_):
            return material.sign(message, pad, hash_)
        case ("EC", hash_):
            return material.sign(message, hash_)
        case "MU":
            return material.sign_mu(message)
        case _:
            return material.sign(message)


def verify(material: Any, algorithm: str, message_type: str, message: bytes, signature: bytes) -> bool:
    public = material.public_key()
    try:
        match _scheme(algorithm, message_type):
            case ("RSA", pad, hash_):
                public.verify(signature, message, pad, hash_)
            case ("EC", hash_):
                public.verify(signature, message, hash_)
            case "MU":
                public.verify_mu(signature, message)
            case _:
                public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def mac(secret: bytes, algorithm: str, message: bytes) -> bytes:
    return hmac.digest(secret, message, f"sha{algorithm.rsplit('_', 1)[1]}")


def _scheme(algorithm: str, message_type: str) -> Any:
    if algorithm == "ED25519_PH_SHA_512":
        raise RefusalError("UnsupportedOperationException", "this stand-in has no pre-hashed Ed25519")
    if algorithm in {"ED25519_SHA_512", "ML_DSA_SHAKE_256"}:
        return "MU" if message_type == "EXTERNAL_MU" else "PURE"
    hash_ = _HASHES[algorithm.rsplit("_", 1)[1]]
    given = utils.Prehashed(hash_) if message_type == "DIGEST" else hash_
    if algorithm.startswith("ECDSA"):
        return ("EC", ec.ECDSA(given))
    if "_PSS_" in algorithm:
        return ("RSA", padding.PSS(padding.MGF1(hash_), hash_.digest_size), given)
    return ("RSA", padding.PKCS1v15(), given)
