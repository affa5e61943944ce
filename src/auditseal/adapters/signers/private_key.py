"""Private keys from PEM text, for development and tests: what is read, and what is refused.

Nothing that was read ever stands in an error text.
"""

from __future__ import annotations

import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auditseal.errors import ConfigError

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
_KINDS: Final = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    mldsa.MLDSA44PrivateKey,
    mldsa.MLDSA65PrivateKey,
    mldsa.MLDSA87PrivateKey,
)
MAX_PEM_BYTES: Final = 64 * 1024
_LABEL: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_PRIVATE_LABELS: Final = frozenset({b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY"})


def parse_private_key(pem: bytes, *, where: str) -> PrivateKey:
    r"""The key of a PEM: PKCS#8, or PKCS#1 for RSA, or SEC1 for elliptic curves.

    Args:
        pem: the text; `\n` written out, as environment variables have it, is taken as a line break.
        where: what it was read from, for the texts.

    Raises:
        ConfigError: not a PEM, encrypted, a public key or a certificate, damaged, or of a type that does not sign here.
    """
    if len(pem) > MAX_PEM_BYTES:
        raise ConfigError(f"{where} is larger than any private key: check what it names")
    pem = pem.replace(b"\\r", b"").replace(b"\\n", b"\n").strip()
    labels = [label for label in _LABEL.findall(pem) if label != b"EC PARAMETERS"]
    _check_labels(labels, pem, where)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause: the library's text may quote what it read.
        raise ConfigError(f"{where} is a PEM whose content is no private key that can be read here") from None
    if not isinstance(key, _KINDS):
        raise ConfigError(f"{where} holds a key that cannot sign here: use RSA, P-256, Ed25519 or ML-DSA")
    return key


def _check_labels(labels: list[bytes], pem: bytes, where: str) -> None:
    if not labels:
        raise ConfigError(f"{where} is not a PEM: it must begin with -----BEGIN PRIVATE KEY-----")
    if len(labels) > 1:
        raise ConfigError(f"{where} holds {len(labels)} PEM blocks: leave the private key alone in it")
    label = labels[0]
    if label == b"ENCRYPTED PRIVATE KEY" or b"Proc-Type: 4,ENCRYPTED" in pem:
        raise ConfigError(
            f"{where} is encrypted, and there is no way to give its password: decrypt it (openssl pkey -in … -out …)"
        )
    if label in {b"PUBLIC KEY", b"RSA PUBLIC KEY"}:
        raise ConfigError(f"{where} is a public key: a signer needs the private one")
    if label not in _PRIVATE_LABELS:
        raise ConfigError(f"{where} is a PEM of another kind ({label.decode()[:40]}): use -----BEGIN PRIVATE KEY-----")
