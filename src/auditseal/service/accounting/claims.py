"""Reading a log's claims: from its columns where it has them, else from its entries; and from its checkpoints.

Columns are believed here: whether they say what the bodies say is verification's question, and asked there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from auditseal.core.claim import Claim, claim_of_checkpoint, claims_of, seconds_of, time_and_id
from auditseal.core.event import parse_body
from auditseal.core.promise import CHECKPOINT_TYPE
from auditseal.core.rotation_event import ROTATED
from auditseal.errors import InputError
from auditseal.ports import SignatureSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from auditseal.core.entry import StoredEntry
    from auditseal.core.registry import Registry
    from auditseal.ports import CheckpointSource, Source
    from auditseal.service.accounting.ports import Cover, Ledger


def take_claims(log: Source, registry: Registry, ledger: Ledger) -> None:
    """Reads all claims of a log into a ledger.

    Args:
        log: where to read.
        registry: by which the proofs in entries that hand a stream over are checked.
        ledger: takes them.

    Raises:
        StoreError: the log cannot be read on, or the ledger fails.
    """
    rows = _rows(log, registry) if isinstance(log, SignatureSource) else _entries(log, registry)
    ledger.add_claims(_noting(rows, ledger.add_announced))
    if hasattr(log, "checkpoints"):
        ledger.add_claims(_checkpoints(cast("CheckpointSource", log), ledger.add_covers))
        ledger.date_checkpoints()


Announced = tuple[str, int, int]
"""(stream, seq, time) of an entry that announces a checkpoint."""
_BATCH = 1000


def _noting(found: Iterable[Claim | Announced], note: Callable[[list[Announced]], None]) -> Iterator[Claim]:
    """The claims; what is announced goes elsewhere, some at a time."""
    announced: list[Announced] = []
    for each in found:
        if isinstance(each, Claim):
            yield each
            continue
        announced.append(each)
        if len(announced) >= _BATCH:
            note(announced)
            announced = []
    note(announced)


def _rows(log: SignatureSource, registry: Registry) -> Iterator[Claim | Announced]:
    handed_over: tuple[str, int] | None = None
    rotations: set[tuple[str, str]] = set()
    for stream, seq, entry_id, time, type_, signer, request_id, signed_at in log.signature_rows():
        if type_ == ROTATED:
            if (stream, seq) != handed_over:
                handed_over = (stream, seq)
                entry = log.entry(stream, seq)
                yield from () if entry is None else claims_of(entry, registry, rotations)
            continue
        at = seconds_of(time or "") or 0
        if type_ == CHECKPOINT_TYPE:
            yield stream, seq, at
        if signer is not None:
            signed = None if signed_at is None else seconds_of(signed_at)
            yield Claim(request_id, stream, seq, entry_id or "", signer, at, signed)


def _entries(log: Source, registry: Registry) -> Iterator[Claim | Announced]:
    rotations: set[tuple[str, str]] = set()
    for entry in log.walk():
        if entry.malformed is not None:
            continue
        if _type_of(entry) == CHECKPOINT_TYPE:
            yield entry.stream, entry.seq, seconds_of(time_and_id(entry)[0]) or 0
        yield from claims_of(entry, registry, rotations)


def _type_of(entry: StoredEntry) -> str:
    if entry.columns is not None and entry.columns.type is not None:
        return entry.columns.type
    try:
        return parse_body(entry.body).type
    except InputError:
        return ""


def _checkpoints(log: CheckpointSource, cover: Callable[[list[Cover]], None]) -> Iterator[Claim]:
    stream, covered = "", 0
    for checkpoint in log.checkpoints():
        if checkpoint.malformed is not None:
            continue
        if checkpoint.stream != stream:
            stream, covered = checkpoint.stream, 0
        claim = claim_of_checkpoint(checkpoint, first_seq=min(covered, checkpoint.size - 1))
        if claim is not None:
            yield claim
        elif checkpoint.cover is not None and covered < checkpoint.size:
            cover([(stream, covered, checkpoint.size - 1, checkpoint.cover.seq)])
        covered = max(covered, checkpoint.size)
