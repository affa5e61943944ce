"""doctor: whether everything that a signer needs is there."""

from __future__ import annotations

from typing import Annotated

import typer

from auditseal.cli.findings.checklist import emit_checklist
from auditseal.cli.findings.output import FORMS
from auditseal.cli.options import LogOption, OutputOption, SignersOption, parse_outputs


def doctor(
    log: LogOption = None,
    signers: SignersOption = None,
    probe: Annotated[str, typer.Option("--probe", help="auto, dry-run, sign (for real) or none.")] = "auto",
    role_arn: Annotated[str | None, typer.Option("--role-arn", help="The signer's role; else the caller's.")] = None,
    output: OutputOption = None,
) -> int:
    """Check credentials, key, permission to sign, clock, registry, settings, database and backlog."""
    outputs = parse_outputs(output, FORMS)
    from auditseal.access.checked import failed
    from auditseal.cli.policy.files import need_extra
    from auditseal.config import load_settings
    from auditseal.errors import ConfigError
    from auditseal.wiring.doctor import examine

    need_extra()
    try:
        settings = load_settings({"log": log, "signers": signers}).settings
    except ConfigError as error:
        items = [failed("settings", "the settings are consistent", str(error), "auditseal config show")]
    else:
        items = examine(settings, probe=probe, role_arn=role_arn)
    return emit_checklist(outputs, "doctor", items)
