"""What the services ask of the world, as Protocols whose docstrings are the contract.

Every implementation passes one contract suite (`tests/contract/`). Errors of vendors never pass: an implementation
raises those of `auditseal.errors`, with the cause attached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from auditseal.core.algorithm import Algorithm, PublicKey
from auditseal.core.caller import Caller
from auditseal.core.chain import Head
from auditseal.core.checkpoint import Checkpoint
from auditseal.core.entry import Entry, EntryRow, StoredEntry, StoredSignature
from auditseal.core.event import Draft, Micros
from auditseal.core.note import NoteSignature
from auditseal.core.stored_checkpoint import StoredCheckpoint

Clock = Callable[[], Micros]
"""Microseconds since the epoch, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature as the signer gave it.

    Attributes:
        signature: raw bytes, as `docs/spec/signature.md` says for the algorithm.
        request_id: the KMS request id, by which CloudTrail knows the call; None for a local key.
    """

    signature: bytes
    request_id: str | None = None


class Signer(Protocol):
    """Signs 32-byte hashes with one key under one algorithm. Safe to call from many threads."""

    @property
    def signer_id(self) -> str:
        """The name under which verifiers find the key: `signerId` in signers.json."""

    @property
    def algorithm(self) -> Algorithm:
        """The one algorithm it signs with."""

    @property
    def development(self) -> bool:
        """Whether the key is local: on this machine, not in a KMS. Shown wherever the signer shows."""

    @property
    def concurrency(self) -> int:
        """How many calls are worth having in flight at once; 1 where signing costs only local CPU."""

    def start(self) -> None:
        """Proves that the key fits the settings, before anything is signed. Idempotent.

        Raises:
            ConfigError: usage, spec, state or algorithm do not fit; the text names the fix.
            SignerError: the key could not be asked.
        """

    def sign(self, digest: bytes) -> Signed:
        """Signs one hash, within the signer's own total deadline and retries.

        Args:
            digest: 32 bytes.

        Raises:
            SignerError: `retryable` says whether the same call may succeed later.
        """

    def close(self) -> None:
        """Releases connections. Idempotent; a closed signer does not sign."""


class NoteSigner(Signer, Protocol):
    """A signer that signs checkpoints and cosignatures as well."""

    @property
    def public_key(self) -> PublicKey | None:
        """Its public key; None for a MAC, and until `start` has learnt it."""

    def sign_message(self, message: bytes) -> Signed:
        """Signs a message of `auditseal.core.note_key.to_sign`, within the signer's own total deadline and retries.

        Args:
            message: for an algorithm that KMS signs RAW, the message itself, at most 4,096 bytes; else 32 bytes of a
                SHA-256, which are not hashed again.

        Raises:
            InputError: the message has another length.
            SignerError: as `sign`.
        """


class MacVerifier(Protocol):
    """Checks a MAC where only the key's holder can: through VerifyMac. Safe to call from many threads."""

    def verify_mac(self, key_id: str, digest: bytes, mac: bytes) -> None:
        """Returns if the MAC is right.

        Args:
            key_id: key id or ARN.
            digest: the 32 bytes that were authenticated.
            mac: 32 bytes.

        Raises:
            SignatureInvalidError: it is not.
            SignerError: no answer, or no permission.
        """


class Appended(NamedTuple):
    """What became of one draft: exactly one of the two is set.

    A tuple for speed, since one is made for every event.

    Attributes:
        new: the entry that was appended.
        found: the entry that was there before under the draft's id, with its signatures.
    """

    new: Entry | None
    found: StoredEntry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignature:
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


class Source(Protocol):
    """Anything a log can be read from."""

    @property
    def address(self) -> str:
        """Where it is, without a password."""

    def walk(self, streams: Sequence[str] | None = None) -> Iterator[StoredEntry]:
        """All entries of the streams (None: of all), each stream's in order of seq, in constant memory.

        What is there is given as it is: duplicates, gaps, entries that do not parse.

        Raises:
            StoreError: the source cannot be read on.
        """

    def count(self, streams: Sequence[str] | None = None) -> int | None:
        """How many entries `walk` will give, where that is cheap to know; for progress only."""

    def close(self) -> None:
        """Releases what was opened. Idempotent."""


class Part(NamedTuple):
    """A stretch of a source, as only its own source reads it; it can be sent to another process.

    Attributes:
        stream: of one stream, or "" for a stretch of whatever order the source has.
        first, last: both ends included; seqs, or places in a file.
    """

    stream: str
    first: int
    last: int


@runtime_checkable
class PartedSource(Source, Protocol):
    """A source that can be read in parts, in any order and from several processes."""

    def parts(self, streams: Sequence[str] | None, size: int) -> Iterator[Part]:
        """What `walk` gives, in parts, in order; what stands at one place (stream and seq) stays in one part.

        Args:
            streams: as `walk`.
            size: about how many entries a part should have.

        Raises:
            StoreError: as `walk`.
        """

    def read_part(self, part: Part) -> Iterator[StoredEntry]:
        """The entries of a part, as `walk` gives them.

        Raises:
            StoreError: as `walk`.
        """


