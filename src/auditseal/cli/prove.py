"""prove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import LogOption, OutputOption, SignersOption, StreamOption, emit, json_text, parse_outputs


def prove(
    entry: Annotated[str, typer.Argument(metavar="SEQ|STREAM#SEQ|ID", help="Which entry.")],
    to: Annotated[Path, typer.Option("--to", metavar="PATH", help="The bundle to write; or PATH.tlog-proof.")],
    stream: StreamOption = "default",
    log: LogOption = None,
    signers: SignersOption = None,
    witness_policy: Annotated[
        Path | None, typer.Option("--witness-policy", metavar="FILE", help="Ask for the cosignatures of this policy.")
    ] = None,
    output: OutputOption = None,
) -> int:
    """Write all that proves one entry, and no other, into a file that `verify` checks without the log."""
    from auditseal.adapters.whole_file import write_whole
    from auditseal.config import load_settings
    from auditseal.core.bundle import format_bundle
    from auditseal.core.tlog_proof import format_tlog_proof
    from auditseal.service.lookup import find_surroundings, parse_place
    from auditseal.wiring.checkpointing import proving
    from auditseal.wiring.sources import log_address, open_source

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"log": log, "signers": signers}).settings
    source = open_source(log_address(settings))
    try:
        here = find_surroundings(source, parse_place(entry, stream)).here[0]
    finally:
        source.close()
    with proving(settings, witness_policy=witness_policy) as prover:
        bundle, proof = prover.prove(here.stream, here.seq)
        is_text = to.suffix == ".tlog-proof"
        octets = format_tlog_proof(prover.tlog_proof(bundle, proof)) if is_text else format_bundle(bundle)
        write_whole(to, octets)
    cosigned = 0 if proof.cosigned is None else len(proof.cosigned.times)
    emit(
        outputs,
        {
            "text": lambda: (
                f"{to}: {here.stream} #{here.seq:,} is under the checkpoint of {proof.checkpoint.origin} at "
                f"{proof.checkpoint.size:,}, signed by {proof.signer.signer_id}"
                + (f", cosigned by {cosigned}" if cosigned else "")
            ),
            "json": lambda: json_text(
                {
                    "schema_version": 1,
                    "path": str(to),
                    "stream": here.stream,
                    "seq": here.seq,
                    "hash": proof.hash.hex(),
                    "origin": proof.checkpoint.origin,
                    "size": proof.checkpoint.size,
                    "signer": proof.signer.signer_id,
                    "cosigned": {} if proof.cosigned is None else dict(proof.cosigned.times),
                }
            ),
        },
    )
    return Exit.GOOD
