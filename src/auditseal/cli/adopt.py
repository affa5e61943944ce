"""adopt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import LogOption, OutputOption, emit, json_text, parse_outputs


def adopt(
    source: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="agent-manager+postgresql://…, or a JSON file of its rows.")
    ],
    stream: Annotated[str, typer.Option("--stream", help="The new stream that the statement starts.")],
    old_signers: Annotated[
        Path | None,
        typer.Option("--old-signers", metavar="PATH", help="The signers of the old rows; else those of the log."),
    ] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Who adopts, such as user:alice.")] = None,
    ask_kms: Annotated[bool, typer.Option("--ask-kms", help="Let KMS verify the MACs of HMAC keys.")] = False,
    log: LogOption = None,
    output: OutputOption = None,
) -> int:
    """Start a stream with a signed statement of an existing Agent Manager's rows: head, count, faults."""
    from auditseal.cli.report import report_members, report_text
    from auditseal.cli.show import receipt_members, receipt_text
    from auditseal.config import load_settings
    from auditseal.service.adopt import adopt as adopt_history
    from auditseal.wiring.logs import open_configured
    from auditseal.wiring.sources import log_address
    from auditseal.wiring.verifying import Registry, registry_for, verify_agent_manager

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"log": log}).settings
    if old_signers is None:
        path, registry = registry_for(settings, log_address(settings))
    else:
        path, registry = old_signers, Registry.load(old_signers)
    with open_configured(settings) as opened:
        report = verify_agent_manager(source, registry, ask_kms=ask_kms)
        receipt = adopt_history(opened, report, stream=stream, actor=actor)
    document = {"schema_version": 1, "receipt": receipt_members(receipt), "report": report_members(report)}
    emit(
        outputs,
        {
            "text": lambda: f"{report_text(report, str(path))}\n\nAdopted, as it was found:\n{receipt_text(receipt)}",
            "json": lambda: json_text(document),
        },
    )
    return Exit.GOOD
