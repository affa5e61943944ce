"""A stream's tree, recomputed while its entries go by, with what the stream says of its own checkpoints.

The tree is known as far as the entries follow each other without a gap. It is kept at the sizes that somebody will ask
about: where a checkpoint was announced, signed, anchored or remembered.

Source: `docs/spec/verification.md`, "Checkpoints".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.heads import HeadsRoot
from auditseal.core.merkle import Frontier, leaf_hashes
from auditseal.core.promise import Promise
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from auditseal.core.event import Micros

_BUFFER: Final = 4096
_NEVER: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The tree at one size.

    Attributes:
        frontier: of the tree.
        head: the hash of its last entry; 32 bytes.
        time: which that entry claims; "" where unreadable.
    """

    frontier: Frontier
    head: bytes
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """An entry of type `auditseal.checkpoint` as it was read.

    Attributes:
        seq: its place.
        time: which it claims.
        promise: what it says; None if it cannot be read.
        problem: why not, else None.
    """

    seq: int
    time: str
    promise: Promise | None
    problem: str | None = None


class TreeFold:
    """Folds the hashes of one stream's entries, in order of seq."""

    def __init__(
        self,
        stream: str,
        *,
        start: Mark | None = None,
        promised: Micros | None = None,
        sizes: Iterable[int] = (),
    ) -> None:
        """Sets up.

        Args:
            stream: its name.
            start: the tree that was proven before; None: from the first entry.
            promised: when the next checkpoint was due, as those entries had it.
            sizes: at which the tree will be asked for.
        """
        self.stream = stream
        self.promised = promised
        self.size = 0 if start is None else start.frontier.size
        self.start = self.size
        self.marks: dict[int, Mark] = {} if start is None else {self.size: start}
        self.first_times: dict[int, str] = {}
        self.announced: list[Announced] = []
        self.heads: dict[int, HeadsRoot] = {}
        self._frontier = Frontier() if start is None else start.frontier
        self._buffer: list[bytes] = []
        self._last = b"" if start is None else start.head
        self.last_time = "" if start is None else start.time
        self.is_broken = False
        self._sizes = sorted({size for size in sizes if size > self.size}, reverse=True)
        self._next_size = self._sizes.pop() if self._sizes else _NEVER
        self._starting = True

    def add(self, seq: int, hash_: bytes, time: str) -> None:
        """Takes the next entry; one that is out of its place ends the tree there, and is others' to report."""
        if seq != self.size:
            self.is_broken = self.is_broken or seq > self.size
            return
        if self._starting:
            self.first_times[seq] = time
            self._starting = False
        self._buffer.append(hash_)
        self.size += 1
        self.last_time = time
        if self.size == self._next_size:
            self.mark()
        elif len(self._buffer) >= _BUFFER:
            self._flush()

    def mark(self) -> None:
        """Keeps the tree at its present size."""
        if self.size in self.marks or not self.size:
            return
        self._flush()
        self.marks[self.size] = Mark(frontier=self._frontier, head=self._last, time=self.last_time)
        self._starting = True
        while self._sizes and self._next_size <= self.size:
            self._next_size = self._sizes.pop()
        if self._next_size <= self.size:
            self._next_size = _NEVER

    def announce(self, seq: int, time: str, payload: Mapping[str, Any]) -> None:
        """Takes what an entry of type `auditseal.checkpoint` says, after the entry itself."""
        promise, problem = None, None
        try:
            promise = Promise.from_payload(payload)
        except InputError as error:
            problem = str(error)
        self.promised = promise.next_by if promise is not None else self.promised
        self.announced.append(Announced(seq=seq, time=time, promise=promise, problem=problem))
        if self.size == seq + 1:
            self.mark()

    def cover(self, seq: int, payload: Mapping[str, Any]) -> None:
        """Takes what an entry of type `auditseal.heads` says; one that cannot be read covers nothing."""
        try:
            self.heads[seq] = HeadsRoot.from_payload(payload)
        except InputError:
            return

    def root(self, size: int) -> bytes | None:
        """The root at a size that was asked for; None where the entries do not reach or do not follow."""
        mark = self.marks.get(size)
        return None if mark is None else mark.frontier.root()

    def _flush(self) -> None:
        if self._buffer:
            self._last = self._buffer[-1]
            self._frontier = self._frontier.extend(leaf_hashes(self._buffer))
            self._buffer = []
