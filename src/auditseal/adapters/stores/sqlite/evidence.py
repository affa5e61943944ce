"""The trees and checkpoints of a SQLite log: the part of `auditseal.ports.CheckpointStore` beyond `Store`.

Source: `docs/spec/sqlite.md`, `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from auditseal.adapters.stores import checkpoint_rows as rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from auditseal.core.note import NoteSignature
    from auditseal.core.stored_checkpoint import StoredCheckpoint

_JOINED: Final = (
    f"SELECT {rows.JOINED_COLUMNS} FROM checkpoints c "
    "LEFT JOIN checkpoint_signatures s ON s.stream = c.stream AND s.size = c.size "
)
_IN_ORDER: Final = " ORDER BY c.stream, c.size, s.rowid"
_INSERT_LINE: Final = "INSERT OR IGNORE INTO checkpoint_signatures VALUES (?, ?, ?, ?, ?, ?)"


class EvidenceTables(ABC):
    """Trees and checkpoints over the connections of a SQLite store."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """The writer, in a transaction that is committed at the end."""

    @abstractmethod
    def _reader(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection for reading."""

    def entry_hashes(self, stream: str, first: int, end: int) -> list[bytes]:
        """The hashes of a range of entries (`CheckpointStore.entry_hashes`)."""
        query = "SELECT hash FROM entries WHERE stream = ? AND seq >= ? AND seq < ? ORDER BY seq"
        with self._reader() as connection:
            return [row[0] for row in connection.execute(query, (stream, first, end))]

    def nodes(self, stream: str, level: int, first: int, end: int) -> list[bytes]:
        """Kept nodes of a level (`CheckpointStore.nodes`)."""
        query = "SELECT place, hash FROM tree_nodes WHERE stream = ? AND level = ? AND place >= ? AND place < ?"
        with self._reader() as connection:
            found = connection.execute(f"{query} ORDER BY place", (stream, level, first, end)).fetchall()
        return [hash_ for number, (place, hash_) in enumerate(found, first) if place == number]

    def count_nodes(self, stream: str, level: int) -> int:
        """The index after the last kept node (`CheckpointStore.count_nodes`)."""
        query = "SELECT ifnull(max(place) + 1, 0) FROM tree_nodes WHERE stream = ? AND level = ?"
        with self._reader() as connection:
            return int(connection.execute(query, (stream, level)).fetchone()[0])

    def add_nodes(self, stream: str, nodes: Sequence[tuple[int, int, bytes]]) -> None:
        """Keeps nodes (`CheckpointStore.add_nodes`)."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO tree_nodes VALUES (?, ?, ?, ?)", [(stream, *node) for node in nodes]
            )

    def add_checkpoints(self, checkpoints: Sequence[StoredCheckpoint], *, settle: bool) -> None:
        """Keeps checkpoints (`CheckpointStore.add_checkpoints`)."""
        with self._transaction() as connection:
            for each in checkpoints:
                connection.execute("INSERT OR IGNORE INTO checkpoints VALUES (?, ?, ?, ?)", rows.checkpoint_row(each))
                connection.executemany(_INSERT_LINE, rows.line_rows(each))
                if settle:
                    connection.execute(
                        "INSERT INTO signed_below VALUES (?, ?) ON CONFLICT (stream) DO UPDATE "
                        "SET seq = max(seq, excluded.seq)",
                        (each.stream, each.size),
                    )

    def add_cosignatures(self, stream: str, size: int, signatures: Sequence[NoteSignature]) -> None:
        """Adds signature lines to a checkpoint (`CheckpointStore.add_cosignatures`)."""
        with self._transaction() as connection:
            connection.executemany(_INSERT_LINE, rows.cosignature_rows(stream, size, signatures))

    def checkpoints(self, streams: Sequence[str] | None = None) -> Iterator[StoredCheckpoint]:
        """All checkpoints in order (`CheckpointSource.checkpoints`), of one moment."""
        where, values = "", []
        if streams is not None:
            where, values = f"WHERE c.stream IN ({','.join('?' * len(streams))})", list(streams)
        with self._reader() as connection:
            yield from rows.checkpoints_of(connection.execute(_JOINED + where + _IN_ORDER, values))

    def last_checkpoint(self, stream: str) -> StoredCheckpoint | None:
        """The largest checkpoint of a stream (`CheckpointStore.last_checkpoint`)."""
        return self._one("max(size)", stream, 0)

    def checkpoint_over(self, stream: str, size: int) -> StoredCheckpoint | None:
        """The smallest checkpoint of a size or more (`CheckpointStore.checkpoint_over`)."""
        return self._one("min(size)", stream, size)

    def _one(self, which: str, stream: str, least: int) -> StoredCheckpoint | None:
        query = (
            f"{_JOINED} WHERE c.stream = ? AND c.size = "
            f"(SELECT {which} FROM checkpoints WHERE stream = ? AND size >= ?) {_IN_ORDER}"
        )
        with self._reader() as connection:
            return next(rows.checkpoints_of(connection.execute(query, (stream, stream, least))), None)
