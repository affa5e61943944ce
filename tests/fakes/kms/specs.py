"""Key specs: what each serves for, and how its key material is made.

Source: AWS KMS Developer Guide, "Key spec reference".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

RSA_SIGNING = tuple(f"RSASSA_{scheme}_SHA_{bits}" for scheme in ("PKCS1_V1_5", "PSS") for bits in (256, 384, 512))
ALL_SIGNING = (
    *RSA_SIGNING,
    "ECDSA_SHA_256",
    "ECDSA_SHA_384",
    "ECDSA_SHA_512",
    "SM2DSA",
    "ML_DSA_SHAKE_256",
    "ED25519_SHA_512",
    "ED25519_PH_SHA_512",
)
ALL_MAC = tuple(f"HMAC_SHA_{bits}" for bits in (224, 256, 384, 512))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    usages: tuple[str, ...]
    make: Callable[[], Any]
    signing: tuple[str, ...] = ()
    mac: tuple[str, ...] = ()
    deprecated_name: bool = True
    """Whether CustomerMasterKeySpec, the older enumeration, has it too."""

    @property
    def kind(self) -> str:
        return "mac" if self.mac else "asymmetric" if self.signing else "symmetric"


def _rsa(bits: int) -> Spec:
    return Spec(
        usages=("SIGN_VERIFY", "ENCRYPT_DECRYPT"),
        make=lambda: rsa.generate_private_key(65537, bits),
        signing=RSA_SIGNING,
    )


def _ec(curve: ec.EllipticCurve, algorithm: str) -> Spec:
    return Spec(
        usages=("SIGN_VERIFY", "KEY_AGREEMENT"), make=lambda: ec.generate_private_key(curve), signing=(algorithm,)
    )


def _ml_dsa(make: Callable[[], Any]) -> Spec:
    return Spec(usages=("SIGN_VERIFY",), make=make, signing=("ML_DSA_SHAKE_256",), deprecated_name=False)


def _hmac(bits: int) -> Spec:
    size = bits // 8
    return Spec(usages=("GENERATE_VERIFY_MAC",), make=lambda: secrets.token_bytes(size), mac=(f"HMAC_SHA_{bits}",))


SPECS = {
    "SYMMETRIC_DEFAULT": Spec(usages=("ENCRYPT_DECRYPT",), make=lambda: secrets.token_bytes(32)),
    "RSA_2048": _rsa(2048),
    "RSA_3072": _rsa(3072),
    "RSA_4096": _rsa(4096),
    "ECC_NIST_P256": _ec(ec.SECP256R1(), "ECDSA_SHA_256"),
    "ECC_NIST_P384": _ec(ec.SECP384R1(), "ECDSA_SHA_384"),
    "ECC_NIST_P521": _ec(ec.SECP521R1(), "ECDSA_SHA_512"),
    "ECC_SECG_P256K1": _ec(ec.SECP256K1(), "ECDSA_SHA_256"),
    "ECC_NIST_EDWARDS25519": Spec(
        usages=("SIGN_VERIFY",),
        make=ed25519.Ed25519PrivateKey.generate,
        signing=("ED25519_SHA_512", "ED25519_PH_SHA_512"),
        deprecated_name=False,
    ),
    "ML_DSA_44": _ml_dsa(mldsa.MLDSA44PrivateKey.generate),
    "ML_DSA_65": _ml_dsa(mldsa.MLDSA65PrivateKey.generate),
    "ML_DSA_87": _ml_dsa(mldsa.MLDSA87PrivateKey.generate),
    "HMAC_224": _hmac(224),
    "HMAC_256": _hmac(256),
    "HMAC_384": _hmac(384),
    "HMAC_512": _hmac(512),
}
