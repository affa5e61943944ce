"""Reading a log's claims: from its columns where it has them, else from its entries.

Columns are believed here: whether they say what the bodies say is verification's question, and asked there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditseal.core.claim import Claim, claims_of, seconds_of
from auditseal.core.rotation_event import ROTATED
from auditseal.ports import SignatureSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auditseal.ports import Source


def read_claims(log: Source, streams: Sequence[str] | None) -> Iterator[tuple[str, int, list[Claim]]]:
    """(stream, seq, claims) of each entry, each stream's in order of seq; no claims while its signature is due.

    Raises:
        StoreError: the log cannot be read on.
    """
    if not isinstance(log, SignatureSource):
        for entry in log.walk(streams):
            yield entry.stream, entry.seq, list(claims_of(entry))
        return
    stream: str | None = None
    seq = -1
    claims: list[Claim] = []
    for row_stream, row_seq, entry_id, time, type_, signer, request_id, signed_at in log.signature_rows(streams):
        if row_seq != seq or row_stream != stream:
            if stream is not None:
                yield stream, seq, claims
            stream, seq, claims = row_stream, row_seq, []
        if type_ == ROTATED:
            found = log.entry(stream, seq)
            claims = [] if found is None else list(claims_of(found))
        elif signer is not None:
            signed = None if signed_at is None else seconds_of(signed_at)
            claims.append(Claim(request_id, stream, seq, entry_id or "", signer, seconds_of(time or "") or 0, signed))
    if stream is not None:
        yield stream, seq, claims