@runtime_checkable
class RowSource(PartedSource, Protocol):
    """A source that gives entries without signatures as rows, several times as fast as one by one."""

    def unsigned_rows(self, part: Part) -> Iterator[list[EntryRow]] | None:
        """The entries of a part as `read_part` gives them, in lists of bounded size; None if one has a signature.

        Raises:
            StoreError: as `walk`.
        """


class SignatureRow(NamedTuple):
    """A signature and its entry's place, as columns have them; the signature's members are None where there is none."""

    stream: str
    seq: int
    id: str | None
    time: str | None
    type: str | None
    signer: str | None
    request_id: str | None
    signed_at: str | None


@runtime_checkable
class SignatureSource(Source, Protocol):
    """A source that gives what is known of signatures without bodies and bytes, several times as fast as a walk."""

    def signature_rows(self, streams: Sequence[str] | None = None) -> Iterator[SignatureRow]:
        """A row for each signature, and one for each entry without, each stream's in order of seq.

        Raises:
            StoreError: the source cannot be read on.
        """

    def entry(self, stream: str, seq: int) -> StoredEntry | None:
        """One entry, with its signatures; None if there is none."""


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


class Authenticator(Protocol):
    """Knows callers by the credential they show. Safe to call from many threads."""

    def authenticate(self, credential: str) -> Caller | None:
        """Who calls; None where the credential is of another kind.

        Args:
            credential: what followed `Bearer`; never kept, logged or put into an error's text.

        Raises:
            UnauthenticatedError: of this kind, and not accepted: unknown, forged, expired, revoked.
            StoreError: what it is checked against could not be had.
        """


@runtime_checkable
class CheckpointSource(Protocol):
    """What a `Source` may have besides: the checkpoints of its streams."""

    def checkpoints(self, streams: Sequence[str] | None = None) -> Iterator[StoredCheckpoint]:
        """All checkpoints of the streams (None: of all), each stream's in order of size, as they stand there.

        Raises:
            StoreError: the source cannot be read on.
        """


class RangeSource(Source, Protocol):
    """What a `Source` may have besides: reading on from where a verification ended."""

    def stream_names(self) -> list[str]:
        """The names of all streams, in order."""

    def walk_from(self, first_seqs: Mapping[str, int]) -> Iterator[StoredEntry]:
        """The entries of these streams from a seq on, as `walk` gives them."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """A checkpoint found where the log's operator cannot rewrite it.

    Attributes:
        note: the signed note, as it was kept.
        time: when it was kept there, by that place's clock and not the log's; None where the place has no clock that
            can be believed.
        where: names the place for people, such as a file, an object's version or a commit.
    """

    note: bytes
    time: Micros | None
    where: str


class Anchor(Protocol):
    """A place where checkpoints are kept, out of the operator's reach."""

    @property
    def address(self) -> str:
        """Where it is, without a password."""

    def publish(self, note: bytes) -> Anchored:
        """Keeps a signed checkpoint; durable when it returns. What is there already is found and not kept twice.

        Raises:
            InputError: no checkpoint.
            StoreError: it could not be kept; `retryable` where another attempt may succeed.
        """

    def find(self, origin: str) -> list[Anchored]:
        """What is kept of an origin, by size; what cannot be read or fails the place's own checks raises.

        Raises:
            RejectedError: something there is proven wrong, such as a time-stamp over other bytes.
            StoreError: the place cannot be read.
        """

    def close(self) -> None:
        """Releases what was opened. Idempotent."""


class WitnessClient(Protocol):
    """A witness, as a log asks it for cosignatures."""

    @property
    def name(self) -> str:
        """Its name in the witness policy."""

    def add_checkpoint(self, body: bytes, *, timeout_s: float) -> bytes:
        """Asks for a cosignature.

        Args:
            body: of an add-checkpoint request.
            timeout_s: for the whole call.

        Returns:
            Signature lines.

        Raises:
            StaleError: the witness last cosigned another size.
            RejectedError: the witness refuses the checkpoint; the text says why.
            SignerError: no answer in time.
        """


class WitnessStore(Protocol):
    """What a witness last cosigned, by origin. Safe to share between threads and processes."""

    def last(self, origin: str) -> Checkpoint | None:
        """The checkpoint that was last cosigned; None if none was.

        Raises:
            StoreError: the store failed.
        """

    def advance(self, origin: str, before: Checkpoint | None, after: Checkpoint) -> bool:
        """Puts one checkpoint in the place of another, if that is still what was last cosigned; durable on return.

        Args:
            origin: of both.
            before: what `last` gave.
            after: the new one.

        Returns:
            Whether it did; if not, another call came first, and nothing was changed.

        Raises:
            StoreError: as `last`.
        """


class Progress(Protocol):
    """Told how far a long walk is; never affects it."""

    def __call__(self, done: int, total: int | None) -> None:
        """So many of so many entries are done; total None where it is not known."""
