import base64
import hashlib
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.key import fingerprint, key_spec, parse_public_key, spki_der, to_pem
from auditseal.errors import InputError
from support.der import read_der
from support.keys import WITH_PUBLIC_KEY, private_key, public_key

RSA, EC, ED25519 = AlgorithmId.RSA_SHA256, AlgorithmId.ECDSA_P256_SHA256, AlgorithmId.ED25519
EVERY = pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
# The openssl command of the distributions in use does not know ML-DSA.
OPENSSL = pytest.mark.parametrize("algorithm", [RSA, EC, ED25519], ids=str)
# AlgorithmIdentifier of each, as RFC 3279 §2.3.1, RFC 5480 §2.1.1, RFC 8410 §3 and RFC 9881 §2 fix it.
IDENTIFIERS = {
    RSA: ["1.2.840.113549.1.1.1", None],
    EC: ["1.2.840.10045.2.1", "1.2.840.10045.3.1.7"],
    ED25519: ["1.3.101.112"],
    AlgorithmId.ML_DSA_44: ["2.16.840.1.101.3.4.3.17"],
    AlgorithmId.ML_DSA_65: ["2.16.840.1.101.3.4.3.18"],
    AlgorithmId.ML_DSA_87: ["2.16.840.1.101.3.4.3.19"],
}


def _raw(number=0):
    return public_key(ED25519, number).public_bytes_raw()


def _pkcs1(encoding):
    return public_key(RSA).public_bytes(encoding, PublicFormat.PKCS1)


def _forms(key):
    der = spki_der(key)
    text = base64.b64encode(der).decode()
    yield der
    yield to_pem(key)
    yield to_pem(key).encode()
    yield to_pem(key).replace("\n", "\r\n")
    yield f"\n {to_pem(key)} \n"
    yield text
    yield "\n".join(text[start : start + 76] for start in range(0, len(text), 76)) + "\n"


@EVERY
def test_a_key_is_read_in_every_form(algorithm):
    key = public_key(algorithm)
    for form in _forms(key):
        assert parse_public_key(form) == key


def test_pkcs1_is_read_as_pem_and_as_base64_and_gives_the_same_fingerprint():
    for form in (_pkcs1(Encoding.PEM), _pkcs1(Encoding.DER), base64.b64encode(_pkcs1(Encoding.DER))):
        key = parse_public_key(form)
        assert fingerprint(key) == fingerprint(public_key(RSA))


def test_the_raw_32_bytes_are_an_ed25519_key_where_nothing_else_is_said():
    text = base64.b64encode(_raw()).decode()
    assert parse_public_key(text) == public_key(ED25519)
    assert parse_public_key(text, algorithm=ALGORITHMS[ED25519]) == public_key(ED25519)
    for options in ({"algorithm": ALGORITHMS[RSA]}, {"raw": False}):
        with pytest.raises(InputError, match="not a public key that can be read"):
            parse_public_key(text, **options)


@OPENSSL
def test_openssl_loads_the_pem_and_gives_the_same_key_back(algorithm):
    pem = to_pem(public_key(algorithm))
    command = ["openssl", "pkey", "-pubin", "-pubout"]
    done = subprocess.run(command, input=pem, capture_output=True, text=True, check=True)
    assert done.stdout == pem


@OPENSSL
def test_the_fingerprint_is_what_openssl_prints(algorithm):
    pem = to_pem(public_key(algorithm)).encode()
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, capture_output=True, check=True
    ).stdout
    printed = subprocess.run(["openssl", "dgst", "-sha256", "-hex"], input=der, capture_output=True, check=True).stdout
    assert printed.decode().split()[-1] == fingerprint(public_key(algorithm))


@EVERY
def test_the_der_is_a_subject_public_key_info_as_gos_x509_reads_it(algorithm):
    """SEQUENCE { SEQUENCE { OID, parameters }, BIT STRING }, nothing after it and no unused bits."""
    identifier, bits = read_der(spki_der(public_key(algorithm)))
    assert identifier == IDENTIFIERS[RSA if algorithm is AlgorithmId.RSA_PSS_SHA256 else algorithm]
    key = public_key(algorithm)
    if algorithm in (RSA, AlgorithmId.RSA_PSS_SHA256):
        assert read_der(bits) == [key.public_numbers().n, key.public_numbers().e]
    elif algorithm is EC:
        assert bits[0] == 4
        assert len(bits) == 65
    else:
        assert bits == key.public_bytes_raw()


@EVERY
def test_the_fingerprint_is_the_hash_of_the_der(algorithm):
    key = public_key(algorithm)
    assert fingerprint(key) == hashlib.sha256(spki_der(key)).hexdigest()


def test_the_key_spec_is_that_of_kms():
    assert [key_spec(public_key(id_)) for id_ in WITH_PUBLIC_KEY] == [
        "RSA_2048",
        "RSA_2048",
        "ECC_NIST_P256",
        "ECC_NIST_EDWARDS25519",
        "ML_DSA_44",
        "ML_DSA_65",
        "ML_DSA_87",
    ]


@pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["pem", "der"])
def test_a_private_key_is_refused_and_not_shown(algorithm, encoding):
    data = private_key(algorithm).private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(InputError, match="a private key stands here") as caught:
        parse_public_key(data)
    body = base64.b64encode(data).decode() if encoding is Encoding.DER else data.decode().splitlines()[1]
    assert body[:20] not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("", "neither PEM nor whole"),
        ("words", "neither PEM nor whole"),
        ("TUlJQklqQU5CZ2s=", "not a public key that can be read"),
        ("TUlJQklqQU5CZ2s", "neither PEM nor whole"),
        ("-----BEGIN PUBLIC KEY-----", "not one complete PEM block"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "a certificate"),
        ("-----BEGIN EC PARAMETERS-----\nMIIB\n-----END EC PARAMETERS-----", "another kind \\(EC PARAMETERS\\)"),
        ("-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----", "neither PEM nor whole"),
        (b"\x30\x03\x02\x01\x05", "not a public key that can be read"),
        (b"\xff" * 20, "not a public key that can be read"),
        ("A" * (16 * 1024 + 1), "too many for a public key"),
    ],
)
def test_what_is_no_public_key_is_refused_with_what_to_do(data, error):
    with pytest.raises(InputError, match=error):
        parse_public_key(data)


def test_two_pem_blocks_are_ambiguous_and_refused():
    with pytest.raises(InputError, match="not one complete PEM block"):
        parse_public_key(to_pem(public_key(RSA)) + to_pem(public_key(EC)))


@pytest.mark.parametrize(
    "key",
    [
        dsa.generate_parameters(1024).generate_private_key().public_key(),
        ed448.Ed448PrivateKey.generate().public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        rsa.generate_private_key(65537, 1024).public_key(),
    ],
    ids=["dsa", "ed448", "x25519", "p384", "k1", "rsa1024"],
)
def test_keys_that_no_algorithm_uses_are_refused(key):
    with pytest.raises(InputError):
        parse_public_key(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize(
    ("modulus", "exponent"), [(2**2047, 65537), (2**2047 + 1, 2**31 + 1), (2**8192 + 1, 65537), (2**2047 + 1, 2)]
)
def test_an_rsa_key_that_nobody_sound_made_is_refused(modulus, exponent):
    def integer(number):
        content = number.to_bytes(number.bit_length() // 8 + 1, "big")
        return b"\x02\x82" + len(content).to_bytes(2, "big") + content

    small = exponent.to_bytes(exponent.bit_length() // 8 + 1, "big")
    inside = integer(modulus) + b"\x02" + bytes([len(small)]) + small
    with pytest.raises(InputError):
        parse_public_key(b"\x30\x82" + len(inside).to_bytes(2, "big") + inside)


_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def _root(square):
    """A square root modulo p, p = 5 mod 8 (RFC 8032 §5.1.3); None for a number without one."""
    for factor in (1, pow(2, (_P - 1) // 4, _P)):
        root = pow(square, (_P + 3) // 8, _P) * factor % _P
        if root * root % _P == square % _P:
            return root
    return None


def _order_8():
    """The y of a point whose double has y = 0: d·y⁴ + 2·y² - 1 = 0."""
    roots = ((sign * _root(1 + _D) - 1) * pow(_D, -1, _P) % _P for sign in (1, -1))
    return next(y for y in map(_root, roots) if y is not None)


@pytest.mark.parametrize(
    "y",
    [1, _P - 1, 0, _order_8(), _P - _order_8(), _P, _P + 1, 2**255 - 1],
    ids=["order 1", "order 2", "order 4", "order 8", "order 8 again", "p", "p+1", "largest"],
)
@pytest.mark.parametrize("sign", [0, 1])
def test_an_ed25519_point_under_which_anybody_can_sign_is_refused(y, sign):
    raw = (y | sign << 255).to_bytes(32, "little")
    with pytest.raises(InputError, match="no sound Ed25519 public key"):
        parse_public_key(base64.b64encode(raw).decode())


@given(st.binary(min_size=32, max_size=32).map(ed25519.Ed25519PrivateKey.from_private_bytes))
def test_every_honest_ed25519_key_is_taken(key):
    raw = key.public_key().public_bytes_raw()
    assert parse_public_key(base64.b64encode(raw).decode()).public_bytes_raw() == raw


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_or_refused(data):
    for form in (data, base64.b64encode(data)):
        try:
            key = parse_public_key(form)
        except InputError:
            continue
        assert parse_public_key(to_pem(key)) == key


def test_another_encoding_of_a_key_is_refused_since_its_fingerprint_would_differ():
    usual = spki_der(public_key(EC))
    identifier, compressed = usual[2:23], public_key(EC).public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    inside = identifier + b"\x03\x22\x00" + compressed
    with pytest.raises(InputError, match="encoding is not the usual one"):
        parse_public_key(b"\x30" + bytes([len(inside)]) + inside)
    with pytest.raises(InputError):
        parse_public_key(usual + b"\0")
