"""A signature that is damaged on the way, after others were right."""

from __future__ import annotations

import hashlib

import pytest

from auditseal.adapters.signers.aws_kms import KmsSigner
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.errors import SignerError
from support.kms import calls_to

CASES = {
    AlgorithmId.ED25519: "ECC_NIST_EDWARDS25519",
    AlgorithmId.ECDSA_P256_SHA256: "ECC_NIST_P256",
    AlgorithmId.RSA_SHA256: "RSA_2048",
    AlgorithmId.RSA_PSS_SHA256: "RSA_2048",
}


@pytest.mark.parametrize("algorithm", CASES)
def test_it_is_thrown_away_and_the_next_one_counts(kms, algorithm):
    key = kms.create(CASES[algorithm])
    signer = KmsSigner(signer_id="s", algorithm=ALGORITHMS[algorithm], key_id=key.id, calls=calls_to(kms))
    digest = hashlib.sha256(b"x").digest()
    signer.sign(digest)
    kms.faults.add("wrong-signature", operation="Sign", times=1)
    with pytest.raises(SignerError) as raised:
        signer.sign(digest)
    assert (raised.value.reason, raised.value.retryable) == ("wrong-signature", True)
    assert signer.sign(digest).signature
    signer.close()
