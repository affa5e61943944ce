"""How a reconciliation's report looks, as text, as JSON and as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditseal.cli.exits import Exit
from auditseal.cli.options import paint
from auditseal.core.account import JOINED, AccountCode
from auditseal.core.report import Severity, Verdict

if TYPE_CHECKING:
    from auditseal.core.account import AccountFinding, AccountReport

_MOST_FINDINGS = 50
_STYLES = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.INCONCLUSIVE: "yellow"}
_EXITS = {Verdict.VALID: Exit.GOOD, Verdict.INVALID: Exit.BAD, Verdict.INCONCLUSIVE: Exit.INCONCLUSIVE}


def exit_of_account(report: AccountReport) -> Exit:
    """The code of a reconciliation."""
    return _EXITS[report.verdict]


def account_members(report: AccountReport) -> dict[str, Any]:
    """A report as JSON members."""
    return {
        "schema_version": 1,
        "source": report.source,
        "trail": report.trail,
        "since": report.since,
        "until": report.until,
        "verdict": str(report.verdict),
        "exit_code": int(exit_of_account(report)),
        "checked": dict(report.checked),
        "accounted": [
            {"stream": part.stream, "first_seq": part.first_seq, "last_seq": part.last_seq} for part in report.accounted
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


def account_text(report: AccountReport) -> str:
    """A report for a person."""
    checked = report.checked
    read = f"{checked.get('records', 0):,} records in {checked.get('files', 0):,} files"
    read += f", {checked.get('digests', 0):,} digests verified"
    lines = [
        f"Log     {report.source}",
        f"Trail   {report.trail}   {read}",
        f"Window  {report.since or 'the beginning'} to {report.until}",
        f"  {checked.get(JOINED, 0):,} signatures are accounted for by a call in AWS",
    ]
    for name, said in (("unsettled", "are too young to be judged"), ("outside", "lie outside of the window")):
        if checked.get(name):
            lines.append(f"  {checked[name]:,} {said}")
    lines += [
        f"  accounted   {part.stream}   {part.first_seq:,} to {part.last_seq:,}"
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
    place = "" if finding.seq is None else f"  {finding.stream} #{finding.seq:,}"
    times = f"  ({finding.count:,} times)" if finding.count > 1 else ""
    lines = [f"  {finding.code}{place}  {finding.message}{times}"]
    facts = [
        f"{name} {value}"
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
        lines.append(f"      expected {finding.expected}, found {finding.actual}")
    return lines + [f"      {detail}" for detail in finding.details]


def account_metrics(report: AccountReport) -> str:
    """A report in Prometheus's text format, for a collector of text files."""
    counts = dict.fromkeys(AccountCode, 0)
    for finding in report.findings:
        counts[finding.code] += finding.count
    lines = ["# TYPE auditseal_reconcile_findings gauge"]
    lines += [f'auditseal_reconcile_findings{{code="{code}"}} {count}' for code, count in counts.items()]
    lines.append("# TYPE auditseal_reconcile_checked gauge")
    lines += [f'auditseal_reconcile_checked{{what="{name}"}} {count}' for name, count in report.checked.items()]
    lines.append("# TYPE auditseal_reconcile_exit_code gauge")
    lines.append(f"auditseal_reconcile_exit_code {int(exit_of_account(report))}")
    return "\n".join(lines) + "\n"
