"""verify and explain."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from auditseal.core.body_diff import Difference
    from auditseal.core.explain import Explanation

SourceArgument = Annotated[
    str | None, typer.Argument(metavar="ADDRESS", help="A log or an export. [AUDITSEAL_LOG, DATABASE_URL]")
]


def verify(
    source: SourceArgument = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    ask_kms: Annotated[
        bool, typer.Option("--ask-kms", help="Let KMS verify the MACs of HMAC keys; all else is offline.")
    ] = False,
    output: OutputOption = None,
) -> int:
    """Verify a log or an export, offline, and say what is proven and what is wrong."""
    from auditseal.cli.report import report_members, report_text
    from auditseal.config import load_settings
    from auditseal.wiring.sources import log_address, open_source
    from auditseal.wiring.verifying import registry_for
    from auditseal.wiring.verifying import verify as verify_source

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"log": source, "signers": signers}).settings
    address = log_address(settings)
    progress = ProgressLine("verified")
    with closing(open_source(address)) as opened:
        path, registry = registry_for(settings, address)
        try:
            report = verify_source(opened, registry, streams=stream, ask_kms=ask_kms, progress=progress)
        finally:
            progress.clear()
    emit(
        outputs,
        {"text": lambda: report_text(report, str(path)), "json": lambda: json_text(report_members(report))},
    )
    return exit_of_report(report)


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
    from auditseal.core.explain import explain_entry
    from auditseal.service.lookup import find_surroundings, parse_place
    from auditseal.wiring.sources import open_source
    from auditseal.wiring.verifying import registry_for

    outputs = parse_outputs(output, ("text", "json"))
    place = parse_place(entry, stream)
    _, registry = registry_for(load_settings({"log": source, "signers": signers}).settings, source)
    opened = open_source(source)
    try:
        found = find_surroundings(opened, place)
    finally:
        opened.close()
    explanations = [explain_entry(here, found.before, found.after, registry) for here in found.here]
    differences: list[Difference] | None = None
    if against is not None:
        copy = open_source(against)
        try:
            theirs = find_surroundings(copy, place).here[0]
        finally:
            copy.close()
        differences = diff_bodies(found.here[0].body, theirs.body)
    sound = len(explanations) == 1 and explanations[0].is_sound and not differences
    emit(
        outputs,
        {
            "text": lambda: _explanation_text(explanations, differences, against),
            "json": lambda: json_text(_explanation_members(explanations, differences)),
        },
    )
    unknown = any(check.holds is None and check.name.startswith("signature") for check in explanations[0].checks)
    return Exit.BAD if not sound else Exit.INCONCLUSIVE if unknown else Exit.GOOD


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
