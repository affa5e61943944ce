"""Checklists: one line for each item, each pass, fail or not checked, with the fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from auditseal.access.checked import Item, Status
from auditseal.cli.findings.finding import FindingsReport, Level, NotChecked, PlacedFinding, RuleText
from auditseal.cli.findings.output import renderers
from auditseal.cli.options import Output, emit, json_text, paint

_STYLES: Final = {Status.PASS: "green", Status.FAIL: "red", Status.NOT_CHECKED: "yellow"}


def emit_checklist(outputs: Sequence[Output], command: str, items: Sequence[Item]) -> int:
    """Writes a checklist in each form; the exit code: 1 with a failure, 3 with something not checked.

    Raises:
        StoreError: a file cannot be written.
    """
    report = checklist_report(command, items)
    emit(
        outputs,
        {
            **renderers(lambda: report),
            "text": lambda: checklist_text(items),
            "json": lambda: json_text(checklist_members(report, items)),
        },
    )
    return int(report.exit)


def checklist_report(command: str, items: Sequence[Item]) -> FindingsReport:
    """What failed, as findings; what passed only counts."""
    failed = [item for item in items if item.status is Status.FAIL]
    return FindingsReport(
        command=command,
        sources=[],
        checked={"items": sum(item.status is not Status.NOT_CHECKED for item in items)},
        findings=[
            PlacedFinding(
                rule=RuleText(id=item.id, title=item.title),
                severity="fail",
                level=Level.ERROR,
                message=f"not so: {item.title}: {item.detail}",
                fix=item.fix,
            )
            for item in failed
        ],
        not_checked=[
            NotChecked(what=item.title, why=item.detail) for item in items if item.status is Status.NOT_CHECKED
        ],
    )


def checklist_text(items: Sequence[Item]) -> str:
    """One line an item, the fix below what failed, and how many failed."""
    width = max((len(item.id) for item in items), default=0)
    lines = []
    for item in items:
        status = paint(f"{item.status:<{len(Status.NOT_CHECKED)}}", _STYLES[item.status])
        lines.append(f"  {item.id:<{width}}  {status}  {item.title}: {item.detail}")
        if item.fix and item.status is Status.FAIL:
            lines.append(f"  {'':<{width}}  fix: {item.fix}")
    return "\n".join([*lines, outcome(items)])


def outcome(items: Sequence[Item]) -> str:
    """How many failed and how many were not checked."""
    counts = {status: sum(item.status is status for item in items) for status in Status}
    parts = [f"{counts[Status.FAIL]} failed"] if counts[Status.FAIL] else []
    parts += [f"{counts[Status.NOT_CHECKED]} not checked"] if counts[Status.NOT_CHECKED] else []
    return ", ".join(parts) or f"all {counts[Status.PASS]} passed"


def checklist_members(report: FindingsReport, items: Sequence[Item]) -> dict[str, Any]:
    """A checklist as JSON members."""
    return {
        "schema_version": 1,
        "command": report.command,
        "verdict": report.verdict,
        "exit_code": int(report.exit),
        "checked": dict(report.checked),
        "items": [
            {"id": item.id, "title": item.title, "status": item.status.lower(), "detail": item.detail, "fix": item.fix}
            for item in items
        ],
    }
