"""Cosignatures: the bytes that a witness signs for a checkpoint, with the time, and their form in a signature line.

It states: as of this time, this is the largest tree of this origin that I have seen, and it continues all that I saw
before. An ML-DSA-44 cosignature with time 0 leaves out the first half; a log may sign its own checkpoints so.

Source: c2sp.org/tlog-cosignature; `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.scalar import MAX_NUMBER
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.core.checkpoint import Checkpoint
    from auditseal.core.note import NoteSignature

TIME_BYTES: Final = 8

_SUBTREE_LABEL: Final = b"subtree/v1\n\x00"
_MAX_OPAQUE: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedSignature:
    """What follows the key id in a cosignature's line.

    Attributes:
        time_s: seconds since 1970-01-01T00:00:00Z, at which it was made; below 2^63.
        signature: raw bytes.
    """

    time_s: int
    signature: bytes

    def __post_init__(self) -> None:
        """Refuses a time that the format does not allow.

        Raises:
            InputError: negative, or 2^63 or later.
        """
        _check_time(self.time_s)

    def to_bytes(self) -> bytes:
        """Time as 8 bytes, big-endian, then the signature."""
        return self.time_s.to_bytes(TIME_BYTES, "big") + self.signature

    @classmethod
    def from_bytes(cls, octets: bytes) -> TimedSignature:
        """The inverse of `to_bytes`.

        Raises:
            InputError: shorter than a time, or a time out of range.
        """
        if len(octets) <= TIME_BYTES:
            raise InputError(f"a cosignature is a time of {TIME_BYTES} bytes and a signature after it")
        return cls(time_s=int.from_bytes(octets[:TIME_BYTES], "big"), signature=octets[TIME_BYTES:])


def cosignature_time(signature: NoteSignature) -> int:
    """The time in a cosignature's line, in seconds since the epoch; as true as the signature is verified.

    Raises:
        InputError: it has no room for one.
    """
    return TimedSignature.from_bytes(signature.signature).time_s


def ed25519_message(text: str, time_s: int) -> bytes:
    """What an Ed25519 cosigner (type 0x04) signs: two lines, then the checkpoint's whole text.

    Args:
        text: the checkpoint's, extension lines among it.
        time_s: seconds since the epoch.

    Raises:
        InputError: the time is out of range.
    """
    _check_time(time_s)
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def ml_dsa_44_message(name: str, checkpoint: Checkpoint, time_s: int) -> bytes:
    """What an ML-DSA-44 cosigner (type 0x06) signs: its name, the time, the origin and the tree; no extension lines.

    Args:
        name: the cosigner's key name.
        checkpoint: its origin, size and root are signed.
        time_s: seconds since the epoch; 0 makes no statement on time.

    Raises:
        InputError: the time is out of range, or a name is longer than 255 bytes.
    """
    _check_time(time_s)
    return b"".join(
        (
            _SUBTREE_LABEL,
            _opaque(name),
            time_s.to_bytes(8, "big"),
            _opaque(checkpoint.origin),
            (0).to_bytes(8, "big"),  # the subtree of a checkpoint begins at leaf 0
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def _opaque(name: str) -> bytes:
    octets = name.encode()
    if not 0 < len(octets) <= _MAX_OPAQUE:
        raise InputError(f"an ML-DSA-44 cosignature takes names of 1 to {_MAX_OPAQUE} bytes, not {len(octets)}")
    return bytes([len(octets)]) + octets


def _check_time(time_s: int) -> None:
    if not 0 <= time_s <= MAX_NUMBER:
        raise InputError(f"a cosignature's time is from 0 to 2^63-1 seconds, not {time_s}")
