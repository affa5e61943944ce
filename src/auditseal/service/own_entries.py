"""Entries that the log makes about itself, beside those of its callers: appended once, and signed by whom they name.

Source: `docs/spec/rotation.md` §1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auditseal.core.draft import Limits, make_draft
from auditseal.core.entry import StoredEntry, StoredSignature
from auditseal.core.times import format_time
from auditseal.errors import ConflictError, NotFoundError
from auditseal.ports import EntryFilter, NewSignature
from auditseal.service.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auditseal.core.draft import Draft
    from auditseal.core.event import Event
    from auditseal.ports import Clock, Signer, Store


class OwnEntries:
    """Appends and signs single entries. Doing either again does nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def append(self, event: Event, ids: Iterable[str] = ()) -> StoredEntry:
        """The entry of an event: the one that stands under one of its ids already, or a new one, durable.

        Args:
            event: what is said; its own id does not count.
            ids: by which it is known again; one that an event of another type has taken is passed over. Without any
                it is appended anew.

        Raises:
            ConflictError: the same was said otherwise under its id.
            StoreError: the log cannot be written.
        """
        for id_ in ids or (new_id(),):
            draft = self.draft(event, id_)
            (appended,) = self._store.append([draft], self._clock)
            place = appended.new or appended.found
            assert place is not None
            entry = self._read(place.stream, place.seq)
            if draft.is_told_by(entry.body):
                return entry
            if _type_of(entry) == event.type:
                raise ConflictError(f"{event.stream} has another {event.type} already at #{entry.seq:,}")
        raise ConflictError(f"every id of {event.type} is taken by other events of {event.stream}")

    def draft(self, event: Event, id_: str) -> Draft:
        """An event as a draft under an id."""
        return make_draft(replace(event, id=id_), new_id=id_, limits=Limits())

    def find(self, stream: str, ids: Iterable[str], type_: str) -> StoredEntry | None:
        """The entry of a type under the first of these ids that is not another's; None if there is none."""
        for id_ in ids:
            found = self._store.select(EntryFilter(stream=stream, id=id_), limit=1)
            if not found:
                return None
            if _type_of(found[0]) == type_:
                return found[0]
        return None

    def free_id(self, stream: str, ids: Iterable[str]) -> str:
        """The first of these ids that no event has taken.

        Raises:
            ConflictError: all are taken.
        """
        for id_ in ids:
            if not self._store.select(EntryFilter(stream=stream, id=id_), limit=1):
                return id_
        raise ConflictError(f"every id that the entry could have is taken by other events of {stream}")

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


def _type_of(entry: StoredEntry) -> str | None:
    return entry.columns.type if entry.columns is not None else None
