"""Checkpoints in the export format: lines of their own, which begin with the member `checkpoint`.

Source: `docs/spec/export.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from auditseal.core.canonical import parse_json
from auditseal.core.heads import Cover
from auditseal.core.note import format_signatures, parse_signatures
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.errors import CanonicalError, InputError

if TYPE_CHECKING:
    from auditseal.core.note import NoteSignature

PREFIX: Final = b'{"checkpoint":'
"""How the line of a checkpoint begins; no entry's does."""
MAX_LINE_BYTES: Final = 8 * 1024 * 1024

_MEMBERS: Final = frozenset(
    {"checkpoint", "cover", "request_id", "signatures", "signed_at", "signer", "size", "stream"}
)


def format_checkpoint_line(checkpoint: StoredCheckpoint) -> bytes:
    """The line, with its newline."""
    return orjson.dumps(
        {
            "checkpoint": checkpoint.text,
            "cover": None if checkpoint.cover is None else checkpoint.cover.to_members(),
            "request_id": checkpoint.request_id,
            "signatures": format_signatures(checkpoint.signatures),
            "signed_at": checkpoint.signed_at,
            "signer": checkpoint.signer,
            "size": checkpoint.size,
            "stream": checkpoint.stream,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def parse_checkpoint_line(line: bytes, place: str) -> StoredCheckpoint:
    """The checkpoint of a line, right or wrong; what cannot be read at all comes as a malformed one.

    Args:
        line: with or without its newline.
        place: file and line number, for what is malformed.
    """
    try:
        members = parse_json(line, max_bytes=MAX_LINE_BYTES)
    except CanonicalError as error:
        return _unreadable(f"{place}: {error}")
    if set(members) != _MEMBERS or not _has_types(members):
        return _unreadable(f"{place}: not a checkpoint with the members {', '.join(sorted(_MEMBERS))}")
    signatures: tuple[NoteSignature, ...] = ()
    cover, malformed = None, None
    try:
        signatures = parse_signatures(members["signatures"]) if members["signatures"] else ()
        cover = None if members["cover"] is None else Cover.from_members(members["cover"])
    except InputError as error:
        malformed = f"{place}: {error}"
    return StoredCheckpoint(
        stream=members["stream"],
        size=members["size"],
        text=members["checkpoint"],
        signatures=signatures,
        cover=cover,
        signer=members["signer"],
        request_id=members["request_id"],
        signed_at=members["signed_at"],
        malformed=malformed,
    )


def _has_types(members: dict[str, Any]) -> bool:
    texts = all(type(members[name]) is str for name in ("checkpoint", "signatures", "stream"))
    notes = all(type(members[name]) in (str, type(None)) for name in ("request_id", "signed_at", "signer"))
    return texts and notes and type(members["size"]) is int and members["size"] >= 0


def _unreadable(why: str) -> StoredCheckpoint:
    return StoredCheckpoint(stream="", size=0, text="", malformed=why)
