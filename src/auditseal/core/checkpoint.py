"""Checkpoints: what a log signs of its tree, and whose tree it is.

A checkpoint's text is three lines: origin, size, root. Other logs may write extension lines after them, which nobody
can audit; what we have to say more is an entry of the log itself (`promise`).

Source: c2sp.org/tlog-checkpoint; `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from auditseal.core.event import check_stream
from auditseal.core.note import check_key_name
from auditseal.core.scalar import HASH_BYTES, MAX_NUMBER, format_base64, parse_decimal, parse_hash
from auditseal.errors import InputError

MAX_ORIGIN_BYTES: Final = 255
"""The longest origin of ours: an ML-DSA-44 cosignature carries its length in one byte."""
MAX_LOG_ORIGIN_BYTES: Final = 126
"""The longest log origin: with `/` and the longest stream name it is `MAX_ORIGIN_BYTES` long."""

_LINES: Final = 3
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A tree's size and root, and whose tree it is.

    Attributes:
        origin: the log's name for the world: one line, not empty.
        size: the number of leaves.
        root: 32 bytes.
        extensions: further lines that another log wrote; ours never do, and an ML-DSA-44 cosignature does not cover
            them.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what no checkpoint can carry.

        Raises:
            InputError: a line would be empty or hold a control character, or a number is out of range.
        """
        if not all((self.origin, *self.extensions)) or _FORBIDDEN.search("".join((self.origin, *self.extensions))):
            raise InputError("a checkpoint's lines are not empty and have no control characters")
        if not 0 <= self.size <= MAX_NUMBER or len(self.root) != HASH_BYTES:
            raise InputError(f"a checkpoint has a size from 0 to 2^63-1 and a root of {HASH_BYTES} bytes")


def parse_checkpoint(text: str) -> Checkpoint:
    """Reads the text of a checkpoint; the signatures are the note's.

    Args:
        text: three lines or more, each with its newline.

    Raises:
        InputError: fewer lines, an empty one, a size with leading zeros, or a root that is not 32 bytes in
            canonical base64.
    """
    if not text.endswith("\n"):
        raise InputError("a checkpoint's text ends in a newline")
    lines = text[:-1].split("\n")
    if len(lines) < _LINES:
        raise InputError(f"a checkpoint has an origin, a size and a root; this text has {len(lines)} lines")
    origin, size, root, *extensions = lines
    return Checkpoint(
        origin=origin,
        size=parse_decimal(size, "the checkpoint's size"),
        root=parse_hash(root, "the checkpoint's root"),
        extensions=tuple(extensions),
    )


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The text to sign.

    Raises:
        InputError: it has extension lines, which we never write.
    """
    if checkpoint.extensions:
        raise InputError("a checkpoint of ours has no extension lines: say it in an entry of the log")
    return f"{checkpoint.origin}\n{checkpoint.size}\n{format_base64(checkpoint.root)}\n"


def check_log_origin(origin: str) -> str:
    """The origin, if it can name a log of ours and, with a stream's name after it, that stream.

    Raises:
        InputError: no key name, ends in a slash, or longer than 126 bytes.
    """
    check_key_name(origin)
    if origin.endswith("/") or len(origin.encode()) > MAX_LOG_ORIGIN_BYTES:
        raise InputError(
            f"{origin[:60]!a} is not a log origin: use a name such as example.com/audit, without a slash at the end, "
            f"of at most {MAX_LOG_ORIGIN_BYTES} bytes"
        )
    return origin


def stream_origin(log_origin: str, stream: str) -> str:
    """The origin of a stream's checkpoints, which is its key's name as well: `<log origin>/<stream>`.

    Raises:
        InputError: either is not what it should be.
    """
    return f"{check_log_origin(log_origin)}/{check_stream(stream)}"


def log_origin_of(origin: str, stream: str) -> str:
    """The log origin in the origin of this stream's checkpoints.

    Raises:
        InputError: it is not the origin of such a stream.
    """
    check_stream(stream)
    log_origin, end = origin[: -len(stream) - 1], origin[-len(stream) - 1 :]
    if end != f"/{stream}":
        raise InputError(f"{origin[:200]!a} is not the origin of the stream {stream!a}: that ends in /{stream}")
    return check_log_origin(log_origin)
