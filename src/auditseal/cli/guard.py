"""guard: for CI and start-up, whether nothing but the configured KMS key can ever sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from auditseal.cli.findings.finding import FindingsReport, Level, NotChecked, PlacedFinding, RuleText
from auditseal.cli.findings.output import FORMS, emit_findings
from auditseal.cli.options import LogOption, OutputOption, SignersOption, parse_outputs

if TYPE_CHECKING:
    from auditseal.wiring.guard import Guarded

_FIX = "remove it, and rotate the key that stood there"


def guard(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE...]", help="Deployment files to look through.")
    ] = None,
    log: LogOption = None,
    signers: SignersOption = None,
    output: OutputOption = None,
) -> int:
    """With REQUIRE_KMS=true, fail unless the KMS key is configured, enabled, registered, and no local key is."""
    outputs = parse_outputs(output, FORMS)
    from auditseal.wiring.guard import guard as look

    guarded = look(files or [], {"log": log, "signers": signers})
    report = _report(guarded, files or [])
    if guarded.outage is not None and not report.findings:
        raise guarded.outage
    return emit_findings(outputs, report)


def _report(guarded: Guarded, files: list[str]) -> FindingsReport:
    from auditseal.access.checked import Status

    local = RuleText(id="local-key", title="a local key is configured")
    findings = [
        PlacedFinding(
            rule=local,
            severity="fail",
            level=Level.ERROR,
            message=what,
            source=None if source == "environment" else source,
            line=line,
            column=column,
            subject="environment" if source == "environment" else "",
            fix=_FIX,
        )
        for source, line, column, what in guarded.material
    ]
    for item in guarded.items:
        if item.status is Status.FAIL and item.id != "local-keys":
            rule = RuleText(id=item.id, title=item.title)
            message = f"not so: {item.title}: {item.detail}"
            findings.append(PlacedFinding(rule=rule, severity="fail", level=Level.ERROR, message=message, fix=item.fix))
    done = [item for item in guarded.items if item.status is not Status.NOT_CHECKED]
    return FindingsReport(
        command="guard",
        sources=files,
        checked={"checks": len(done), "files": guarded.files},
        findings=findings,
        not_checked=[
            NotChecked(what=item.title, why=item.detail) for item in guarded.items if item.status is Status.NOT_CHECKED
        ],
    )
