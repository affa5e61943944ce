"""How a reconciliation's report looks: as text, as JSON, in the forms of CI systems and as metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from auditseal.adapters.whole_file import write_whole
from auditseal.cli.exits import Exit
from auditseal.cli.findings.ci import as_github, as_junit, as_sarif
from auditseal.cli.findings.finding import FindingsReport, Level, NotChecked, PlacedFinding, RuleText
from auditseal.cli.findings.plain import as_markdown
from auditseal.cli.options import Output, emit, json_text, paint
from auditseal.cli.printable import printable
from auditseal.cli.show import json_line
from auditseal.core.account import JOINED, AccountCode
from auditseal.core.report import Severity, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from auditseal.core.account import AccountFinding, AccountReport

_MOST_FINDINGS = 50
_STYLES = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.INCONCLUSIVE: "yellow"}
_EXITS = {Verdict.VALID: Exit.GOOD, Verdict.INVALID: Exit.BAD, Verdict.INCONCLUSIVE: Exit.INCONCLUSIVE}


def exit_of_account(report: AccountReport) -> Exit:
    """The code of a reconciliation."""
    return _EXITS[report.verdict]


def emit_account(outputs: Sequence[Output], report: AccountReport) -> None:
    """Writes a report in each form that was asked for.

    Raises:
        StoreError: a file cannot be written.
    """
    emit(
        outputs,
        {
            "text": lambda: account_text(report),
            "json": lambda: json_text(account_members(report)),
            "jsonl": lambda: account_lines(report),
            "sarif": lambda: as_sarif(placed(report)),
            "junit": lambda: as_junit(placed(report)),
            "github": lambda: as_github(placed(report)),
            "md": lambda: as_markdown(placed(report)),
        },
    )


def account_members(report: AccountReport) -> dict[str, Any]:
    """A report as JSON members."""
    return {
        "schema_version": 1,
        "source": report.source,
        "trail": report.trail,
        "trail_proof": str(report.trail_proof),
        "since": report.since,
        "until": report.until,
        "verdict": str(report.verdict),
        "exit_code": int(exit_of_account(report)),
        "checked": dict(report.checked),
        "accounted": [
            {
                "stream": part.stream,
                "first_seq": part.first_seq,
                "last_seq": part.last_seq,
                "head": None if part.head is None else part.head.hex(),
            }
            for part in report.accounted
        ],
        "findings": [finding_members(finding) for finding in report.findings],
    }


def finding_members(finding: AccountFinding) -> dict[str, Any]:
    """A finding as JSON members; what does not apply is null."""
    return {
        "code": str(finding.code),
        "kind": None if finding.kind is None else str(finding.kind),
        "severity": str(finding.severity),
        "stream": finding.stream,
        "seq": finding.seq,
        "last_seq": finding.last_seq,
        "entry_id": finding.entry_id,
        "signer": finding.signer,
        "key_arn": finding.key_arn,
        "principal": finding.principal,
        "request_id": finding.request_id,
        "event_id": finding.event_id,
        "at": finding.at,
        "expected": finding.expected,
        "actual": finding.actual,
        "count": finding.count,
        "details": list(finding.details),
        "message": finding.message,
    }


def account_lines(report: AccountReport) -> str:
    """A line of JSON for each finding, and one with the rest of the report."""
    members = account_members(report)
    findings = [json_line({"schema_version": 1, **finding}) for finding in members.pop("findings")]
    return "".join([*findings, json_line(members)])


def placed(report: AccountReport) -> FindingsReport:
    """A report for CI systems: errors and notes as findings, and what is unproven as not checked."""
    levels = {Severity.ERROR: Level.ERROR, Severity.NOTE: Level.NOTE}
    return FindingsReport(
        command="reconcile",
        sources=[],
        checked={"signatures": report.checked.get(JOINED, 0), "records": report.checked.get("records", 0)},
        findings=[
            PlacedFinding(
                rule=RuleText(id=str(finding.code), title=TITLES[finding.code], page="docs/spec/reconciliation.md"),
                severity=str(finding.kind or finding.severity),
                level=levels[finding.severity],
                message=" ".join([printable(finding.message), *_facts(finding)]),
                subject=_subject(finding),
            )
            for finding in report.findings
            if finding.severity in levels
        ],
        not_checked=[
            NotChecked(
                what=" ".join(filter(None, [str(finding.code), finding.kind, _subject(finding)])),
                why=printable(finding.message),
            )
            for finding in report.findings
            if finding.severity is Severity.GAP
        ],
    )


TITLES = {
    AccountCode.UNACCOUNTED_SIGNATURE: "the key signed something that the log does not hold",
    AccountCode.UNWITNESSED_SIGNATURE: "the log holds a signature for which AWS has no call",
    AccountCode.UNEXPECTED_PRINCIPAL: "somebody who is not expected signed",
    AccountCode.UNEXPECTED_ALGORITHM: "a key signed with another algorithm",
    AccountCode.UNEXPECTED_REGION: "a key signed in another Region",
    AccountCode.KEY_CHANGED: "a key or a trail was changed",
    AccountCode.TRAIL_TAMPERED: "the trail is not what CloudTrail delivered",
    AccountCode.TRAIL_BLIND: "the trail cannot have seen it",
    AccountCode.LATE_SIGNATURE: "signatures were made long after their entries",
    AccountCode.NOTHING_TO_CHECK: "nothing was reconciled",
}


def _subject(finding: AccountFinding) -> str:
    return "" if finding.seq is None else printable(f"{finding.stream} #{finding.seq}")


def _facts(finding: AccountFinding) -> list[str]:
    named = (("at", finding.at), ("by", finding.principal), ("request", finding.request_id))
    times = [f"({finding.count:,} times)"] if finding.count > 1 else []
    return times + [printable(f"[{name} {value}]") for name, value in named if value]


def account_text(report: AccountReport) -> str:
    """A report for a person."""
    checked = report.checked
    read = f"{checked.get('records', 0):,} records in {checked.get('files', 0):,} files"
    read += f", {checked.get('digests', 0):,} digests verified"
    lines = [
        f"Log     {printable(report.source)}",
        f"Trail   {printable(report.trail)}   {read}",
        f"Window  {report.since or 'the beginning'} to {report.until}",
        f"  {checked.get(JOINED, 0):,} signatures are accounted for by a call in AWS",
    ]
    for name, said in (("unsettled", "are too young to be judged"), ("outside", "lie outside of the window")):
        if checked.get(name):
            lines.append(f"  {checked[name]:,} {said}")
    lines += [
        f"  accounted   {printable(part.stream)}   {part.first_seq:,} to {part.last_seq:,}"
        for part in report.accounted[:_MOST_FINDINGS]
    ]
    faults = [finding for finding in report.findings if finding.severity is not Severity.NOTE]
    notes = [finding for finding in report.findings if finding.severity is Severity.NOTE]
    verdict = paint(report.verdict.upper(), _STYLES[report.verdict])
    lines.append(verdict if not faults else f"{verdict}: {len(faults)} finding{'' if len(faults) == 1 else 's'}")
    lines += [line for finding in faults[:_MOST_FINDINGS] for line in _finding_lines(finding)]
    if len(faults) > _MOST_FINDINGS:
        lines.append(f"  … and {len(faults) - _MOST_FINDINGS:,} more: -o json lists them all")
    if notes:
        lines += ["To know:", *(line for finding in notes[:_MOST_FINDINGS] for line in _finding_lines(finding))]
    return "\n".join(lines)


def _finding_lines(finding: AccountFinding) -> list[str]:
    place = "" if finding.seq is None else f"  {printable(finding.stream or '')} #{finding.seq:,}"
    times = f"  ({finding.count:,} times)" if finding.count > 1 else ""
    lines = [f"  {finding.code}{place}  {printable(finding.message)}{times}"]
    facts = [
        printable(f"{name} {value}")
        for name, value in (
            ("at", finding.at),
            ("by", finding.principal),
            ("request", finding.request_id),
            ("event", finding.event_id),
        )
        if value
    ]
    if facts:
        lines.append(f"      {', '.join(facts)}")
    if finding.expected and finding.actual:
        lines.append(printable(f"      expected {finding.expected}, found {finding.actual}"))
    return lines + [f"      {printable(detail)}" for detail in finding.details]


def account_metrics(report: AccountReport, *, at: float) -> str:
    """A report in Prometheus's text format, for a collector of text files.

    Args:
        report: of a reconciliation that came to its end.
        at: when, in seconds since the epoch; an old one says that reconciliations fail.
    """
    counts = {(code, severity): 0 for code in AccountCode for severity in Severity}
    for finding in report.findings:
        counts[finding.code, finding.severity] += finding.count
    lines = [
        "# HELP auditseal_reconcile_findings Findings of the last reconciliation.",
        "# TYPE auditseal_reconcile_findings gauge",
    ]
    lines += [
        f'auditseal_reconcile_findings{{code="{code}",severity="{severity}"}} {count}'
        for (code, severity), count in counts.items()
    ]
    lines += [
        "# HELP auditseal_reconcile_checked What the last reconciliation checked.",
        "# TYPE auditseal_reconcile_checked gauge",
    ]
    lines += [f'auditseal_reconcile_checked{{what="{name}"}} {count}' for name, count in report.checked.items()]
    lines += [
        "# HELP auditseal_reconcile_exit_code 0 valid, 1 invalid, 3 inconclusive.",
        "# TYPE auditseal_reconcile_exit_code gauge",
        f"auditseal_reconcile_exit_code {int(exit_of_account(report))}",
        "# HELP auditseal_reconcile_last_run_timestamp_seconds When the last reconciliation came to its end.",
        "# TYPE auditseal_reconcile_last_run_timestamp_seconds gauge",
        f"auditseal_reconcile_last_run_timestamp_seconds {at:.0f}",
    ]
    return "\n".join(lines) + "\n"


def write_metrics(path: Path, report: AccountReport) -> None:
    """Replaces the file at once, so that a collector never reads half of it.

    Raises:
        NotFoundError, ConfigError, StoreError: it cannot be written.
    """
    write_whole(path, account_metrics(report, at=time.time()).encode())
