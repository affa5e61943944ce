"""What a log is read from: at least in order, and faster or in parts where a source can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from auditseal.core.entry import StoredEntry
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.core.stored_rows import StoredRow


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
    """A source that gives entries as rows, several times as fast as one by one."""

    def rows(self, part: Part) -> Iterator[list[StoredRow]]:
        """The rows of which `entries_of` makes what `read_part` gives, in lists of bounded size that cut no place.

        Raises:
            StoreError: as `walk`.
        """


class RangeSource(Source, Protocol):
    """What a `Source` may have besides: reading on from where a verification ended."""

    def stream_names(self) -> list[str]:
        """The names of all streams, in order."""

    def walk_from(self, first_seqs: Mapping[str, int]) -> Iterator[StoredEntry]:
        """The entries of these streams from a seq on, as `walk` gives them."""


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


@runtime_checkable
class CheckpointSource(Protocol):
    """What a `Source` may have besides: the checkpoints of its streams."""

    def checkpoints(self, streams: Sequence[str] | None = None) -> Iterator[StoredCheckpoint]:
        """All checkpoints of the streams (None: of all), each stream's in order of size, as they stand there.

        Raises:
            StoreError: the source cannot be read on.
        """


class Progress(Protocol):
    """Told how far a long walk is; never affects it."""

    def __call__(self, done: int, total: int | None) -> None:
        """So many of so many entries are done; total None where it is not known."""
