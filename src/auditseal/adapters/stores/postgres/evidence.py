"""The trees and checkpoints of a PostgreSQL log: the part of `auditseal.ports.CheckpointStore` beyond `Store`.

Source: `docs/spec/postgresql.md`, `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from auditseal.adapters.stores.checkpoint_rows import COLUMNS, DETAILS, checkpoint_row, checkpoints_of, line_rows
from auditseal.adapters.stores.postgres.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import psycopg

    from auditseal.core.note import NoteSignature
    from auditseal.core.stored_checkpoint import StoredCheckpoint

_JOINED: Final = (
    f"SELECT {', '.join(COLUMNS)}, s.line, {', '.join(DETAILS)} FROM auditseal.checkpoints c "
    "LEFT JOIN auditseal.checkpoint_signatures s ON s.stream = c.stream AND s.size = c.size "
)
_IN_ORDER: Final = " ORDER BY c.stream, c.size, s.n"
_HASHES: Final = "SELECT hash FROM auditseal.entries WHERE stream = %s AND seq >= %s AND seq < %s ORDER BY seq"
_NODES: Final = (
    "SELECT place, hash FROM auditseal.tree_nodes "
    "WHERE stream = %s AND level = %s AND place >= %s AND place < %s ORDER BY place"
)
_COUNT_NODES: Final = "SELECT coalesce(max(place) + 1, 0) FROM auditseal.tree_nodes WHERE stream = %s AND level = %s"
_ADD_NODES: Final = (
    "INSERT INTO auditseal.tree_nodes (stream, level, place, hash) "
    "SELECT %s::text, * FROM unnest(%s::int[], %s::bigint[], %s::bytea[]) ON CONFLICT DO NOTHING"
)
_ADD_CHECKPOINTS: Final = (
    "INSERT INTO auditseal.checkpoints (stream, size, note_text, cover) "
    "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING"
)
_ADD_LINES: Final = (
    "INSERT INTO auditseal.checkpoint_signatures (stream, size, line, signer, request_id, signed_at) "
    "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bytea[], %s::text[], %s::text[], %s::text[]) "
    "ON CONFLICT DO NOTHING"
)
_SETTLE: Final = "SELECT auditseal.settle(%s::text[], %s::bigint[])"


class EvidenceTables(Sessions):
    """Trees and checkpoints of a PostgreSQL store."""

    def entry_hashes(self, stream: str, first: int, end: int) -> list[bytes]:
        """The hashes of a range of entries (`CheckpointStore.entry_hashes`)."""
        return [row[0] for row in self._fetch(_HASHES, [stream, first, end])]

    def nodes(self, stream: str, level: int, first: int, end: int) -> list[bytes]:
        """Kept nodes of a level (`CheckpointStore.nodes`)."""
        rows = self._fetch(_NODES, [stream, level, first, end])
        return [hash_ for number, (place, hash_) in enumerate(rows, first) if place == number]

    def count_nodes(self, stream: str, level: int) -> int:
        """The index after the last kept node (`CheckpointStore.count_nodes`)."""
        return int(self._fetch(_COUNT_NODES, [stream, level])[0][0])

    def add_nodes(self, stream: str, nodes: Sequence[tuple[int, int, bytes]]) -> None:
        """Keeps nodes (`CheckpointStore.add_nodes`)."""
        if nodes:
            self._write(lambda connection, **_: connection.execute(_ADD_NODES, [stream, *_columns(nodes)], binary=True))

    def add_checkpoints(self, checkpoints: Sequence[StoredCheckpoint], *, settle: bool) -> None:
        """Keeps checkpoints (`CheckpointStore.add_checkpoints`)."""
        # In one order, so that of two writers with the same streams neither waits for the other for ever.
        ordered = sorted(checkpoints, key=lambda each: (each.stream, each.size))
        heads = _columns([checkpoint_row(each) for each in ordered])
        lines = [(*row[:2], row[2].encode(), *row[3:]) for each in ordered for row in line_rows(each)]

        def attempt(connection: psycopg.Connection[Any], **_: bool) -> None:
            with connection.transaction():
                connection.execute(_ADD_CHECKPOINTS, heads, binary=True)
                if lines:
                    connection.execute(_ADD_LINES, _columns(lines), binary=True)
                if settle:
                    connection.execute(_SETTLE, heads[:2])

        if ordered:
            self._write(attempt)

    def add_cosignatures(self, stream: str, size: int, signatures: Sequence[NoteSignature]) -> None:
        """Adds signature lines to a checkpoint (`CheckpointStore.add_cosignatures`)."""
        lines = [(stream, size, signature.line().encode(), None, None, None) for signature in signatures]
        if lines:
            self._write(lambda connection, **_: connection.execute(_ADD_LINES, _columns(lines), binary=True))

    def checkpoints(self, streams: Sequence[str] | None = None) -> Iterator[StoredCheckpoint]:
        """All checkpoints in order (`CheckpointSource.checkpoints`), of one moment."""
        where, values = ("", []) if streams is None else ("WHERE c.stream = ANY (%s)", [list(streams)])
        return checkpoints_of(_as_text(self._stream(_JOINED + where + _IN_ORDER, values)))

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
        return next(checkpoints_of(_as_text(self._fetch(query, [stream, stream, least]))), None)


def _as_text(rows: Iterable[Any]) -> Iterator[Any]:
    """The rows, their lines as text; what is none is kept as what will be found malformed."""
    for row in rows:
        line = row[len(COLUMNS)]
        text = None if line is None else line.decode(errors="replace")
        yield (*row[: len(COLUMNS)], text, *row[len(COLUMNS) + 1 :])


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
