"""The two scalar forms of the C2SP texts, decimal numbers and base64, read so that each value has one form.

A reader that takes `007`, or base64 whose unused bits are set, lets one signed thing be written in two ways.

Source: RFC 4648 §3.5 and §4; c2sp.org/tlog-checkpoint, "Note text".
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from auditseal.errors import InputError

HASH_BYTES: Final = 32
"""Size of a SHA-256 hash."""
MAX_NUMBER: Final = 2**63 - 1
"""The largest tree size, index or time that the C2SP formats carry."""

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def parse_decimal(text: str, what: str) -> int:
    """The number of an ASCII decimal without sign and leading zeros, from 0 to 2^63-1.

    Args:
        text: the digits alone.
        what: what the number is, for the error text.

    Raises:
        InputError: another form, or beyond the range.
    """
    number = int(text) if _DECIMAL.fullmatch(text) else -1
    if not 0 <= number <= MAX_NUMBER:
        raise InputError(f"{what} is {text[:30]!a}, not a decimal from 0 to 2^63-1 without leading zeros")
    return number


def parse_base64(text: str, what: str) -> bytes:
    """The bytes of standard base64 with padding, in the one form that an encoder gives.

    Raises:
        InputError: another alphabet, white space, missing padding, or unused bits that are set.
    """
    try:
        decoded = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InputError(f"{what} is not base64") from None
    if format_base64(decoded) != text:
        raise InputError(f"{what} is not base64 in its canonical form")
    return decoded


def parse_hash(text: str, what: str) -> bytes:
    """The 32 bytes of a hash in canonical base64.

    Raises:
        InputError: not base64, or of another length.
    """
    decoded = parse_base64(text, what)
    if len(decoded) != HASH_BYTES:
        raise InputError(f"{what} has {len(decoded)} bytes; a hash has {HASH_BYTES}")
    return decoded


def format_base64(octets: bytes) -> str:
    """Standard base64 with padding, without line breaks."""
    return binascii.b2a_base64(octets, newline=False).decode("ascii")
