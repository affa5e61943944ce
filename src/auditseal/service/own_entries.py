"""Entries that the log makes about itself, beside those of its callers: appended once, and signed by whom they name.

Source: `docs/spec/rotation.md` §2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditseal.core.entry import StoredEntry, StoredSignature
from auditseal.core.event import Limits, format_time, make_draft
from auditseal.errors import ConflictError, NotFoundError
from auditseal.ports import EntryFilter, NewSignature
from auditseal.service.ids import new_id

if TYPE_CHECKING:
    from auditseal.core.event import Event
    from auditseal.ports import Clock, Signer, Store


class OwnEntries:
    """Appends and signs single entries. Doing either again does nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def append(self, event: Event) -> StoredEntry:
        """The entry of an event: the one that stands under its id already, or a new one, durable.

        Raises:
            ConflictError: another event stands under its id.
            StoreError: the log cannot be written.
        """
        draft = make_draft(event, new_id=new_id(), limits=Limits())
        (appended,) = self._store.append([draft], self._clock)
        place = appended.new or appended.found
        assert place is not None
        if not draft.is_told_by(place.body):
            raise ConflictError(f"{event.stream} has another {event.type} already at #{place.seq:,}")
        return self._read(place.stream, place.seq)

    def find(self, stream: str, event_id: str) -> StoredEntry | None:
        """The entry of an id; None if there is none."""
        found = self._store.select(EntryFilter(stream=stream, id=event_id), limit=1)
        return found[0] if found else None

    def sign(self, entry: StoredEntry, signer: Signer) -> None:
        """Signs an entry, unless this signer did.

        Raises:
            SignerError: not signed; it may be tried again.
            StoreError: the signature could not be stored.
        """
        now = self._read(entry.stream, entry.seq)
        if any(signature.signer == signer.signer_id for signature in now.signatures):
            return
        signed = signer.sign(entry.hash)
        signature = StoredSignature(
            signer=signer.signer_id,
            algorithm=signer.algorithm.id,
            signature=signed.signature,
            entry_hash=entry.hash,
            request_id=signed.request_id,
            signed_at=format_time(self._clock()),
        )
        self._store.add_signatures([NewSignature(stream=entry.stream, seq=entry.seq, signature=signature)])

    def _read(self, stream: str, seq: int) -> StoredEntry:
        entry = self._store.entry(stream, seq)
        if entry is None:
            raise NotFoundError(f"{stream} #{seq} is not in the log any more")
        return entry
