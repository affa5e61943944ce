"""Recognising private key material, so that it is refused before anything prints, keeps or copies it.

By structure and not by loading: a truncated, encrypted or unsupported private key is one all the same. A bare 32-byte
seed cannot be told from a public key and is not recognised.

Source: RFC 5208 and RFC 5958 (PKCS #8), RFC 8017 A.1.2 (PKCS #1), RFC 5915 (SEC 1), RFC 7292 (PKCS #12).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ed25519

if TYPE_CHECKING:
    from collections.abc import Iterator

ADVICE: Final = (
    "a private key stands here: remove it, stop signing with it (whoever could read this could sign), "
    "and register the public key of a new one"
)
"""The whole of what is said about a private key; the key itself is never shown."""

_LABEL: Final = re.compile(rb"BEGIN [A-Z0-9 ]*PRIVATE KEY", re.IGNORECASE)
_ARMOUR: Final = re.compile(rb"-----[^-]*-----")
_LENGTH: Final = rb"(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
# A SEQUENCE that opens with a small version number: PKCS #8 and #1 (0 or 1), SEC 1 (1), PKCS #12 (3).
_VERSIONED: Final = re.compile(rb"\x30" + _LENGTH + rb"\x02\x01[\x00\x01\x03]", re.DOTALL)
# EncryptedPrivateKeyInfo: a SEQUENCE that opens with an identifier of PKCS #5 or of PKCS #12's own ciphers.
_ENCRYPTED: Final = re.compile(
    rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\x06.\x2a\x86\x48\x86\xf7\x0d\x01(?:\x05|\x0c\x01)", re.DOTALL
)
_SHORTEST_TEXT: Final = 40
_ED25519_PAIR_BYTES: Final = 64


def holds_private_key(data: bytes | str) -> bool:
    """Whether this is a private key: PEM of any kind, DER, or either of them in base64 or hex."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return _is_private(raw) or any(_is_private(decoded) for decoded in _decodings(raw))


def _is_private(raw: bytes) -> bool:
    return bool(_LABEL.search(raw) or _VERSIONED.match(raw) or _ENCRYPTED.match(raw) or _is_ed25519_pair(raw))


def _is_ed25519_pair(raw: bytes) -> bool:
    """Whether these are seed || public key, the form in which Go and libsodium keep an Ed25519 private key."""
    if len(raw) != _ED25519_PAIR_BYTES:
        return False
    public = ed25519.Ed25519PrivateKey.from_private_bytes(raw[:32]).public_key()
    return public.public_bytes_raw() == raw[32:]


def _decodings(raw: bytes) -> Iterator[bytes]:
    """What the text says in base64 (either alphabet, padded or not) and in hex, without PEM's armour."""
    text = b"".join(_ARMOUR.sub(b"", raw).split())
    if len(text) < _SHORTEST_TEXT:
        return
    digits = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    for decode, form in ((base64.b64decode, digits + b"=" * (-len(digits) % 4)), (binascii.unhexlify, text)):
        try:
            yield decode(form)
        except (binascii.Error, ValueError):
            continue
