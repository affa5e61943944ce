import base64
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.private_key import ADVICE, holds_private_key
from support.keys import WITH_PUBLIC_KEY, private_key, public_key

RSA = AlgorithmId.RSA_SHA256
EC = AlgorithmId.ECDSA_P256_SHA256
ED25519 = AlgorithmId.ED25519


def _in(key, encoding, form=PrivateFormat.PKCS8, encryption=None):
    return key.private_bytes(encoding, form, encryption or NoEncryption())


def _forms(data):
    """The same in the forms in which people paste it."""
    text = base64.b64encode(data).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    yield data
    yield text
    yield f"  {lines}\n"
    yield base64.urlsafe_b64encode(data).decode().rstrip("=")
    yield data.hex()
    yield data.hex().upper()


@pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
def test_pkcs8_is_recognised_in_every_form(algorithm):
    key = private_key(algorithm)
    assert holds_private_key(_in(key, Encoding.PEM))
    assert holds_private_key(_in(key, Encoding.PEM).decode())
    for form in _forms(_in(key, Encoding.DER)):
        assert holds_private_key(form)


@pytest.mark.parametrize("algorithm", [RSA, EC], ids=str)
def test_the_traditional_forms_are_recognised(algorithm):
    key = private_key(algorithm)
    assert holds_private_key(_in(key, Encoding.PEM, PrivateFormat.TraditionalOpenSSL))
    for form in _forms(_in(key, Encoding.DER, PrivateFormat.TraditionalOpenSSL)):
        assert holds_private_key(form)


@pytest.mark.parametrize("algorithm", [RSA, EC, ED25519], ids=str)
def test_encrypted_keys_are_recognised(algorithm):
    key, lock = private_key(algorithm), BestAvailableEncryption(b"password")
    assert holds_private_key(_in(key, Encoding.PEM, encryption=lock))
    for form in _forms(_in(key, Encoding.DER, encryption=lock)):
        assert holds_private_key(form)
    assert holds_private_key(pkcs12.serialize_key_and_certificates(b"name", key, None, None, lock))


@pytest.mark.parametrize("algorithm", [RSA, EC, ED25519], ids=str)
def test_openssh_keys_are_recognised(algorithm):
    assert holds_private_key(_in(private_key(algorithm), Encoding.PEM, PrivateFormat.OpenSSH))


@pytest.mark.parametrize("kind", ["rsa:2048", "ed25519", "ec"])
def test_what_openssl_writes_is_recognised(kind):
    name, _, bits = kind.partition(":")
    options = {
        "rsa": ["-pkeyopt", f"rsa_keygen_bits:{bits}"],
        "ec": ["-pkeyopt", "ec_paramgen_curve:P-256"],
    }.get(name, [])
    made = subprocess.run(["openssl", "genpkey", "-algorithm", name, *options], capture_output=True, check=True)
    assert made.stdout.startswith(b"-----BEGIN")
    assert holds_private_key(made.stdout)


def test_seed_and_public_key_in_one_are_recognised():
    key = private_key(ED25519)
    pair = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    for form in _forms(pair):
        assert holds_private_key(form)


def test_a_damaged_private_key_is_one_all_the_same():
    pem = _in(private_key(RSA), Encoding.PEM)
    assert holds_private_key(pem[:60])
    assert holds_private_key(pem.lower())
    der = _in(private_key(RSA), Encoding.DER)
    assert holds_private_key(der[:100])
    assert holds_private_key(b"leading words " + pem)


@pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
def test_public_keys_are_not_taken_for_private_ones(algorithm):
    key = public_key(algorithm)
    for encoding in (Encoding.PEM, Encoding.DER):
        data = key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        for form in _forms(data):
            assert not holds_private_key(form)
    if algorithm is RSA:
        for form in _forms(key.public_bytes(Encoding.DER, PublicFormat.PKCS1)):
            assert not holds_private_key(form)


@given(st.binary(min_size=32, max_size=32).map(ed25519.Ed25519PrivateKey.from_private_bytes))
def test_raw_public_keys_are_not_taken_for_private_ones(key):
    for form in _forms(key.public_key().public_bytes_raw()):
        assert not holds_private_key(form)


@pytest.mark.parametrize(
    "text", ["", "kid-2026-07", "Signs audit events of the agent manager.", "\ud800" * 60, "0" * 64]
)
def test_ordinary_texts_are_not_taken_for_private_keys(text):
    assert not holds_private_key(text)


def test_the_advice_says_that_the_key_must_be_given_up():
    assert "stop signing with it" in ADVICE
