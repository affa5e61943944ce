"""Findings for a person and for programs: text, JSON, Markdown."""

from __future__ import annotations

from collections import Counter

from auditseal.cli.findings.finding import FindingsReport, Level, PlacedFinding
from auditseal.cli.options import json_text, paint

_STYLES = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "dim"}
_ONE = {
    "checks": "check",
    "entries": "entry",
    "files": "file",
    "items": "item",
    "policies": "policy",
    "signatures": "signature",
    "streams": "stream",
    "trails": "trail",
}


def as_text(report: FindingsReport) -> str:
    """One finding a paragraph, what was not checked, and a line that sums up."""
    lines = []
    for finding in report.findings:
        severity = paint(finding.severity, _STYLES[finding.level])
        subject = f"{finding.subject}: " if finding.subject else ""
        lines.append(f"{finding.where or '-'}  {severity}  {finding.rule.id}  {subject}{finding.message}")
        if finding.fix:
            lines.append(f"    fix: {finding.fix}")
    lines += [f"not checked: {item.what}: {item.why}" for item in report.not_checked]
    return "\n".join([*lines, summary(report)])


def summary(report: FindingsReport) -> str:
    """How many findings of which severity, in how much."""
    looked = ", ".join(
        f"{count} {_ONE.get(kind, kind) if count == 1 else kind}" for kind, count in report.checked.items() if count
    )
    if not any(report.checked.values()):
        return "nothing was checked"
    counts = Counter(finding.severity for finding in report.findings)
    if not counts:
        said = f"no findings in {looked}"
    else:
        total = sum(counts.values())
        parts = ", ".join(f"{count} {severity}" for severity, count in counts.items())
        said = f"{total} finding{'' if total == 1 else 's'} ({parts}) in {looked}"
    return said + (f"; {len(report.not_checked)} not checked" if report.not_checked else "")


def as_json(report: FindingsReport) -> str:
    """The whole report; see `docs/cli.md`."""
    return json_text(
        {
            "schema_version": 1,
            "command": report.command,
            "verdict": report.verdict,
            "exit_code": int(report.exit),
            "checked": dict(report.checked),
            "findings": [_members(finding) for finding in report.findings],
            "not_checked": [
                {"what": item.what, "why": item.why, "source": item.source, "line": item.line}
                for item in report.not_checked
            ],
        }
    )


def _members(finding: PlacedFinding) -> dict[str, object]:
    return {
        "rule": finding.rule.id,
        "severity": finding.severity,
        "level": str(finding.level),
        "message": finding.message,
        "source": finding.source,
        "line": finding.line,
        "column": finding.column,
        "subject": finding.subject,
        "fix": finding.fix,
        "page": finding.rule.page,
    }


def as_markdown(report: FindingsReport) -> str:
    """A table, for a pull request or a job summary."""
    lines = [f"**auditseal {report.command}**: {summary(report)}"]
    if report.findings:
        lines += ["", "| severity | rule | where | what |", "|---|---|---|---|"]
    for finding in report.findings:
        where = f"`{finding.where}`" if finding.where else ""
        what = f"{finding.subject}: {finding.message}" if finding.subject else finding.message
        lines.append(f"| {finding.severity} | {finding.rule.id} | {_cell(where)} | {_cell(what)} |")
    lines += ["", *(f"- not checked: {_cell(item.what)}: {_cell(item.why)}" for item in report.not_checked)]
    return "\n".join(lines).rstrip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
