"""What a caller holds after an append.

Source: `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Ack = Literal["signed", "durable"]
"""What an append waits for: its signature, or only the disk."""
ACKS: Final[tuple[Ack, ...]] = ("signed", "durable")


class Receipt(NamedTuple):
    """What a caller holds after an append. A tuple for speed, since one is made for every event.

    Attributes:
        stream, seq, id, time: the entry's place.
        hash, prev_hash: 32 bytes; `prev_hash` is empty at seq 0.
        status: `signed`, or `pending` while the signature is due.
        signer, algorithm, signature: of the first signature; None while pending. Where a checkpoint covers the entry,
            `signer` and `algorithm` are of the checkpoint, and there is no `signature`.
        development: whether a local key signed.
        repeated: whether the event was already in the log under this id.
    """

    stream: str
    seq: int
    id: str
    time: str
    hash: bytes
    prev_hash: bytes
    status: Literal["signed", "pending"]
    signer: str | None = None
    algorithm: str | None = None
    signature: bytes | None = None
    development: bool = False
    repeated: bool = False
