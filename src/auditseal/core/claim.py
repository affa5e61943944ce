"""Claims: the signatures that a log says a KMS made, each with the request id of its call.

Source: `docs/spec/reconciliation.md` §1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from auditseal.core.cloudtrail_record import parse_event_time
from auditseal.core.event import parse_body
from auditseal.core.rotation_event import proofs_in
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry


class Claim(NamedTuple):
    """One signature of the log.

    Attributes:
        request_id: of the call that made it; None where the log has none.
        stream, seq, entry_id: the entry; `entry_id` "" where it cannot be read.
        signer: the signer id that the log names.
        entry_at: the entry's own time, seconds since the epoch.
        signed_at: when the signature was stored, as the log says; None where it does not.
    """

    request_id: str | None
    stream: str
    seq: int
    entry_id: str
    signer: str
    entry_at: int
    signed_at: int | None

    @property
    def at(self) -> int:
        """When the signature was made, as the log says."""
        return self.entry_at if self.signed_at is None else self.signed_at


def claims_of(entry: StoredEntry) -> Iterator[Claim]:
    """The claims of an entry: its signatures, and the proofs within an entry that announces a new signer.

    An entry whose time cannot be read claims the beginning of time; verification says what is wrong with it.
    """
    time, entry_id = _time_and_id(entry)
    entry_at = seconds_of(time) or 0
    for signature in entry.signatures:
        signed_at = None if signature.signed_at is None else seconds_of(signature.signed_at)
        yield Claim(signature.request_id, entry.stream, entry.seq, entry_id, signature.signer, entry_at, signed_at)
    for proof in proofs_in(entry):
        yield Claim(proof.request_id, entry.stream, entry.seq, entry_id, proof.signer_id, entry_at, entry_at)


def _time_and_id(entry: StoredEntry) -> tuple[str, str]:
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
