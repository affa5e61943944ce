"""Public keys: reading every form they come in, and the two forms they are written in.

What is read must be the one usual encoding of its key, so that our fingerprint is also what
`openssl pkey -pubin -outform DER | sha256sum` prints. Private keys are refused and never shown.

Source: RFC 5280 §4.1 (SubjectPublicKeyInfo); RFC 7468 (PEM); RFC 8017 A.1.1; RFC 8410; `docs/spec/signers-json.md` §3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from auditseal.core.algorithm import AlgorithmId, PublicKey, infer_algorithm, key_kind
from auditseal.core.private_key import ADVICE, holds_private_key
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.core.algorithm import Algorithm

MAX_KEY_BYTES: Final = 16 * 1024
"""The largest text or DER that is looked at."""
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
"""Twice the largest in AWS KMS; checking a signature takes time that grows with the square."""
MAX_RSA_EXPONENT: Final = 2**31 - 1
"""The largest that Go reads."""

_PEM: Final = re.compile(r"\s*-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]*)-----END \1-----\s*", re.ASCII)
_PRINTABLE: Final = re.compile(rb"[\t-\r -~]*")
_RAW_ED25519_BYTES: Final = 32
_HOW_TO: Final = "export the public key with openssl pkey -pubin -outform PEM"


def parse_public_key(data: bytes | str, *, algorithm: Algorithm | None = None, raw: bool = True) -> PublicKey:
    """The key of a PEM block, of base64, or of DER bytes.

    Whether the key fits the algorithm is not decided here, but by `auditseal.core.algorithm.offline_rule`.

    Args:
        data: PEM (`PUBLIC KEY` or `RSA PUBLIC KEY`), base64 of DER, base64 of the 32 bytes of an Ed25519 key, as
            text or ASCII bytes; or the DER itself. White space within base64 and around PEM is nothing.
        algorithm: what the key is said to serve; 32 bytes are a key only for ed25519 or where nothing is said.
        raw: whether 32 bytes may be a key at all.

    Raises:
        InputError: a private key, a certificate, anything else that is no public key of a supported type, or a weak
            or unusually encoded one. The text never shows what was given.
    """
    if len(data) > MAX_KEY_BYTES:
        raise InputError(f"{len(data)} bytes are too many for a public key")
    if holds_private_key(data):
        raise InputError(ADVICE)
    if isinstance(data, bytes):
        if not _PRINTABLE.fullmatch(data):
            return _from_der(data)
        data = data.decode("ascii")
    der = _from_pem(data) if "-----" in data else _from_base64(data)
    if len(der) == _RAW_ED25519_BYTES and raw and (algorithm is None or algorithm.id is AlgorithmId.ED25519):
        return _checked(ed25519.Ed25519PublicKey.from_public_bytes(der))
    return _from_der(der)


def _from_pem(text: str) -> bytes:
    block = _PEM.fullmatch(text)
    if not block:
        raise InputError(f"not one complete PEM block and nothing else: {_HOW_TO}")
    if "CERTIFICATE" in block[1]:
        raise InputError("a certificate, not a public key: take its key with openssl x509 -pubkey -noout")
    if block[1] not in ("PUBLIC KEY", "RSA PUBLIC KEY"):
        raise InputError(f"a PEM block of another kind ({block[1]}), not a PUBLIC KEY: {_HOW_TO}")
    return _from_base64(block[2])


def _from_base64(text: str) -> bytes:
    digits = "".join(re.split(r"[ \t-\r]+", text))
    try:
        decoded = base64.b64decode(digits, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded or base64.b64encode(decoded) != digits.encode():
        raise InputError(f"neither PEM nor whole, padded base64: {_HOW_TO}")
    return decoded


def _from_der(der: bytes) -> PublicKey:
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"not a public key that can be read ({len(der)} bytes): {_HOW_TO}") from None
    if not isinstance(key, PublicKey):
        kind = type(key).__name__.removesuffix("PublicKey")
        raise InputError(f"a {kind} key, which no signature algorithm here uses")
    key = _checked(key)
    if der not in (spki_der(key), _pkcs1_der(key)):
        raise InputError(f"the key's encoding is not the usual one, which its fingerprint is made of: {_HOW_TO}")
    return key


def _checked(key: PublicKey) -> PublicKey:
    """The key, if signatures under it can be believed; an RSA key marked for PSS becomes a plain one.

    Raises:
        InputError: too short or too long, an unsafe exponent, an unsupported curve, no point, or a small-order one.
    """
    infer_algorithm(key)
    if isinstance(key, ed25519.Ed25519PublicKey) and not _is_good_point(key.public_bytes_raw()):
        raise InputError("the 32 bytes are no sound Ed25519 public key")
    if not isinstance(key, rsa.RSAPublicKey):
        return key
    numbers = key.public_numbers()
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise InputError(f"an {key_kind(key)} key; use one of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    # The library has refused exponents that are even or 1. An even modulus is no product of two large primes.
    if numbers.n % 2 == 0 or numbers.e > MAX_RSA_EXPONENT:
        raise InputError("the RSA key's modulus or exponent is not one that a sound key has")
    return numbers.public_key()


def _is_good_point(raw: bytes) -> bool:
    """Whether the bytes are a point of edwards25519, canonically encoded, under whose key not everything verifies.

    A point of order 8 or less, as a public key, makes signatures that anybody can forge.

    Source: RFC 8032 §5.1.3; the group law of a twisted Edwards curve with a = -1, for y alone.
    """
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    x_squared = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    if y >= p or pow(x_squared, (p - 1) // 2, p) not in (0, 1):
        return False
    for _ in range(3):
        y = (y * y + x_squared) * pow(1 - d * x_squared * y * y, -1, p) % p
        x_squared = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    return y != 1


def spki_der(key: PublicKey) -> bytes:
    """The key as DER SubjectPublicKeyInfo: what KMS's GetPublicKey gives, and Go's x509.ParsePKIXPublicKey reads."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _pkcs1_der(key: PublicKey) -> bytes | None:
    if not isinstance(key, rsa.RSAPublicKey):
        return None
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


def to_pem(key: PublicKey) -> str:
    """The key as PEM SubjectPublicKeyInfo (`PUBLIC KEY`), with a newline at its end."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode("ascii")


def fingerprint(key: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, in 64 lower-case hex digits."""
    return hashlib.sha256(spki_der(key)).hexdigest()


def key_spec(key: PublicKey) -> str:
    """The KeySpec that AWS KMS gives such a key, such as `RSA_2048`."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA_{key.key_size}"
        case ec.EllipticCurvePublicKey():
            return "ECC_NIST_P256"
        case ed25519.Ed25519PublicKey():
            return "ECC_NIST_EDWARDS25519"
        case _:
            return infer_algorithm(key).kms_key_specs[0]
