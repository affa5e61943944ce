"""export and import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import (
    LogOption,
    OutputOption,
    ProgressLine,
    StreamsOption,
    emit,
    json_text,
    parse_outputs,
)
from auditseal.errors import NotFoundError


def export(
    to: Annotated[
        Path,
        typer.Option("--to", metavar="PATH", help="The file to write: PATH.jsonl, or PATH.parquet for an archive."),
    ],
    stream: StreamsOption = None,
    log: LogOption = None,
    output: OutputOption = None,
) -> int:
    """Write a log's entries to a file that verifies by itself."""
    from auditseal.config import load_settings
    from auditseal.service.audit import with_covers
    from auditseal.wiring.exports import check_export_path, write_export
    from auditseal.wiring.sources import log_address, open_store

    outputs = parse_outputs(output, ("text", "json"))
    check_export_path(to)
    store = open_store(log_address(load_settings({"log": log}).settings), read_only=True)
    try:
        for name in stream or ():
            if store.head(name).seq < 0:
                raise NotFoundError(f"{store.address} has no stream {name[:140]!r}: nothing was exported")
        # The checkpoints of before, so that the entries read after them bear them out.
        stream, checkpoints = with_covers(store, stream)
        count = write_export(to, store.walk(stream), checkpoints)
    finally:
        store.close()
    emit(
        outputs,
        {
            "text": lambda: f"{count:,} entries in {to}" if count else f"{to} is empty: there were no entries",
            "json": lambda: json_text({"schema_version": 1, "path": str(to), "entries": count}),
        },
    )
    return Exit.GOOD if count else Exit.INCONCLUSIVE


def import_(
    source: Annotated[str, typer.Argument(metavar="ADDRESS", help="An export, or another log.")],
    log: LogOption = None,
    output: OutputOption = None,
) -> int:
    """Add another log's entries, byte for byte and with their signatures, where they follow this log's."""
    from auditseal.config import load_settings
    from auditseal.service.transfer import import_entries
    from auditseal.wiring.sources import log_address, open_source, open_store

    outputs = parse_outputs(output, ("text", "json"))
    opened = open_source(source)
    try:
        store = open_store(log_address(load_settings({"log": log}).settings))
        progress = ProgressLine("imported")
        try:
            added = import_entries(opened, store, progress=progress)
        finally:
            progress.clear()
            store.close()
    finally:
        opened.close()
    said = ", ".join(f"{count:,} to {stream}" for stream, count in added.items())
    emit(
        outputs,
        {
            "text": lambda: f"Added {said}" if added else "Nothing to add: the log holds all of it, or it is empty",
            "json": lambda: json_text({"schema_version": 1, "added": added}),
        },
    )
    return Exit.GOOD if added else Exit.INCONCLUSIVE
