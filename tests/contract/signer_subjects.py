"""Every implementation of `Signer` with every algorithm it has, made the same way for the contract suite."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from emulator import REGION

from auditseal.adapters.signers.aws_kms import KmsMacVerifier, KmsSigner
from auditseal.adapters.signers.kms_keys import KmsKeys
from auditseal.adapters.signers.kms_open import KmsSettings, open_kms
from auditseal.adapters.signers.local import LocalSigner
from auditseal.core.algorithm import ALGORITHMS, Algorithm, AlgorithmId
from auditseal.errors import SignatureInvalidError
from auditseal.ports import Signer
from support.signatures import pyca_accepts

SECRET = b"a secret of 32 bytes for testing"
_KEYS = {
    AlgorithmId.RSA_SHA256: lambda: rsa.generate_private_key(65537, 2048),
    AlgorithmId.RSA_PSS_SHA256: lambda: rsa.generate_private_key(65537, 2048),
    AlgorithmId.ECDSA_P256_SHA256: lambda: ec.generate_private_key(ec.SECP256R1()),
    AlgorithmId.ED25519: ed25519.Ed25519PrivateKey.generate,
    AlgorithmId.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
    AlgorithmId.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
    AlgorithmId.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
    AlgorithmId.HMAC_SHA256: lambda: SECRET,
}
_NOT_IN_EMULATOR = {AlgorithmId.ML_DSA_44, AlgorithmId.ML_DSA_65, AlgorithmId.ML_DSA_87}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One implementation with one algorithm."""

    where: str
    transport: str
    algorithm: Algorithm

    def __str__(self) -> str:
        return f"{self.where}-{self.transport}-{self.algorithm.id}"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A key, signers for it, and how another party checks their signatures.

    Attributes:
        make: a new signer for the key.
        der: the public key; None for a MAC.
        accepts: whether a signature is right, asked of somebody else's program.
    """

    algorithm: Algorithm
    make: Callable[[], Signer]
    der: bytes | None
    accepts: Callable[[bytes, bytes], bool]
    is_kms: bool


def all_cases() -> list[Case]:
    kms = [(where, transport) for where in ("fake", "ministack") for transport in ("auto", "botocore")]
    return [
        Case(where=where, transport=transport, algorithm=algorithm)
        for where, transport in [("local", "memory"), *kms]
        for algorithm in ALGORITHMS.values()
        if not (where == "ministack" and algorithm.id in _NOT_IN_EMULATOR)
    ]


def local_subject(algorithm: Algorithm) -> Subject:
    key = _KEYS[algorithm.id]()

    def make() -> LocalSigner:
        return LocalSigner(signer_id="contract", key=key, algorithm=algorithm)

    der = make().public_der()

    def accepts(signature: bytes, digest: bytes) -> bool:
        if der is None:
            return hmac.new(SECRET, digest, "sha256").digest() == signature
        return pyca_accepts(algorithm.id, der, digest, signature)

    return Subject(algorithm=algorithm, make=make, der=der, accepts=accepts, is_kms=False)


def kms_subject(case: Case, endpoint_url: str) -> Subject:
    settings = KmsSettings(region=REGION, endpoint_url=endpoint_url, transport=case.transport)
    calls = open_kms(settings)
    keys = KmsKeys(calls)
    key = keys.create_key(case.algorithm, description="contract suite")
    der = None if case.algorithm.is_mac else keys.export_public_key(key.key_id).der

    def make() -> KmsSigner:
        own = open_kms(settings)
        return KmsSigner(signer_id="contract", algorithm=case.algorithm, key_id=key.arn, calls=own)

    def accepts(signature: bytes, digest: bytes) -> bool:
        if der is not None:
            return pyca_accepts(case.algorithm.id, der, digest, signature)
        try:
            KmsMacVerifier(calls).verify_mac(key.arn, digest, signature)
        except SignatureInvalidError:
            return False
        return True

    return Subject(algorithm=case.algorithm, make=make, der=der, accepts=accepts, is_kms=True)
