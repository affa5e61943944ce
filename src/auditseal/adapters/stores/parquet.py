"""The archive format: an export as a Parquet file, whose columns other programs query. Verified as it lies there.

The body's bytes are a column, so that what was hashed survives; what stands in columns beside it is checked against it.

Source: `docs/spec/archive.md`.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pyarrow.parquet import ParquetFile, ParquetWriter

from auditseal.adapters.stores.export_file import ExportFile, open_on_disk
from auditseal.adapters.stores.jsonl_checkpoints import format_checkpoint_line, parse_checkpoint_line
from auditseal.adapters.whole_file import whole_file
from auditseal.core.entry import Columns, StoredEntry, StoredSignature
from auditseal.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from auditseal.core.stored_checkpoint import StoredCheckpoint

_SIGNATURE: Final = pa.struct(
    [
        pa.field("signer", pa.string(), nullable=False),
        pa.field("algorithm", pa.string(), nullable=False),
        pa.field("signature", pa.binary(), nullable=False),
        pa.field("request_id", pa.string()),
        pa.field("signed_at", pa.string()),
    ]
)
SCHEMA: Final = pa.schema(
    [
        pa.field("stream", pa.string()),
        pa.field("seq", pa.int64()),
        pa.field("id", pa.string()),
        pa.field("time", pa.string()),
        pa.field("type", pa.string()),
        pa.field("actor", pa.string()),
        pa.field("body", pa.binary()),
        pa.field("prev_hash", pa.binary()),
        pa.field("hash", pa.binary()),
        pa.field("signatures", pa.list_(pa.field("element", _SIGNATURE, nullable=False))),
        pa.field("checkpoint", pa.string()),
    ]
)
"""A row is an entry, or a checkpoint: then `checkpoint` alone is not null, and holds its line of an export."""
_REQUIRED: Final = ("stream", "seq", "body", "prev_hash", "hash", "signatures")
_GROUP_ROWS: Final = 4096
_GROUP_BYTES: Final = 32 * 1024 * 1024
"""A row group ends after so many rows, or so many bytes of bodies: as much as a reader holds at a time."""
_READ_ROWS: Final = 512


class ParquetSource:
    """The entries of an archive (`auditseal.ports.CheckpointSource`)."""

    def __init__(self, file: ExportFile) -> None:
        """Looks at the file's schema.

        Raises:
            InputError: it is no Parquet file, or not one with these columns.
            AuditSealError: as `open_on_disk`.
        """
        self.address = file.address
        self._held = open_on_disk(file)
        try:
            # By its path: a thread of Arrow that touches a Python object at the exit of the process aborts it.
            self._file = ParquetFile(pa.OSFile(self._held.name))
        except (pa.ArrowException, OSError) as error:
            self._held.close()
            raise InputError(f"{self.address} is not a Parquet file, or was cut: {_first_line(error)}") from error
        found = self._file.schema_arrow
        for field in SCHEMA:
            if field.name not in found.names or not _has_type(found.field(field.name).type, field.type):
                self.close()
                raise InputError(f"{self.address} is no archive: its column {field.name} is not {field.type}")

    def walk(self, streams: Sequence[str] | None = None) -> Iterator[StoredEntry]:
        """All entries in the order of the rows (`Source.walk`); a row that is none comes as a malformed entry."""
        for place, row in self._rows(SCHEMA.names):
            if row["checkpoint"] is None and (streams is None or row["stream"] is None or row["stream"] in streams):
                yield _entry(row, place)

    def checkpoints(self, streams: Sequence[str] | None = None) -> Iterator[StoredCheckpoint]:
        """All checkpoints by stream and size (`CheckpointSource.checkpoints`); one that cannot be read comes first."""
        found = [
            parse_checkpoint_line(row["checkpoint"].encode(), place)
            for place, row in self._rows(["checkpoint"])
            if row["checkpoint"] is not None
        ]
        asked = [one for one in found if streams is None or one.stream in streams or one.malformed is not None]
        return iter(sorted(asked, key=lambda each: (each.stream, each.size)))

    def count(self, streams: Sequence[str] | None = None) -> int | None:
        """How many rows there are (`Source.count`)."""
        return int(self._file.metadata.num_rows) if streams is None else None

    def close(self) -> None:
        """Closes the file. Idempotent."""
        self._file.close()
        self._held.close()

    @staticmethod
    def write(path: Path, entries: Iterable[StoredEntry], checkpoints: Iterable[StoredCheckpoint] = ()) -> int:
        """Writes an archive that appears whole or not at all; how many entries.

        Raises:
            NotFoundError, ConfigError, StoreError: the file cannot be written.
        """
        rows = chain(map(_entry_row, entries), map(_checkpoint_row, checkpoints))
        written = 0
        with whole_file(path) as file, ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            for group in _groups(rows):
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
                written += sum(row.get("checkpoint") is None for row in group)
        return written

    def _rows(self, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """(the row's place for findings, its values)."""
        number = 0
        try:
            for batch in self._file.iter_batches(_READ_ROWS, columns=list(columns), use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{self.address}, row {number}", row
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{self.address} is damaged after row {number}: {_first_line(error)}") from error


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row.get("body") or b"")
        if len(group) == _GROUP_ROWS or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _entry_row(entry: StoredEntry) -> dict[str, Any]:
    columns = entry.columns or Columns(id=None, time=None, type=None, actor=None)
    return {
        "stream": entry.stream,
        "seq": entry.seq,
        "id": columns.id,
        "time": columns.time,
        "type": columns.type,
        "actor": columns.actor,
        "body": entry.body,
        "prev_hash": entry.prev_hash,
        "hash": entry.hash,
        "signatures": [{name: getattr(signature, name) for name in _SIGNATURE.names} for signature in entry.signatures],
        "checkpoint": None,
    }


def _checkpoint_row(checkpoint: StoredCheckpoint) -> dict[str, Any]:
    return {"checkpoint": format_checkpoint_line(checkpoint).decode().rstrip("\n")}


def _entry(row: dict[str, Any], place: str) -> StoredEntry:
    missing = [name for name in _REQUIRED if row[name] is None]
    if missing or row["seq"] < 0:
        why = f"{', '.join(missing)} is null" if missing else "seq is below 0"
        return StoredEntry(stream="", seq=-1, body=b"", prev_hash=b"", hash=b"", malformed=f"{place}: {why}")
    return StoredEntry(
        stream=row["stream"],
        seq=row["seq"],
        body=row["body"],
        prev_hash=row["prev_hash"],
        hash=row["hash"],
        columns=Columns(id=row["id"], time=row["time"], type=row["type"], actor=row["actor"]),
        signatures=tuple(map(_signature, row["signatures"])),
    )


def _signature(members: dict[str, Any] | None) -> StoredSignature:
    members = members or {}
    absent = [name for name in ("signer", "algorithm", "signature") if members.get(name) is None]
    return StoredSignature(
        signer=members.get("signer") or "",
        algorithm=members.get("algorithm") or "",
        signature=members.get("signature") or b"",
        request_id=members.get("request_id"),
        signed_at=members.get("signed_at"),
        malformed=f"{', '.join(absent)} is null" if absent else None,
    )


def _has_type(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a column can be read as ours: other writers have large or dictionary types, and nullable members."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_list(wanted):
        is_list = pa.types.is_list(found) or pa.types.is_large_list(found)
        return is_list and pa.types.is_struct(found.value_type) and _has_fields(found.value_type, wanted.value_type)
    if pa.types.is_string(wanted):
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
    if pa.types.is_binary(wanted):
        return bool(pa.types.is_binary(found) or pa.types.is_large_binary(found))
    return bool(found == wanted)


def _has_fields(found: pa.DataType, wanted: pa.DataType) -> bool:
    members = {field.name: field.type for field in found}
    return all(field.name in members and _has_type(members[field.name], field.type) for field in wanted)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
