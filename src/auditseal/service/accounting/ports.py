"""What reconciling asks of the world, beside the log itself: a trail to read, and a ledger that spills to disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from auditseal.core.claim import Claim
from auditseal.core.cloudtrail import Call, Facts, Seen, TrailPart
from auditseal.core.cloudtrail_changes import Change
from auditseal.core.trail_digest import ListedFile


class TrailFile(NamedTuple):
    """A part of a trail that is read at once.

    Attributes:
        name: bucket/key, or what stands for it; by it digests and ledgers know the file.
        mark: changes whenever its content does, such as an ETag.
    """

    name: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFile:
    """A digest file: where it lies, its uncompressed content, and its signature in hex if that is at hand."""

    name: str
    content: bytes
    signature: str | None


class Live(NamedTuple):
    """What a service that is asked knows: one account and Region, from a time on (seconds since the epoch)."""

    account: str
    region: str
    since: int


class Trail(Protocol):
    """Something CloudTrail's records can be read from."""

    @property
    def address(self) -> str:
        """Where it is."""

    @property
    def live(self) -> Live | None:
        """What AWS itself answers for, so that there is nothing that digests could prove; None for files."""

    def digests(self) -> Iterator[TrailFile]:
        """All digest files, those of one account, Region and trail in order of time.

        Raises:
            StoreError: they cannot be listed.
        """

    def read_digest(self, file: TrailFile) -> DigestFile:
        """A digest file.

        Raises:
            StoreError: it cannot be read.
            InputError: it is damaged, or too large.
        """

    def files(self) -> Iterator[TrailFile]:
        """All log files, in any order; each may be read until the next is asked for.

        Raises:
            StoreError: they cannot be listed.
        """

    def read(self, file: TrailFile) -> bytes:
        """The uncompressed content of a log file.

        Raises:
            StoreError: it cannot be read.
            InputError: it is damaged, or too large.
        """

    def close(self) -> None:
        """Releases connections. Idempotent."""


class Span(NamedTuple):
    """What a claim is over, as ranges are made of it.

    Attributes:
        stream, first_seq, last_seq: the entries.
        by_checkpoint: whether a checkpoint claims them, and not an entry itself.
        signer: the signer id that the log names.
        at: when it was signed, as the log says; seconds since the epoch.
    """

    stream: str
    first_seq: int
    last_seq: int
    by_checkpoint: bool
    signer: str
    at: int


Cover = tuple[str, int, int, int]
"""(stream, first seq, last seq) under a checkpoint that has no signature of its own, and the seq in the stream of heads
under which it is covered."""


class Ledger(Protocol):
    """Keeps calls and claims on disk, joins them in constant memory, and remembers what it has taken of a trail.

    Each `add_…` is one transaction or several: after a crash each file is there as a whole or not at all. What is taken
    of a log and of digests is forgotten when the ledger is closed, since both are read anew.

    Every method raises StoreError where the disk fails.
    """

    def bind(self, trail: str, *, digests: bool) -> None:
        """Binds a new ledger to a trail's address, and to whether its digests are checked.

        Raises:
            ConfigError: it is bound to something else.
        """

    def asked(self) -> tuple[int, int] | None:
        """(since, through) of what a live trail was asked for and has answered; None before the first time."""

    def note_asked(self, since: int, through: int) -> None:
        """Remembers that a live trail has answered for this time."""

    def has_file(self, file: TrailFile) -> bool:
        """Whether this file was taken, with this content."""

    def add_file(self, file: TrailFile, part: TrailPart) -> None:
        """Takes the facts of a log file."""

    def digest(self, file: TrailFile) -> DigestFile | None:
        """A digest that was kept, with this content; None if it was not."""

    def keep_digest(self, file: TrailFile, digest: DigestFile) -> None:
        """Keeps a digest, so that it need not be fetched again."""

    def add_listed(self, files: Iterable[ListedFile]) -> None:
        """Takes the log files of verified digests."""

    def listed(self, name: str) -> ListedFile | None:
        """What a verified digest says of a file with this name, or with a path that ends in it."""

    def missing_files(self) -> Iterator[str]:
        """The listed files that were not taken."""

    def add_claims(self, claims: Iterable[Claim]) -> None:
        """Takes claims."""

    def add_announced(self, places: Iterable[tuple[str, int, int]]) -> None:
        """Takes (stream, seq, time) of entries that announce a checkpoint."""

    def add_covers(self, covers: Iterable[Cover]) -> None:
        """Takes what is covered through the stream of heads."""

    def date_checkpoints(self) -> None:
        """Gives each claim of a checkpoint the time of the entry that announces it, where that is known."""

    def joined(self) -> Iterator[tuple[list[Call], list[Claim]]]:
        """Calls and claims by request id, each id once; a call of one event id comes once."""

    def unjoinable(self) -> Iterator[Claim]:
        """The claims without a request id."""

    def add_orphans(self, calls: Iterable[Call]) -> None:
        """Remembers calls that no claim accounts for, for this pass."""

    def orphans(self, *, beside_s: int) -> Iterator[tuple[Call, list[str]]]:
        """Each in order of time, with the request ids of calls that may be its retry.

        Those are of the same client with the same parameters, came within so many seconds after it, are claimed, and
        signed an entry that was there already. The first few are given, in order of time.
        """

    def changes(self) -> Iterator[Change]:
        """Changes to keys and trails in order of time, each event once."""

    def facts(self) -> Iterator[Facts]:
        """What the calls have in common, each once."""

    def seen(self) -> list[Seen]:
        """What the trail saw: for each account and Region, from the first record to the last."""

    def totals(self) -> tuple[int, int]:
        """(files, records) that were taken."""

    def spans(self) -> Iterator[Span]:
        """What each claim is over, by stream and first seq."""

    def covers(self) -> Iterator[Cover]:
        """What is covered through the stream of heads, by stream and first seq."""

    def close(self) -> None:
        """Releases the file; a temporary one is gone. Idempotent."""
