"""What a log is appended to, with its trees and checkpoints where a store keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from auditseal.core.chain import Head
from auditseal.core.draft import Draft
from auditseal.core.entry import Entry, StoredEntry, StoredSignature
from auditseal.core.note import NoteSignature
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.ports.clock import Clock
from auditseal.ports.source import CheckpointSource, Source


class Appended(NamedTuple):
    """What became of one draft: exactly one of the two is set.

    A tuple for speed, since one is made for every event.

    Attributes:
        new: the entry that was appended.
        found: the entry that was there before under the draft's id, with its signatures.
    """

    new: Entry | None
    found: StoredEntry | None = None


class NewSignature(NamedTuple):
    """A signature to be stored for an entry."""

    stream: str
    seq: int
    signature: StoredSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries to list; what is None does not limit. Times are RFC 3339 as bodies have them."""

    stream: str | None = None
    type: str | None = None
    actor: str | None = None
    since: str | None = None
    until: str | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    id: str | None = None


class Store(Source, Protocol):
    """A log that can be appended to. Safe to call from many threads; other processes may use the same store."""

    def append(self, drafts: Sequence[Draft], clock: Clock) -> list[Appended]:
        """Chains and stores the drafts in one transaction; durable (fsync) when it returns.

        The heads of the drafts' streams are locked against every other writer, in this process or another, from
        before they are read until the entries are committed: a stream can never fork. Within a stream entries take
        the drafts' order. A draft whose id is in its stream already is not appended again: it is answered with what
        is there, and comparing the two is the caller's part. All or nothing: on any error nothing is stored.

        Raises:
            StoreError: `retryable` where another attempt may succeed (a lock, a lost connection).
        """

    def insert(self, entries: Sequence[Entry], signatures: Sequence[NewSignature]) -> None:
        """Stores ready entries, each of which must follow its stream's head, with signatures, in one transaction.

        Raises:
            ConflictError: an entry does not follow the head.
            StoreError: as `append`.
        """

    def add_signatures(self, signatures: Sequence[NewSignature]) -> None:
        """Stores signatures in one transaction. One that is there already (same entry and signer) is kept as it is.

        Raises:
            StoreError: as `append`.
        """

    def head(self, stream: str) -> Head:
        """The last entry of a stream; seq -1 if it has none."""

    def entry(self, stream: str, seq: int) -> StoredEntry | None:
        """One entry, with its signatures; None if there is none."""

    def streams(self) -> list[Head]:
        """The head of every stream, by name."""

    def pending(self, *, limit: int, stream: str | None = None, before: str | None = None) -> list[StoredEntry]:
        """Entries without a signature, oldest first.

        Args:
            limit: at most so many.
            stream: of this stream alone.
            before: only those whose time is before this (RFC 3339), so as to leave to other writers what they
                are just signing.
        """

    def count_pending(self) -> int:
        """How many entries have no signature."""

    def select(self, which: EntryFilter, *, limit: int, after: tuple[str, int] | None = None) -> list[StoredEntry]:
        """A page of entries by (stream, seq).

        Args:
            which: the filter.
            limit: at most so many.
            after: the (stream, seq) of the last entry of the page before.
        """


@runtime_checkable
class Exclusive(Protocol):
    """A store by which several processes agree on who of them does a thing. Not every store can."""

    def exclusively(self, what: str) -> AbstractContextManager[bool]:
        """Holds a named lock while open; gives False, without waiting, where another process or thread holds it.

        The lock goes with its process, however that ends.

        Args:
            what: 1 to 32 of `a-z -`.

        Raises:
            StoreError: whether it is held cannot be told.
        """


class CheckpointStore(Store, CheckpointSource, Protocol):
    """What a `Store` may have besides: its streams' trees and checkpoints. As safe to share as the store.

    Nodes are kept for levels 8, 16, 24 and so on, so that a tree takes a row for every 256 entries; leaves follow from
    the entries. A node or a checkpoint is only ever inserted; the database itself refuses UPDATE and DELETE.
    """

    def entry_hashes(self, stream: str, first: int, end: int) -> list[bytes]:
        """The hashes of the entries from seq `first` to before `end`, in order; fewer where there are fewer."""

    def nodes(self, stream: str, level: int, first: int, end: int) -> list[bytes]:
        """The kept nodes of a level from index `first` to before `end`, in order, up to the first that is missing."""

    def count_nodes(self, stream: str, level: int) -> int:
        """The index after the last kept node of a level; 0 without any."""

    def add_nodes(self, stream: str, nodes: Sequence[tuple[int, int, bytes]]) -> None:
        """Keeps nodes, each (level, index, hash), in one transaction. One that is there already is left as it is.

        Raises:
            StoreError: as `append`.
        """

    def announce(
        self, stream: str, draft_at: Callable[[int, int | None], Draft], clock: Clock, *, then: Sequence[Draft] = ()
    ) -> Entry:
        """Appends the entry that announces a checkpoint, under the locks and with the durability of `append`.

        No other writer's entry comes between what `draft_at` is told and the new entry, so that of two processes each
        announces a checkpoint after the other's.

        Args:
            stream: whose checkpoint.
            draft_at: called with the seq that the entry will have, and the seq of the entry of the same type before it
                (None: there is none); gives the entry's draft. It may read from this store, not write.
            clock: as `append`.
            then: further drafts of the stream, whose ids are new in it, that follow in the same transaction with no
                other entry between.

        Returns:
            The announcing entry; `then` stands right behind it.

        Raises:
            StoreError: as `append`; also what `draft_at` raises, and nothing is appended.
        """

    def add_checkpoints(self, checkpoints: Sequence[StoredCheckpoint], *, settle: bool) -> None:
        """Keeps checkpoints with their signatures in one transaction; one that is there already stays as it is.

        Args:
            checkpoints: of any streams.
            settle: whether the entries under them need no signature of their own any more, so that they are not
                `pending`.

        Raises:
            StoreError: as `append`.
        """

    def add_cosignatures(self, stream: str, size: int, signatures: Sequence[NoteSignature]) -> None:
        """Adds signature lines to a checkpoint; those that it has already are not repeated.

        Raises:
            StoreError: as `append`.
        """

    def last_checkpoint(self, stream: str) -> StoredCheckpoint | None:
        """The largest checkpoint of a stream; None without any."""

    def checkpoint_over(self, stream: str, size: int) -> StoredCheckpoint | None:
        """The smallest checkpoint of a stream that has this size or more; None without any."""
