"""Claims: the signatures that a log says a KMS made, each with the request id of its call.

A claim is the log's word. What it says is held against AWS's records here, and its signature by verification.

Source: `docs/spec/reconciliation.md` §1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from auditseal.core.cloudtrail_record import parse_event_time
from auditseal.core.event import parse_body
from auditseal.core.rotation_event import check_handover, is_rotation, parse_handover
from auditseal.errors import InputError, VerificationError

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.registry import Registry
    from auditseal.core.stored_checkpoint import StoredCheckpoint


class Claim(NamedTuple):
    """One signature of the log.

    Attributes:
        request_id: of the call that made it; None where the log has none.
        stream, seq: the entry, or the last one under a checkpoint.
        entry_id: of that entry; "" where it is not known.
        signer: the signer id that the log names.
        entry_at: the time that the entry, or the last one under the checkpoint, has; seconds since the epoch.
        signed_at: when the signature was stored, as the log says; None where it does not.
        first_seq: of a checkpoint, the first entry that the one before it does not cover; None for an entry's own.
    """

    request_id: str | None
    stream: str
    seq: int
    entry_id: str
    signer: str
    entry_at: int
    signed_at: int | None
    first_seq: int | None = None

    @property
    def at(self) -> int:
        """When the signature was made, as the log says."""
        return self.entry_at if self.signed_at is None else self.signed_at

    @property
    def what(self) -> str:
        """What was signed, for texts."""
        return "this entry" if self.first_seq is None else f"the checkpoint of size {self.seq + 1:,}"


def claims_of(entry: StoredEntry, registry: Registry, rotations: set[tuple[str, str]]) -> Iterator[Claim]:
    """The claims of an entry: its signatures, and the proofs within one that hands a stream over to another signer.

    Such proofs count only if they verify, and of each rotation only in the first entry that has them: any producer can
    write what looks like one, or the same again with other request ids, which the proofs are not over. An entry whose
    time cannot be read claims the beginning of time; verification says what is wrong with it.

    Args:
        entry: of a log.
        registry: by which proofs are checked.
        rotations: (stream, rotation) of those whose proofs were claimed; added to.
    """
    time, entry_id = time_and_id(entry)
    entry_at = seconds_of(time) or 0
    for signature in entry.signatures:
        signed_at = None if signature.signed_at is None else seconds_of(signature.signed_at)
        yield Claim(signature.request_id, entry.stream, entry.seq, entry_id, signature.signer, entry_at, signed_at)
    if is_rotation(entry):
        try:
            handover, proofs = parse_handover(parse_body(entry.body).payload, entry.stream)
            check_handover(handover, proofs, registry)
        except (InputError, VerificationError):
            return
        if (entry.stream, handover.rotation) in rotations:
            return
        rotations.add((entry.stream, handover.rotation))
        for proof in proofs:
            yield Claim(proof.request_id, entry.stream, entry.seq, entry_id, proof.signer_id, entry_at, entry_at)


def claim_of_checkpoint(checkpoint: StoredCheckpoint, *, first_seq: int) -> Claim | None:
    """The claim of a checkpoint's own signature; None for one that has none, being covered by another's.

    Its `entry_at` is when the signature was stored, until somebody knows the time of the entry that announces it.

    Args:
        checkpoint: as it stands in the log.
        first_seq: the first entry that the signed checkpoint before it does not cover.
    """
    if checkpoint.signer is None:
        return None
    at = (None if checkpoint.signed_at is None else seconds_of(checkpoint.signed_at)) or 0
    return Claim(
        checkpoint.request_id, checkpoint.stream, checkpoint.size - 1, "", checkpoint.signer, at, at, first_seq
    )


def time_and_id(entry: StoredEntry) -> tuple[str, str]:
    """An entry's time and id, by its columns where it has them; empty texts where it cannot be read."""
    if entry.columns is not None and entry.columns.time is not None:
        return entry.columns.time, entry.columns.id or ""
    try:
        body = parse_body(entry.body)
    except InputError:
        return "", ""
    return body.time, body.id


@lru_cache(maxsize=64)
def seconds_of(text: str) -> int | None:
    """Seconds since the epoch of a time as the log has it; None where it cannot be read."""
    try:
        return parse_event_time(f"{text[:19]}Z")
    except InputError:
        return None
