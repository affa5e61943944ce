"""The trees and checkpoints of a PostgreSQL log: the part of `auditseal.ports.CheckpointStore` beyond `Store`.

Source: `docs/spec/postgresql.md`, `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from auditseal.adapters.stores import checkpoint_rows as rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from auditseal.core.note import NoteSignature
    from auditseal.core.stored_checkpoint import StoredCheckpoint

_JOINED: Final = (
    f"SELECT {rows.JOINED_COLUMNS} FROM auditseal.checkpoints c "
    "LEFT JOIN auditseal.checkpoint_signatures s ON s.stream = c.stream AND s.size = c.size "
)
_IN_ORDER: Final = " ORDER BY c.stream, c.size, s.number"
_HASHES: Final = "SELECT hash FROM auditseal.entries WHERE stream = %s AND seq >= %s AND seq < %s ORDER BY seq"
_NODES: Final = (
    "SELECT place, hash FROM auditseal.tree_nodes "
    "WHERE stream = %s AND level = %s AND place >= %s AND place < %s ORDER BY place"
)
_COUNT_NODES: Final = "SELECT coalesce(max(place) + 1, 0) FROM auditseal.tree_nodes WHERE stream = %s AND level = %s"
_ADD_NODES: Final = (
    "INSERT INTO auditseal.tree_nodes (stream, level, place, hash) "
    "SELECT %s, * FROM unnest(%s::int2[], %s::int8[], %s::bytea[]) ON CONFLICT DO NOTHING"
)
_ADD_CHECKPOINT: Final = (
    f"INSERT INTO auditseal.checkpoints ({', '.join(rows.CHECKPOINT_COLUMNS)}) "
    "VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_ADD_LINE: Final = (
    f"INSERT INTO auditseal.checkpoint_signatures ({', '.join(rows.LINE_COLUMNS)}) "
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_SETTLE: Final = "SELECT auditseal.settle(%s::text[])"


class EvidenceTables(ABC):
    """Trees and checkpoints over the connections of a PostgreSQL store."""

    @abstractmethod
    def _fetch(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query."""

    @abstractmethod
    def _write(self, attempt: Callable[..., None]) -> None:
        """Makes an attempt on a connection, again while its failure may pass."""

    @abstractmethod
    def _stream(self, query: str, values: Sequence[Any]) -> Iterator[Any]:
        """The rows of a query in constant memory."""

    def entry_hashes(self, stream: str, first: int, end: int) -> list[bytes]:
        """The hashes of a range of entries (`CheckpointStore.entry_hashes`)."""
        return [row[0] for row in self._fetch(_HASHES, (stream, first, end))]

    def nodes(self, stream: str, level: int, first: int, end: int) -> list[bytes]:
        """Kept nodes of a level (`CheckpointStore.nodes`)."""
        found = self._fetch(_NODES, (stream, level, first, end))
        return [hash_ for number, (place, hash_) in enumerate(found, first) if place == number]

    def count_nodes(self, stream: str, level: int) -> int:
        """The index after the last kept node (`CheckpointStore.count_nodes`)."""
        return int(self._fetch(_COUNT_NODES, (stream, level))[0][0])

    def add_nodes(self, stream: str, nodes: Sequence[tuple[int, int, bytes]]) -> None:
        """Keeps nodes (`CheckpointStore.add_nodes`)."""
        if not nodes:
            return
        columns = [list(column) for column in zip(*nodes, strict=True)]

        def attempt(connection: psycopg.Connection[Any], **_: bool) -> None:
            connection.execute(_ADD_NODES, [stream, *columns], binary=True)

        self._write(attempt)

    def add_checkpoints(self, checkpoints: Sequence[StoredCheckpoint], *, settle: bool) -> None:
        """Keeps checkpoints (`CheckpointStore.add_checkpoints`)."""

        def attempt(connection: psycopg.Connection[Any], **_: bool) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_ADD_CHECKPOINT, map(rows.checkpoint_row, checkpoints))
                cursor.executemany(_ADD_LINE, [line for each in checkpoints for line in rows.line_rows(each)])
                if settle:
                    cursor.execute(_SETTLE, [sorted({each.stream for each in checkpoints})])

        self._write(attempt)

    def add_cosignatures(self, stream: str, size: int, signatures: Sequence[NoteSignature]) -> None:
        """Adds signature lines to a checkpoint (`CheckpointStore.add_cosignatures`)."""

        def attempt(connection: psycopg.Connection[Any], **_: bool) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_ADD_LINE, rows.cosignature_rows(stream, size, signatures))

        self._write(attempt)

    def checkpoints(self, streams: Sequence[str] | None = None) -> Iterator[StoredCheckpoint]:
        """All checkpoints in order (`CheckpointSource.checkpoints`), of one moment."""
        where, values = ("", []) if streams is None else ("WHERE c.stream = ANY (%s)", [list(streams)])
        yield from rows.checkpoints_of(self._stream(_JOINED + where + _IN_ORDER, values))

    def last_checkpoint(self, stream: str) -> StoredCheckpoint | None:
        """The largest checkpoint of a stream (`CheckpointStore.last_checkpoint`)."""
        return self._one("max(size)", stream, 0)

    def checkpoint_over(self, stream: str, size: int) -> StoredCheckpoint | None:
        """The smallest checkpoint of a size or more (`CheckpointStore.checkpoint_over`)."""
        return self._one("min(size)", stream, size)

    def _one(self, which: str, stream: str, least: int) -> StoredCheckpoint | None:
        query = (
            f"{_JOINED} WHERE c.stream = %s AND c.size = "
            f"(SELECT {which} FROM auditseal.checkpoints WHERE stream = %s AND size >= %s) {_IN_ORDER}"
        )
        return next(rows.checkpoints_of(self._fetch(query, (stream, stream, least))), None)
