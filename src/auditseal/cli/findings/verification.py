"""A verification's findings for CI systems: each with its entry for a place, and the file where the source is one.

Source: `docs/spec/report.md`, `docs/cli.md`, "Output".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditseal.cli.exits import exit_of_report
from auditseal.cli.findings.finding import FindingsReport, Level, NotChecked, PlacedFinding, RuleText
from auditseal.cli.printable import printable
from auditseal.core.report import Severity

if TYPE_CHECKING:
    from auditseal.core.report import Finding, Report

_LEVELS: Final = {Severity.ERROR: Level.ERROR, Severity.GAP: Level.WARNING, Severity.NOTE: Level.NOTE}
_PAGE: Final = "docs/spec/report.md"


def findings_report(report: Report, file: str | None) -> FindingsReport:
    """The report in the form that findings of all commands share.

    Args:
        report: of a verification.
        file: the file that was verified; None where it was a database.
    """
    unreachable = [NotChecked(what="signatures", why=report.unreachable)] if report.unreachable else []
    return FindingsReport(
        command="verify",
        sources=[] if file is None else [file],
        checked=report.checked,
        findings=[_placed(finding, file) for finding in report.findings],
        not_checked=unreachable,
        outcome=exit_of_report(report),
    )


def _placed(finding: Finding, file: str | None) -> PlacedFinding:
    sides = f" (expected {finding.expected}, found {finding.actual})" if finding.expected and finding.actual else ""
    return PlacedFinding(
        rule=RuleText(id=str(finding.code), title=str(finding.code).replace("-", " "), page=_PAGE),
        severity=str(finding.severity),
        level=_LEVELS[finding.severity],
        message=printable(finding.message + sides),
        source=file,
        subject=printable(place_of(finding)),
    )


def place_of(finding: Finding) -> str:
    """`stream#seq`, or as much of it as is meant."""
    place = finding.stream or ""
    if finding.seq is not None:
        place += f"#{finding.seq}"
    if finding.last_seq is not None and finding.last_seq != finding.seq:
        place += f" to #{finding.last_seq}"
    return place
