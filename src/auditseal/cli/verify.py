"""verify and explain."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from auditseal.cli.exits import Exit, exit_of_report
from auditseal.cli.options import (
    OutputOption,
    ProgressLine,
    SignersOption,
    StreamOption,
    StreamsOption,
    emit,
    json_text,
    paint,
    parse_outputs,
)
from auditseal.cli.printable import printable
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.core.body_diff import Difference
    from auditseal.core.explain import Explanation
    from auditseal.core.registry import Registry
    from auditseal.core.report import Report
    from auditseal.wiring.evidence import Evidence

SourceArgument = Annotated[
    str | None,
    typer.Argument(metavar="ADDRESS", help="A log, an export, a table. [AUDITSEAL_LOG, DATABASE_URL]"),
]


def verify(
    source: SourceArgument = None,
    signers: SignersOption = None,
    format_: Annotated[
        str, typer.Option("--format", help="auditseal, or agent-manager for a JSON file of that deployment's rows.")
    ] = "auditseal",
    stream: StreamsOption = None,
    ask_kms: Annotated[
        bool, typer.Option("--ask-kms", help="Let KMS verify the MACs of HMAC keys; all else is offline.")
    ] = False,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="FILE", help="Remember what was proven, and hold the log to it.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="With --state: verify all, not only what is new.")] = False,
    anchor: Annotated[
        list[str] | None, typer.Option("--anchor", metavar="ADDRESS", help="An anchor to hold it to; may be repeated.")
    ] = None,
    witness_policy: Annotated[
        Path | None, typer.Option("--witness-policy", metavar="FILE", help="Ask for the cosignatures of this policy.")
    ] = None,
    reconciled: Annotated[
        list[Path] | None,
        typer.Option("--reconciled", metavar="FILE", help="An account by reconcile --account; may be repeated."),
    ] = None,
    require: Annotated[
        str | None, typer.Option("--require", metavar="GRADE", help="Less than G1, G2, G3 or G4 is inconclusive.")
    ] = None,
    origin: Annotated[str | None, typer.Option("--origin", help="The log's origin, where it names none.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="The time for promises that are overdue. [now, for a log]"),
    ] = None,
    output: OutputOption = None,
) -> int:
    """Verify a log, an export or a proof, offline, and say what is proven and what is wrong."""
    from auditseal.cli.findings.output import FORMS, renderers
    from auditseal.cli.findings.verification import findings_report
    from auditseal.cli.report import report_members, report_text
    from auditseal.config import load_settings
    from auditseal.core.grade import parse_grade
    from auditseal.core.times import instant, parse_time
    from auditseal.service.ids import now_micros
    from auditseal.wiring.evidence import Evidence
    from auditseal.wiring.exports import is_export
    from auditseal.wiring.proofs import is_proof, unknown_file
    from auditseal.wiring.sources import AGENT_MANAGER, log_address, open_source
    from auditseal.wiring.verifying import registry_for

    outputs = parse_outputs(output, FORMS)
    if format_ not in _FORMATS:
        raise InputError(f"--format {format_[:20]} is not one of {', '.join(_FORMATS)}")
    settings = load_settings({"log": source, "signers": signers}).settings
    address = log_address(settings)
    if address.startswith(AGENT_MANAGER):
        format_ = "agent-manager"
    if format_ == "auditseal" and not is_proof(address):
        try:
            open_source(address).close()  # a log that is not there is said before a registry that is not
        except InputError as error:
            raise unknown_file(address) or error from None
    path, registry = registry_for(settings, address)
    now = now_micros() if not is_export(address) else None
    evidence = Evidence(
        state=state,
        full=full,
        anchors=anchor or (),
        witness_policy=witness_policy,
        accounts=reconciled or (),
        require=None if require is None else parse_grade(require),
        origin=origin,
        now=now if as_of is None else parse_time(instant(as_of)),
    )
    report = _FORMATS[format_](address, registry, stream, ask_kms, evidence)
    is_file = "://" not in address
    emit(
        outputs,
        {
            **renderers(partial(findings_report, report, address if is_file else None)),
            "text": lambda: report_text(report, str(path)),
            "json": lambda: json_text(report_members(report)),
        },
    )
    return exit_of_report(report)


def _verify_log(
    address: str, registry: Registry, streams: list[str] | None, ask_kms: bool, evidence: Evidence
) -> Report:
    from auditseal.wiring.proofs import is_proof, verify_proof
    from auditseal.wiring.verifying import verify as verify_source

    if is_proof(address):
        return verify_proof(address, registry, evidence, ask_kms=ask_kms)
    progress = ProgressLine("verified")
    try:
        return verify_source(
            address,
            registry,
            streams=streams,
            ask_kms=ask_kms,
            evidence=evidence,
            processes=os.cpu_count() or 1,
            progress=progress,
        )
    finally:
        progress.clear()


def _verify_agent_manager(
    address: str, registry: Registry, streams: list[str] | None, ask_kms: bool, evidence: Evidence
) -> Report:
    from auditseal.wiring.verifying import verify_agent_manager

    if streams:
        raise InputError("--stream has no meaning for an Agent Manager's table: it is one chain")
    if evidence.state or evidence.anchors or evidence.witness_policy or evidence.accounts or evidence.require:
        options = "--state, --anchor, --witness-policy, --reconciled and --require"
        raise InputError(f"an Agent Manager's table has no checkpoints: {options} do not apply")
    return verify_agent_manager(address, registry, ask_kms=ask_kms)


_Verify = Callable[[str, "Registry", "list[str] | None", bool, "Evidence"], "Report"]
_FORMATS: Final[dict[str, _Verify]] = {"auditseal": _verify_log, "agent-manager": _verify_agent_manager}


def explain(
    source: Annotated[str, typer.Argument(metavar="ADDRESS", help="A log or an export.")],
    entry: Annotated[str, typer.Argument(metavar="SEQ|STREAM#SEQ|ID", help="Which entry.")],
    stream: StreamOption = "default",
    against: Annotated[
        str | None, typer.Option("--against", metavar="ADDRESS", help="A copy of the log, to compare bodies with.")
    ] = None,
    signers: SignersOption = None,
    output: OutputOption = None,
) -> int:
    """Explain one entry: what was expected, what is there, and what must have happened."""
    from auditseal.config import load_settings
    from auditseal.core.body_diff import diff_bodies
    from auditseal.service.explaining import explain_place
    from auditseal.service.lookup import find_surroundings, parse_place
    from auditseal.wiring.sources import open_source
    from auditseal.wiring.verifying import registry_for

    outputs = parse_outputs(output, ("text", "json"))
    place = parse_place(entry, stream)
    _, registry = registry_for(load_settings({"log": source, "signers": signers}).settings, source)
    opened = open_source(source)
    try:
        explanations = explain_place(opened, place, registry)
    finally:
        opened.close()
    differences: list[Difference] | None = None
    if against is not None:
        copy = open_source(against)
        try:
            theirs = find_surroundings(copy, place).here[0]
        finally:
            copy.close()
        differences = diff_bodies(explanations[0].entry.body, theirs.body)
    sound = len(explanations) == 1 and explanations[0].is_sound and not differences
    emit(
        outputs,
        {
            "text": lambda: _explanation_text(explanations, differences, against),
            "json": lambda: json_text(_explanation_members(explanations, differences)),
        },
    )
    return Exit.BAD if not sound else Exit.GOOD if explanations[0].is_conclusive else Exit.INCONCLUSIVE


_MARKS = {True: ("holds", "green"), False: ("FAILS", "red"), None: ("not checked", "yellow")}


def _explanation_text(
    explanations: list[Explanation], differences: list[Difference] | None, against: str | None
) -> str:
    lines = []
    for explanation in explanations:
        lines.append(f"{printable(explanation.entry.stream)} #{explanation.entry.seq:,}")
        names = [printable(check.name) for check in explanation.checks]
        width = max(map(len, names))
        for name, check in zip(names, explanation.checks, strict=True):
            word, style = _MARKS[check.holds]
            lines.append(f"  {name:<{width}}  {paint(f'{word:<11}', style)}  {printable(check.detail)}")
        lines += [explanation.meaning, explanation.advice]
    if len(explanations) > 1:
        lines.append(f"{len(explanations)} entries stand at this place: at most one of them belongs there.")
    if differences is not None:
        lines.append(f"Compared with {against}:" if differences else f"{against} has the same body.")
        for item in differences:
            lines += [
                f"  {printable(item.path or '(the whole body)')}",
                f"    here   {printable(item.here or '(not there)')}",
                f"    copy   {printable(item.there or '(not there)')}",
            ]
    return "\n".join(lines)


def _explanation_members(explanations: list[Explanation], differences: list[Difference] | None) -> dict[str, Any]:
    first = explanations[0]
    return {
        "schema_version": 1,
        "stream": first.entry.stream,
        "seq": first.entry.seq,
        "entries": [
            {
                "sound": explanation.is_sound,
                "meaning": explanation.meaning,
                "advice": explanation.advice,
                "checks": [
                    {"name": check.name, "holds": check.holds, "detail": check.detail} for check in explanation.checks
                ],
            }
            for explanation in explanations
        ],
        "differences": None
        if differences is None
        else [{"path": item.path, "here": item.here, "copy": item.there} for item in differences],
    }
