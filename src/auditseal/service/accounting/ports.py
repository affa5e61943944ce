"""What reconciling asks of the world, beside the log itself: a trail to read, and a ledger that spills to disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from auditseal.core.claim import Claim
from auditseal.core.cloudtrail import Call, Seen, TrailPart
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

    def digests(self) -> Iterator[DigestFile]:
        """All digest files, those of one account, Region and trail in order of time.

        Raises:
            StoreError: they cannot be read.
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
            InputError: it is no such file, or too large.
        """

    def close(self) -> None:
        """Releases connections. Idempotent."""


class Ledger(Protocol):
    """Keeps calls and claims on disk, joins them in constant memory, and remembers what it has taken.

    Each `add_…` is one transaction: after a crash it is there as a whole or not at all.
    """

    def has_file(self, file: TrailFile) -> bool:
        """Whether this file was taken, with this content."""

    def add_file(self, file: TrailFile, part: TrailPart) -> None:
        """Takes the facts of a log file."""

    def add_listed(self, files: Iterable[ListedFile]) -> None:
        """Takes the log files of verified digests."""

    def listed(self, name: str) -> ListedFile | None:
        """What a verified digest says of a file with this name, or with a path that ends in it."""

    def count_listed(self) -> int:
        """How many files verified digests list."""

    def missing_files(self) -> Iterator[str]:
        """The listed files that were not taken."""

    def last_seq(self, stream: str) -> int:
        """The last entry of a stream whose claims were taken; -1 before the first."""

    def add_claims(self, claims: Sequence[Claim], last_seqs: dict[str, int]) -> None:
        """Takes claims, and remembers how far each stream was read."""

    def joined(self) -> Iterator[tuple[list[Call], list[Claim]]]:
        """Calls and claims by request id, each id once; a call of one event id comes once."""

    def unjoinable(self) -> Iterator[Claim]:
        """The claims without a request id."""

    def add_orphans(self, calls: Iterable[Call]) -> None:
        """Remembers calls that no claim accounts for, for this pass."""

    def orphans(self, *, beside_s: int) -> Iterator[tuple[Call, bool]]:
        """Each in order of time, and whether its client made a call that is none within so many seconds after."""

    def changes(self) -> Iterator[Change]:
        """Changes to keys and trails in order of time, each event once."""

    def seen(self) -> list[Seen]:
        """What the trail saw: for each account and Region, from the first record to the last."""

    def totals(self) -> tuple[int, int, int]:
        """(files, records, read-only calls to KMS) that were taken."""

    def places(self) -> Iterator[tuple[str, int, int]]:
        """(stream, seq, time) of every claim by stream and seq."""

    def close(self) -> None:
        """Releases the file; a temporary one is gone. Idempotent."""
