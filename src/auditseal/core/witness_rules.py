"""The rules of a witness: what it is asked, and when it may cosign.

The rules are pure; keeping what was last cosigned, atomically, is a `WitnessStore`'s part.

Source: c2sp.org/tlog-witness; `docs/spec/checkpoint.md`, "Witnesses".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from auditseal.core.checkpoint import Checkpoint, parse_checkpoint
from auditseal.core.merkle import EMPTY_ROOT
from auditseal.core.merkle_proof import verify_consistency
from auditseal.core.note import MAX_NOTE_BYTES, Note, format_note, parse_note
from auditseal.core.scalar import format_base64, parse_decimal, parse_hash
from auditseal.errors import ConflictError, InputError, ProofInvalidError

MAX_PROOF: Final = 63
MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES + 8 * 1024
SIZE_TYPE: Final = "text/x.tlog.size"
"""The content type of an answer that says what size was last cosigned."""


class StaleError(ConflictError):
    """The witness last cosigned another size than the one that the proof starts from.

    Attributes:
        size: what it last cosigned; 0 if nothing.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"the witness last cosigned size {size}: send a proof from there")
        self.size = size


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """The body of an add-checkpoint request.

    Attributes:
        old_size: from which the proof starts.
        proof: 32 bytes each.
        note: the signed checkpoint.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: Note

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint.

        Raises:
            InputError: the note's text is none.
        """
        return parse_checkpoint(self.note.text)


def format_add_checkpoint(request: AddCheckpoint) -> bytes:
    """The body to send.

    Raises:
        InputError: the proof is too long, or the checkpoint not signed.
    """
    if len(request.proof) > MAX_PROOF:
        raise InputError(f"a consistency proof has at most {MAX_PROOF} hashes")
    lines = [f"old {request.old_size}", *map(format_base64, request.proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + format_note(request.note)


def parse_add_checkpoint(octets: bytes) -> AddCheckpoint:
    """The inverse of `format_add_checkpoint`.

    Raises:
        InputError: too long, or not of the form.
    """
    if len(octets) > MAX_REQUEST_BYTES:
        raise InputError(f"the request has {len(octets)} bytes; at most {MAX_REQUEST_BYTES} are read")
    head, separator, note = octets.partition(b"\n\n")
    try:
        first, *proof = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise InputError("the proof is not ASCII") from None
    if not separator or not first.startswith("old "):
        raise InputError("the request is `old` and a size, a proof, an empty line and a checkpoint")
    if len(proof) > MAX_PROOF:
        raise InputError(f"a consistency proof has at most {MAX_PROOF} hashes")
    request = AddCheckpoint(
        old_size=parse_decimal(first.removeprefix("old "), "the old size"),
        proof=tuple(parse_hash(line, "a hash of the proof") for line in proof),
        note=parse_note(note),
    )
    if request.old_size > request.checkpoint.size:
        raise InputError(f"the old size {request.old_size} is larger than the checkpoint's {request.checkpoint.size}")
    return request


def check_growth(request: AddCheckpoint, last: Checkpoint | None) -> None:
    """Returns if a witness that last cosigned `last` of this origin may cosign the request's checkpoint.

    Args:
        request: whose signature by the log has been checked.
        last: None if nothing was cosigned yet, which is size 0.

    Raises:
        StaleError: the proof starts from another size than the last one.
        ProofInvalidError: the proof does not hold, or is given where it must be empty.
    """
    new = request.checkpoint
    size, root = (last.size, last.root) if last is not None else (0, EMPTY_ROOT)
    if request.old_size != size:
        raise StaleError(size)
    if size == 0 and request.proof:
        raise ProofInvalidError("from size 0 no proof is given")
    verify_consistency(size, root, new.size, new.root, request.proof)
