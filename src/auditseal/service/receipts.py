"""Receipts: what is true of each event when its caller is answered.

Source: `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from auditseal.core.event import EntryHash, StreamName
from auditseal.core.receipt import Receipt
from auditseal.errors import AuditSealError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from auditseal.core.entry import StoredSignature
    from auditseal.ports import Appended, Signer

Outcome = Receipt | AuditSealError
"""What became of one event of many: its receipt, or why it alone was not appended."""
Place = tuple[str, int]
"""stream, seq."""


def receipts_of(
    outcomes: Iterable[Appended | AuditSealError],
    signed: Mapping[Place, StoredSignature],
    covered: Mapping[str, int],
    turn_of: Callable[[str, int], Signer | None],
) -> list[Outcome]:
    """The receipt of each event that is in the log; errors are passed on.

    Args:
        outcomes: of one call, in its order.
        signed: the signatures that the call has made.
        covered: by stream, up to which size checkpoints cover it.
        turn_of: who signs the entry at a place, or the checkpoint over it.
    """
    told: dict[str, int] = {}
    receipts: list[Outcome] = []
    for outcome in outcomes:
        if isinstance(outcome, AuditSealError):
            receipts.append(outcome)
            continue
        new, found = outcome
        by: StoredSignature | _Checkpoint | None
        if new is not None:
            stream, seq, id_, time, _, _, _, prev_hash, hash_ = new
            # New entries come in the order of their seq, but for one that is asked for again.
            repeated = seq <= told.get(stream, -1)
            if not repeated:
                told[stream] = seq
            by = signed.get((stream, seq)) if signed else None
        else:
            assert found is not None
            stream, seq = StreamName(found.stream), found.seq
            hash_, prev_hash = EntryHash(found.hash), EntryHash(found.prev_hash)
            id_, time = ("", "") if found.columns is None else (str(found.columns.id), str(found.columns.time))
            repeated = True
            by = found.signatures[0] if found.signatures else signed.get((stream, seq))
        if by is None and seq >= covered.get(stream, 0):
            receipts.append(Receipt(stream, seq, id_, time, hash_, prev_hash, "pending", repeated=repeated))
            continue
        signer = turn_of(stream, seq)
        if by is None and signer is not None:
            by = _Checkpoint(signer.signer_id, signer.algorithm.id)
        receipts.append(
            Receipt(
                stream,
                seq,
                id_,
                time,
                hash_,
                prev_hash,
                "pending" if by is None else "signed",
                None if by is None else by.signer,
                None if by is None else by.algorithm,
                None if by is None else by.signature,
                by is not None and _is_local(signer, by.signer),
                repeated,
            )
        )
    return receipts


class _Checkpoint(NamedTuple):
    """What a receipt says of the signature where a checkpoint stands in its place."""

    signer: str
    algorithm: str
    signature: None = None


def _is_local(signer: Signer | None, signer_id: str) -> bool:
    """Whether a signature is by this log's own signer, and that a local one."""
    return signer is not None and signer.development and signer_id == signer.signer_id
