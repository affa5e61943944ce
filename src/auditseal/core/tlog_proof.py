"""The C2SP proof text: inclusion of one leaf, and the checkpoint that it leads to.

A reader of this text brings the leaf (here the 32-byte entry hash), the log's key and, if it asks for witnesses, a
policy.

Source: c2sp.org/tlog-proof; `docs/spec/bundle.md`, "Proof text".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from auditseal.core.note import MAX_NOTE_BYTES, Note, format_note, parse_note
from auditseal.core.scalar import HASH_BYTES, format_base64, parse_base64, parse_decimal, parse_hash
from auditseal.errors import InputError

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PATH: Final = 63
"""No tree is deeper."""
MAX_EXTRA_BYTES: Final = 64 * 1024

_MAX_BYTES: Final = MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """What the text holds; nothing in it is checked.

    Attributes:
        index: of the leaf.
        path: 32 bytes each, from the leaf's sibling up.
        note: the signed checkpoint.
        extra: bytes that nothing authenticates; None without that line.
    """

    index: int
    path: tuple[bytes, ...]
    note: Note
    extra: bytes | None = None

    def __post_init__(self) -> None:
        """Refuses what the text cannot carry.

        Raises:
            InputError: a path too long or not of hashes, or too much extra.
        """
        if len(self.path) > MAX_PATH or any(len(each) != HASH_BYTES for each in self.path):
            raise InputError(f"a proof has at most {MAX_PATH} hashes of {HASH_BYTES} bytes")
        if self.extra is not None and len(self.extra) > MAX_EXTRA_BYTES:
            raise InputError(f"a proof has at most {MAX_EXTRA_BYTES} bytes of extra data")


def format_tlog_proof(proof: TlogProof) -> bytes:
    """The text.

    Raises:
        InputError: the checkpoint has no signature.
    """
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(f"extra {format_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines += [format_base64(each) for each in proof.path]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + format_note(proof.note)


def parse_tlog_proof(octets: bytes) -> TlogProof:
    """The inverse of `format_tlog_proof`.

    Raises:
        InputError: too long, or not of the form.
    """
    if len(octets) > _MAX_BYTES:
        raise InputError(f"the proof has {len(octets)} bytes; at most {_MAX_BYTES} are read")
    head, separator, note = octets.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise InputError("the proof's first part is not ASCII") from None
    if lines[0] != HEADER or not separator:
        raise InputError(f"not a proof: it begins with {HEADER} and has an empty line before its checkpoint")
    rest = lines[1:]
    extra = None
    if rest and rest[0].startswith("extra "):
        extra = parse_base64(rest.pop(0).removeprefix("extra "), "the extra data")
    if not rest or not rest[0].startswith("index "):
        raise InputError("the proof has no index line")
    index = parse_decimal(rest[0].removeprefix("index "), "the proof's index")
    if len(rest) > MAX_PATH + 1:
        raise InputError(f"a proof has at most {MAX_PATH} hashes")
    path = tuple(parse_hash(line, "a hash of the proof") for line in rest[1:])
    return TlogProof(index=index, path=path, note=parse_note(note), extra=extra)
