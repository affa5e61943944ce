"""Proofs that one checkpoint continues another, in one file.

Source: `docs/spec/bundle.md`, "Consistency".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.canonical import canonicalize, parse_json
from auditseal.core.checkpoint import Checkpoint, parse_checkpoint
from auditseal.core.log_keys import LogKeys
from auditseal.core.merkle_proof import verify_consistency
from auditseal.core.note import MAX_NOTE_BYTES, Note, parse_note
from auditseal.core.scalar import format_base64, parse_hash
from auditseal.core.tlog_proof import MAX_PATH
from auditseal.errors import CanonicalError, InputError, ProofInvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.note_key import MacCheck
    from auditseal.core.registry import Registry

VERSION: Final = 1
MAX_BYTES: Final = 3 * MAX_NOTE_BYTES

_MEMBERS: Final = frozenset({"consistency", "new", "old", "path"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """Two signed checkpoints, and the proof between them; nothing in it is checked.

    Attributes:
        old, new: signed notes.
        path: 32 bytes each.
    """

    old: str
    new: str
    path: tuple[bytes, ...]


def format_consistency(consistency: Consistency) -> bytes:
    """As canonical JSON and a newline."""
    path = [format_base64(each) for each in consistency.path]
    members = {"consistency": VERSION, "new": consistency.new, "old": consistency.old, "path": path}
    return canonicalize(members, max_bytes=MAX_BYTES) + b"\n"


def parse_consistency(octets: bytes) -> Consistency:
    """The inverse of `format_consistency`, white space between members allowed.

    Raises:
        InputError: too long, not JSON, another version, or a member of another form.
    """
    try:
        members = parse_json(octets, max_bytes=MAX_BYTES)
    except CanonicalError as error:
        raise InputError(f"not a consistency proof: {error}") from None
    if type(members) is not dict or set(members) != _MEMBERS or type(members["consistency"]) is not int:
        raise InputError(f"not a consistency proof: it has exactly the members {', '.join(sorted(_MEMBERS))}")
    if members["consistency"] != VERSION:
        raise InputError(f"the consistency proof has a version that is not {VERSION}")
    path = members["path"]
    if type(members["old"]) is not str or type(members["new"]) is not str or type(path) is not list:
        raise InputError("a consistency proof's checkpoints are text, and its path is a list")
    if len(path) > MAX_PATH or not all(type(each) is str for each in path):
        raise InputError(f"the path of a consistency proof has at most {MAX_PATH} strings")
    return Consistency(
        old=members["old"], new=members["new"], path=tuple(parse_hash(each, "a hash of the path") for each in path)
    )


def verify_consistency_file(
    consistency: Consistency, registry: Registry, *, mac_rules: Mapping[str, MacCheck] | None = None
) -> tuple[Checkpoint, Checkpoint]:
    """(the old checkpoint, the new one), both signed by known signers, the new one continuing the old.

    Raises:
        ProofInvalidError: it does not continue it, or the two are of different origins.
        SignatureInvalidError: a signature is wrong.
        NotCheckedError: a signer is not known.
        InputError: a part is not of its form.
    """
    keys = LogKeys(registry, mac_rules)
    notes: list[Note] = [parse_note(text.encode()) for text in (consistency.old, consistency.new)]
    old, new = (parse_checkpoint(note.text) for note in notes)
    if old.origin != new.origin:
        raise ProofInvalidError(f"the two checkpoints are of {old.origin[:130]!a} and of {new.origin[:130]!a}")
    for note in notes:
        keys.signer_of(note, old.origin)
    verify_consistency(old.size, old.root, new.size, new.root, consistency.path)
    return old, new
