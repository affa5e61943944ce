"""Entries: as they are made, and as they are found in a store.

A made `Entry` is right by construction. A `StoredEntry` is whatever stands in a source: reading never repairs and never
checks, so that verification sees what is there.

Source: `docs/spec/entry.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from auditseal.core.event import EntryHash, StreamName


class Entry(NamedTuple):
    """A chained event: what is stored, and never changed. A tuple for speed, in the order of its row."""

    stream: StreamName
    seq: int
    id: str
    time: str
    type: str
    actor: str | None
    body: bytes
    prev_hash: EntryHash
    hash: EntryHash


@dataclass(slots=True, kw_only=True)  # not frozen: that would triple the cost of reading
class StoredSignature:
    """A signature as it stands in a store.

    Attributes:
        signer: signerId.
        algorithm: algorithm id, as stored.
        signature: raw bytes; for a source that holds text, what its base64 decodes to.
        entry_hash: the hash that was signed, as stored beside the signature; None where the source has none.
        request_id: the KMS request id of the call that made it.
        signed_at: RFC 3339; when the signature was stored. Not itself signed.
        malformed: why the stored form could not be read, else None.
    """

    signer: str
    algorithm: str
    signature: bytes
    entry_hash: bytes | None = None
    request_id: str | None = None
    signed_at: str | None = None
    malformed: str | None = None


@dataclass(slots=True, kw_only=True)  # not frozen: that would triple the cost of reading
class Columns:
    """Copies of body members that a store keeps beside the body for queries."""

    id: str | None
    time: str | None
    type: str | None
    actor: str | None


@dataclass(slots=True, kw_only=True)  # not frozen: that would triple the cost of reading
class StoredEntry:
    """An entry as it stands in a source, right or wrong.

    Attributes:
        columns: None for a source that keeps no copies.
        malformed: why it could not be read, with the place in the source; `seq` is -1 where not even that is known.
    """

    stream: str
    seq: int
    body: bytes
    prev_hash: bytes
    hash: bytes
    columns: Columns | None = None
    signatures: tuple[StoredSignature, ...] = ()
    malformed: str | None = None
