"""checkpoint: create, list, show, and the proof that one continues another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import (
    LogOption,
    OutputOption,
    SignersOption,
    StreamsOption,
    emit,
    json_lines,
    json_text,
    parse_outputs,
)

if TYPE_CHECKING:
    from auditseal.core.stored_checkpoint import StoredCheckpoint

app = typer.Typer(no_args_is_help=True, help="Checkpoints: signed statements of a stream's size and root.")

OriginOption = Annotated[
    str | None,
    typer.Option("--origin", help="The log's name for the world, such as example.com/audit. [AUDITSEAL_ORIGIN]"),
]
OneStreamOption = Annotated[str, typer.Option("--stream", help="The stream.")]


@app.command()
def create(
    stream: StreamsOption = None, log: LogOption = None, origin: OriginOption = None, output: OutputOption = None
) -> int:
    """Make a checkpoint of each stream, or of those named, under one signature."""
    from auditseal.config import load_settings
    from auditseal.core.heads import HEADS_STREAM
    from auditseal.wiring.checkpointing import checkpointing

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"log": log, "origin": origin}).settings
    with checkpointing(settings) as (store, checkpointer):
        names = stream or [head.stream for head in store.streams() if head.stream != HEADS_STREAM]
        made = checkpointer.create(names) if names else []
    emit(outputs, {"text": lambda: _lines(made, "no entries, and so no checkpoint"), "json": lambda: _json(made)})
    return Exit.GOOD if made else Exit.INCONCLUSIVE


@app.command("list")
def list_checkpoints(stream: StreamsOption = None, log: LogOption = None, output: OutputOption = None) -> int:
    """List the checkpoints that a log or an export holds; `verify` checks them."""
    from auditseal.config import load_settings
    from auditseal.wiring.checkpointing import read_checkpoints
    from auditseal.wiring.sources import log_address

    outputs = parse_outputs(output, ("text", "json", "jsonl"))
    found = read_checkpoints(log_address(load_settings({"log": log}).settings), stream)
    emit(
        outputs,
        {
            "text": lambda: _lines(found, "no checkpoints"),
            "json": lambda: _json(found),
            "jsonl": lambda: json_lines(map(_members, found)),
        },
    )
    return Exit.GOOD if found else Exit.INCONCLUSIVE


@app.command()
def show(
    size: Annotated[int | None, typer.Argument(metavar="[SIZE]", help="Which; without it, the last.")] = None,
    stream: OneStreamOption = "default",
    log: LogOption = None,
    output: OutputOption = None,
) -> int:
    """Print a checkpoint with its signatures, as it would be given to others."""
    from auditseal.config import load_settings
    from auditseal.errors import NotFoundError
    from auditseal.wiring.checkpointing import read_checkpoints
    from auditseal.wiring.sources import log_address

    outputs = parse_outputs(output, ("text", "json"))
    found = read_checkpoints(log_address(load_settings({"log": log}).settings), [stream])
    chosen = [each for each in found if size in (None, each.size) and each.stream == stream]
    if not chosen:
        raise NotFoundError(f"{stream} has no checkpoint" + (f" of size {size}" if size is not None else ""))
    last = chosen[-1]
    emit(outputs, {"text": lambda: _note(last), "json": lambda: json_text(_members(last))})
    return Exit.GOOD


@app.command()
def consistency(
    old_size: Annotated[int, typer.Argument(metavar="OLD", help="Size of the earlier checkpoint.")],
    new_size: Annotated[int, typer.Argument(metavar="NEW", help="Size of the later one.")],
    to: Annotated[Path, typer.Option("--to", metavar="PATH", help="The file to write.")],
    stream: OneStreamOption = "default",
    log: LogOption = None,
    signers: SignersOption = None,
    output: OutputOption = None,
) -> int:
    """Write a proof that one checkpoint continues another, for `verify`."""
    from auditseal.adapters.whole_file import write_whole
    from auditseal.config import load_settings
    from auditseal.core.consistency import format_consistency
    from auditseal.wiring.checkpointing import proving

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"log": log, "signers": signers}).settings
    with proving(settings) as prover:
        write_whole(to, format_consistency(prover.consistency(stream, old_size, new_size)))
    said = f"{to}: the checkpoint of {stream} at {new_size:,} continues the one at {old_size:,}"
    document = {"schema_version": 1, "path": str(to), "stream": stream, "old_size": old_size, "new_size": new_size}
    emit(outputs, {"text": lambda: said, "json": lambda: json_text(document)})
    return Exit.GOOD


def _lines(checkpoints: list[StoredCheckpoint], none: str) -> str:
    rows = [
        (
            each.stream,
            f"{each.size:,}",
            each.signer or ("covered by entry " + str(each.cover.seq) if each.cover is not None else "(unsigned)"),
            each.signed_at[:19].replace("T", " ") + "Z" if each.signed_at else "",
            f"{max(0, len(each.signatures) - 1)} cosigned" if each.signatures else "",
        )
        for each in checkpoints
    ]
    if not rows:
        return none
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)


def _note(checkpoint: StoredCheckpoint) -> str:
    from auditseal.core.note import format_signatures

    if checkpoint.cover is not None:
        return f"{checkpoint.text}\n(covered by entry {checkpoint.cover.seq} of auditseal/heads)\n"
    return f"{checkpoint.text}\n{format_signatures(checkpoint.signatures)}"


def _json(checkpoints: list[StoredCheckpoint]) -> str:
    return json_text({"schema_version": 1, "checkpoints": [_members(each) for each in checkpoints]})


def _members(checkpoint: StoredCheckpoint) -> dict[str, Any]:
    return {
        "stream": checkpoint.stream,
        "size": checkpoint.size,
        "checkpoint": checkpoint.text,
        "signer": checkpoint.signer,
        "signed_at": checkpoint.signed_at,
        "request_id": checkpoint.request_id,
        "signatures": [signature.line().rstrip("\n") for signature in checkpoint.signatures],
        "covered_by": None if checkpoint.cover is None else checkpoint.cover.seq,
    }
