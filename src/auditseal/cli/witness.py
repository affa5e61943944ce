"""witness: serve and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import OutputOption, emit, json_text, parse_outputs, remark

app = typer.Typer(no_args_is_help=True, help="Being a witness of other logs, with the configured signer's key.")

NameOption = Annotated[str, typer.Option("--name", help="The witness's own name, such as witness.example/w1.")]


@app.command()
def serve(
    name: NameOption,
    logs: Annotated[
        Path, typer.Option("--logs", metavar="FILE", help="The logs to witness: one verifier key (vkey) a line.")
    ],
    state: Annotated[Path, typer.Option("--state", metavar="FILE", help="What was cosigned: a file of its own.")],
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")] = 8380,
    prefix: Annotated[str, typer.Option("--prefix", help="Before the protocol's addresses, such as /w1.")] = "",
) -> int:
    """Answer add-checkpoint requests (C2SP tlog-witness) until interrupted."""
    from auditseal.config import load_settings
    from auditseal.wiring.witnessing import serve_witness

    settings = load_settings({}).settings
    with serve_witness(settings, name=name, logs=logs, state=state, host=host, port=port, prefix=prefix) as server:
        remark(f"witness {name} for {len(server.origins)} logs on {server.url}")
        server.run()
    return Exit.GOOD


@app.command()
def keys(name: NameOption, output: OutputOption = None) -> int:
    """Print the witness's verifier key, for the policies of those who rely on it."""
    from auditseal.config import load_settings
    from auditseal.wiring.witnessing import witness_vkey

    outputs = parse_outputs(output, ("text", "json"))
    vkey = witness_vkey(load_settings({}).settings, name)
    emit(
        outputs,
        {"text": lambda: vkey, "json": lambda: json_text({"schema_version": 1, "name": name, "vkey": vkey})},
    )
    return Exit.GOOD


@app.command("log-keys")
def log_keys(
    origin: Annotated[str, typer.Option("--origin", help="The log's origin, such as example.com/audit.")],
    signers: Annotated[Path, typer.Option("--signers", metavar="PATH", help="The log's signers.json.")],
    stream: Annotated[list[str] | None, typer.Option("--stream", help="A stream; may be repeated.")] = None,
    output: OutputOption = None,
) -> int:
    """Print the verifier keys of a log's streams, one a line, for a witness's --logs."""
    from auditseal.adapters.registry_file import load_registry
    from auditseal.core.checkpoint import stream_origin
    from auditseal.core.heads import HEADS_STREAM
    from auditseal.core.log_keys import note_key_of

    outputs = parse_outputs(output, ("text", "json"))
    registry = load_registry(signers)
    vkeys = [
        note_key_of(signer, stream_origin(origin, name)).vkey()
        for name in (stream or ["default", HEADS_STREAM])
        for signer in registry
        if not signer.algorithm.is_mac
    ]
    emit(
        outputs,
        {
            "text": lambda: "\n".join(vkeys) or "no signer whose signatures a witness could check",
            "json": lambda: json_text({"schema_version": 1, "vkeys": vkeys}),
        },
    )
    return Exit.GOOD if vkeys else Exit.INCONCLUSIVE
