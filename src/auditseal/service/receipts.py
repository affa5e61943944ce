"""Receipts: what is true of each event when its caller is answered.

Source: `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from auditseal.core.event import Receipt
from auditseal.errors import AuditSealError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from auditseal.core.entry import Columns, Entry, StoredSignature
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
    told: set[Place] = set()
    receipts: list[Outcome] = []
    for outcome in outcomes:
        if isinstance(outcome, AuditSealError):
            receipts.append(outcome)
            continue
        entry = outcome.new or outcome.found
        assert entry is not None
        place = entry.stream, entry.seq
        by: StoredSignature | _Checkpoint | None = signed.get(place) if signed else None
        named: Entry | Columns | None = outcome.new
        if outcome.found is not None:
            named = outcome.found.columns
            by = outcome.found.signatures[0] if outcome.found.signatures else by
        repeated = outcome.found is not None or place in told
        id_, time = ("", "") if named is None else (str(named.id), str(named.time))
        if by is None and entry.seq >= covered.get(entry.stream, 0):
            receipts.append(
                Receipt(entry.stream, entry.seq, id_, time, entry.hash, entry.prev_hash, "pending", repeated=repeated)
            )
            told.add(place)
            continue
        signer = turn_of(*place)
        if by is None and signer is not None:
            by = _Checkpoint(signer.signer_id, signer.algorithm.id)
        receipts.append(
            Receipt(
                entry.stream,
                entry.seq,
                id_,
                time,
                entry.hash,
                entry.prev_hash,
                "pending" if by is None else "signed",
                None if by is None else by.signer,
                None if by is None else by.algorithm,
                None if by is None else by.signature,
                by is not None and _is_local(signer, by.signer),
                repeated,
            )
        )
        told.add(place)
    return receipts


class _Checkpoint(NamedTuple):
    """What a receipt says of the signature where a checkpoint stands in its place."""

    signer: str
    algorithm: str
    signature: None = None


def _is_local(signer: Signer | None, signer_id: str) -> bool:
    """Whether a signature is by this log's own signer, and that a local one."""
    return signer is not None and signer.development and signer_id == signer.signer_id
