"""What all anchors do with checkpoints: check that one is one before it is kept, and sort what is found."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from auditseal.core.checkpoint import Checkpoint, parse_checkpoint
from auditseal.core.note import parse_note
from auditseal.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auditseal.ports import Anchored


def checked_note(note: bytes) -> Checkpoint:
    """The checkpoint of a signed note.

    Raises:
        InputError: it is none.
    """
    return parse_checkpoint(parse_note(note).text)


def of_origin(found: Iterable[Anchored], origin: str) -> list[Anchored]:
    """Those of an origin, by size.

    Raises:
        StoreError: one of them cannot be read as a checkpoint.
    """
    sized = []
    for each in found:
        try:
            checkpoint = checked_note(each.note)
        except InputError as error:
            raise StoreError(f"the anchor holds a damaged checkpoint at {each.where}: {error}") from error
        if checkpoint.origin == origin:
            sized.append((checkpoint.size, each))
    return [each for _, each in sorted(sized, key=lambda pair: pair[0])]


def file_name(checkpoint: Checkpoint) -> str:
    """A name for a checkpoint of an origin that sorts by size; two with one size and different roots have two."""
    return f"{checkpoint.size:020d}-{checkpoint.root.hex()[:16]}.checkpoint"


def folder_name(origin: str) -> str:
    """A name for an origin that every file system and object store takes: readable, and not shared by another."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in origin)
    return f"{plain[:100]}-{hashlib.sha256(origin.encode()).hexdigest()[:12]}"
