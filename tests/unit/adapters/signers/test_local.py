import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditseal.adapters.signers.local import LocalSigner
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.errors import ConfigError

DIGEST = hashlib.sha256(b"an entry").digest()
HMAC = ALGORITHMS[AlgorithmId.HMAC_SHA256]
ED25519 = ed25519.Ed25519PrivateKey.generate()
PEM = ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa.generate_private_key(65537, 2048), AlgorithmId.RSA_SHA256),
        (ec.generate_private_key(ec.SECP256R1()), AlgorithmId.ECDSA_P256_SHA256),
        (ED25519, AlgorithmId.ED25519),
        (b"s" * 32, AlgorithmId.HMAC_SHA256),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_without_an_algorithm_the_key_s_usual_one_is_taken(key, algorithm):
    assert LocalSigner(signer_id="dev", key=key).algorithm.id is algorithm


def test_a_key_that_does_not_serve_the_algorithm_is_refused():
    with pytest.raises(ConfigError, match="ED25519 key cannot serve rsa-sha256"):
        LocalSigner(signer_id="dev", key=ED25519, algorithm=ALGORITHMS[AlgorithmId.RSA_SHA256])


@pytest.mark.parametrize("algorithm", [None, ALGORITHMS[AlgorithmId.ECDSA_P256_SHA256]])
def test_another_curve_than_p256_is_refused(algorithm):
    with pytest.raises(ConfigError, match="secp384r1"):
        LocalSigner(signer_id="dev", key=ec.generate_private_key(ec.SECP384R1()), algorithm=algorithm)


def test_a_secret_does_not_serve_a_public_algorithm():
    with pytest.raises(ConfigError, match="secret key cannot serve ed25519"):
        LocalSigner(signer_id="dev", key=b"s" * 32, algorithm=ALGORITHMS[AlgorithmId.ED25519])


def test_a_short_secret_is_refused_without_being_repeated():
    with pytest.raises(ConfigError, match="8 bytes") as caught:
        LocalSigner(signer_id="dev", key=b"password", algorithm=HMAC)
    assert "password" not in str(caught.value)


def test_a_local_signer_is_for_development_and_cannot_be_made_otherwise():
    signer = LocalSigner(signer_id="dev", key=ED25519)
    assert signer.development is True
    assert "development" not in LocalSigner.__init__.__annotations__


def test_the_public_key_is_given_and_a_secret_is_not():
    key = LocalSigner(signer_id="dev", key=ED25519)
    secret = LocalSigner(signer_id="dev", key=b"s" * 32)
    assert key.public_key == ED25519.public_key()
    assert key.public_der()[-32:] == ED25519.public_key().public_bytes_raw()
    assert (secret.public_key, secret.public_der()) == (None, None)


def test_a_pem_is_named_by_where_it_was_found():
    signer = LocalSigner.from_pem(PEM, signer_id="dev", where="AUDIT_SIGNING_PRIVATE_KEY")
    ED25519.public_key().verify(signer.sign(DIGEST).signature, DIGEST)
    with pytest.raises(ConfigError, match="AUDIT_SIGNING_PRIVATE_KEY is not a PEM"):
        LocalSigner.from_pem(b"nothing", signer_id="dev", where="AUDIT_SIGNING_PRIVATE_KEY")


def test_a_key_file_is_read(tmp_path: Path):
    file = tmp_path / "key.pem"
    file.write_bytes(PEM)
    signer = LocalSigner.from_file(file, signer_id="dev")
    ED25519.public_key().verify(signer.sign(DIGEST).signature, DIGEST)


def test_a_secret_file_is_read_without_white_space_around_it(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_bytes(b"a secret of at least 16 bytes\n")
    signer = LocalSigner.from_file(file, signer_id="dev", algorithm=HMAC)
    same = LocalSigner(signer_id="dev", key=b"a secret of at least 16 bytes")
    assert signer.sign(DIGEST) == same.sign(DIGEST)


@pytest.mark.parametrize("name", ["missing.pem", "."])
def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path, name):
    with pytest.raises(ConfigError, match=r"key file .* cannot be read"):
        LocalSigner.from_file(tmp_path / name, signer_id="dev")


def test_no_text_or_form_of_a_signer_shows_its_key():
    signer = LocalSigner(signer_id="dev", key=b"a secret of at least 16 bytes")
    assert "secret" not in repr(signer) + str(signer) + repr(vars(signer))
