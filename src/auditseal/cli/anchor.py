"""anchor: publish and list."""

from __future__ import annotations

from typing import Annotated

import typer

from auditseal.cli.checkpoint import OriginOption
from auditseal.cli.exits import Exit
from auditseal.cli.options import LogOption, OutputOption, StreamsOption, emit, json_lines, json_text, parse_outputs

app = typer.Typer(no_args_is_help=True, help="Anchors: checkpoints kept where the log's operator cannot rewrite them.")

AnchorArgument = Annotated[
    str,
    typer.Argument(
        metavar="ANCHOR", help="file:PATH, git:PATH, rfc3161:PATH?roots=PEM&tsa=URL or s3://BUCKET/PREFIX?days=N."
    ),
]


@app.command()
def publish(
    anchor: AnchorArgument,
    stream: StreamsOption = None,
    log: LogOption = None,
    origin: OriginOption = None,
    output: OutputOption = None,
) -> int:
    """Make a fresh checkpoint of each stream, or of those named, and keep it at the anchor."""
    from auditseal.config import load_settings
    from auditseal.core.times import format_time
    from auditseal.service.anchor import publish as publish_to
    from auditseal.service.ids import now_micros
    from auditseal.wiring.anchors import open_anchor
    from auditseal.wiring.checkpointing import checkpointing

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"log": log, "origin": origin}).settings
    opened = open_anchor(anchor)
    try:
        with checkpointing(settings) as (store, checkpointer):
            names = stream or [head.stream for head in store.streams()]
            done = publish_to(store, opened, names, checkpointer=checkpointer, now=now_micros())
    finally:
        opened.close()
    emit(
        outputs,
        {
            "text": lambda: (
                "\n".join(f"{checkpoint.stream} {checkpoint.size:,}  {kept.where}" for checkpoint, kept in done)
                or "no entries, and so nothing to anchor"
            ),
            "json": lambda: json_text(
                {
                    "schema_version": 1,
                    "published": [
                        {
                            "stream": checkpoint.stream,
                            "size": checkpoint.size,
                            "where": kept.where,
                            "time": None if kept.time is None else format_time(kept.time),
                        }
                        for checkpoint, kept in done
                    ],
                }
            ),
        },
    )
    return Exit.GOOD if done else Exit.INCONCLUSIVE


@app.command("list")
def list_anchored(
    anchor: AnchorArgument,
    origin: OriginOption = None,
    stream: Annotated[str, typer.Option("--stream", help="The stream.")] = "default",
    output: OutputOption = None,
) -> int:
    """List what an anchor holds of a stream; `verify --anchor` holds a log to it."""
    from auditseal.config import load_settings
    from auditseal.core.checkpoint import parse_checkpoint, stream_origin
    from auditseal.core.note import parse_note
    from auditseal.core.times import format_time
    from auditseal.errors import ConfigError
    from auditseal.wiring.anchors import open_anchor

    outputs = parse_outputs(output, ("text", "json", "jsonl"))
    origin = load_settings({"origin": origin}).settings.origin
    if origin is None:
        raise ConfigError("say whose checkpoints: give --origin, such as example.com/audit, or set AUDITSEAL_ORIGIN")
    opened = open_anchor(anchor)
    try:
        found = [
            (
                parse_checkpoint(parse_note(each.note).text).size,
                None if each.time is None else format_time(each.time),
                each.where,
            )
            for each in opened.find(stream_origin(origin, stream))
        ]
    finally:
        opened.close()
    rows = [{"size": size, "time": time, "where": where} for size, time, where in found]
    emit(
        outputs,
        {
            "text": lambda: (
                "\n".join(f"{size:,}  {time or '(no time)'}  {where}" for size, time, where in found)
                or f"nothing of {origin}/{stream}"
            ),
            "json": lambda: json_text({"schema_version": 1, "anchored": rows}),
            "jsonl": lambda: json_lines(rows),
        },
    )
    return Exit.GOOD if found else Exit.INCONCLUSIVE
