import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, mldsa, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auditseal.adapters.signers.private_key import MAX_PEM_BYTES, parse_private_key
from auditseal.errors import ConfigError

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
WHERE = "AUDIT_SIGNING_PRIVATE_KEY"


def _pem(key, form=PrivateFormat.PKCS8, encryption=None):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def _refusal(pem):
    with pytest.raises(ConfigError) as caught:
        parse_private_key(pem, where=WHERE)
    assert caught.value.__cause__ is None
    assert WHERE in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "pem",
    [
        _pem(RSA),
        _pem(RSA, PrivateFormat.TraditionalOpenSSL),
        _pem(P256),
        _pem(P256, PrivateFormat.TraditionalOpenSSL),
        _pem(ED25519),
        _pem(mldsa.MLDSA44PrivateKey.generate()),
        _pem(mldsa.MLDSA65PrivateKey.generate()),
        _pem(mldsa.MLDSA87PrivateKey.generate()),
    ],
    ids=["rsa", "rsa-pkcs1", "p256", "p256-sec1", "ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"],
)
def test_each_form_of_a_private_key_is_read(pem):
    key = parse_private_key(pem, where=WHERE)
    assert key.public_key() == parse_private_key(_pem(key), where=WHERE).public_key()


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: pem.replace(b"\n", b"\\n"),
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: b"\n  " + pem + b"\n\n",
    ],
)
def test_a_pem_from_an_environment_variable_is_read(change):
    assert parse_private_key(change(_pem(ED25519)), where=WHERE).public_key() == ED25519.public_key()


def test_what_openssl_writes_for_an_elliptic_curve_is_read():
    """Its first block names the curve; the key is in the second."""
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey"]
    pem = subprocess.run(command, capture_output=True, check=True).stdout
    assert b"EC PARAMETERS" in pem
    assert isinstance(parse_private_key(pem, where=WHERE), ec.EllipticCurvePrivateKey)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_refused_with_the_way_out(form):
    assert "openssl pkey" in _refusal(_pem(RSA, form, BestAvailableEncryption(b"password")))


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_a_public_key_is_refused_as_such(form):
    assert "is a public key" in _refusal(RSA.public_key().public_bytes(Encoding.PEM, form))


def test_a_certificate_is_refused_as_such():
    assert "another kind (CERTIFICATE)" in _refusal(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("pem", [b"", b"MIIEvQIBADANBgkqhkiG9w0BAQ", b"{}", b"\xff\xfe"])
def test_what_is_no_pem_is_refused_without_being_repeated(pem):
    text = _refusal(pem)
    assert "is not a PEM" in text
    assert not pem or pem.decode("latin-1") not in text or pem == b"{}"


def test_a_damaged_pem_is_refused_without_being_repeated():
    middle = _pem(ED25519).splitlines()[1]
    text = _refusal(_pem(ED25519).replace(middle, middle[:-8]))
    assert "no private key" in text
    assert middle[:16].decode() not in text


def test_two_keys_are_one_too_many():
    assert "2 PEM blocks" in _refusal(_pem(ED25519) + _pem(P256))


@pytest.mark.parametrize("key", [x25519.X25519PrivateKey.generate(), dsa.generate_private_key(1024)])
def test_a_key_of_a_type_that_does_not_sign_here_is_refused(key):
    assert "cannot sign here" in _refusal(_pem(key))


def test_a_file_that_is_far_too_large_is_refused():
    assert "larger than any" in _refusal(_pem(ED25519) + b" " * MAX_PEM_BYTES)
