"""How a verification's report looks, as text and as JSON.

Source: `docs/spec/report.md`.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from auditseal.cli.exits import exit_of_report
from auditseal.cli.options import paint
from auditseal.cli.printable import printable
from auditseal.core import report_members as members
from auditseal.core.grade import Grade, Span, union
from auditseal.core.report import Code, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.report import Finding, Report, StreamSummary

_MOST_FINDINGS = 50
_STYLES = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.INCONCLUSIVE: "yellow"}
_ONE = {"streams": "stream", "entries": "entry", "signatures": "signature", "checkpoints": "checkpoint"}
_DEVELOPMENT = "development key: proves little"


def report_members(report: Report) -> dict[str, Any]:
    """A report as JSON members, with the exit code it leads to."""
    return members.report_members(report) | {"exit_code": int(exit_of_report(report))}


def report_text(report: Report, signers: str) -> str:
    """A report for a person: what was asked, what is proven, what is not."""
    lines = [line for stream in report.streams for line in _stream_lines(stream, report.findings)]
    lines.append(f"Verified against {signers}: {_checked(report)}")
    if report.not_checked:
        grades = ", ".join(f"{grade} {grade.name.lower()}" for grade in report.not_checked)
        lines.append(f"Not checked: {grades}")
    if report.unreachable:
        lines.append(f"Not checked: {printable(report.unreachable)}")
    verdict = paint(report.verdict.upper(), _STYLES[report.verdict])
    notes = [finding for finding in report.findings if finding.severity is Severity.NOTE]
    faults = [finding for finding in report.findings if finding.severity is not Severity.NOTE]
    if report.verdict is Verdict.VALID:
        lines.append(verdict)
    else:
        lines.append(f"{verdict}: {len(faults)} finding{'' if len(faults) == 1 else 's'}")
    lines += _finding_lines(faults, len(report.streams))
    if faults and report.verdict is Verdict.INVALID and report.streams:
        place = next((finding for finding in faults if _can_be_explained(finding)), None)
        if place is not None:
            command = shlex.join(["auditseal", "explain", report.source, f"{place.stream}#{place.seq}"])
            lines.append(f"To see more: {command}")
    if notes:
        lines += ["To know:", *(f"  {finding.code}  {printable(finding.message)}" for finding in notes)]
    return "\n".join(lines)


def _can_be_explained(finding: Finding) -> bool:
    """Whether there is an entry to explain, under a name that can be pasted into a shell."""
    named = finding.stream is not None and finding.stream.isprintable()
    return named and finding.seq is not None and finding.code not in (Code.MISSING_ENTRY, Code.TRUNCATED)


def _checked(report: Report) -> str:
    counts = report.checked.items()
    return ", ".join(f"{count:,} {_ONE.get(kind, kind) if count == 1 else kind}" for kind, count in counts)


def _stream_lines(stream: StreamSummary, findings: Sequence[Finding]) -> list[str]:
    places = f"entries {stream.first_seq:,} to {stream.last_seq:,}"
    lines = [
        f"Stream {printable(stream.stream)}  {places}   {_minute(stream.first_time)} to {_minute(stream.last_time)}"
    ]
    names = [printable(f"{part.signer} ({part.algorithm})") for part in stream.signed_by]
    width = max(map(len, names), default=0)
    shown = list(zip(names, stream.signed_by, strict=True))
    for name, part in shown[:_MOST_FINDINGS]:
        mark = "   by checkpoint" if part.by_checkpoint else ""
        mark += f"   {_DEVELOPMENT}" if part.development else ""
        lines.append(f"  signed by   {name:<{width}}   {part.first_seq:,} to {part.last_seq:,}{mark}")
    if len(shown) > _MOST_FINDINGS:
        lines.append(f"  signed by   … and {len(shown) - _MOST_FINDINGS} more ranges")
    proven = _proven(stream, findings)
    new = " that are new" if stream.resumed_at else ""
    many = "all" if proven == stream.entries else "only"
    lines.append(f"  proven      G1 signed, {many} {proven:,} of {stream.entries:,}{new}")
    for grade in (Grade.COSIGNED, Grade.RECONCILED, Grade.ANCHORED):
        parts = [f"{each.first_seq:,} to {each.last_seq:,}" for each in stream.grades if each.grade is grade]
        if parts:
            lines.append(f"              {grade} {grade.name.lower()}, {', '.join(parts[:_MOST_FINDINGS])}")
    for anchor in stream.anchors:
        when = f"before {_minute(anchor.time)}" if anchor.time else "no time that can be believed"
        lines.append(f"  anchored    0 to {anchor.size - 1:,}   {when}   {anchor.where}")
    if stream.checkpoint:
        due = f"; the next one is promised by {_minute(stream.next_by)}" if stream.next_by else ""
        lines.append(f"  checkpoint  of size {stream.checkpoint:,}{due}")
    if stream.resumed_at:
        lines.append(f"  remembered  0 to {stream.resumed_at - 1:,}, proven before; --full verifies them again")
    return lines


def _proven(stream: StreamSummary, findings: Sequence[Finding]) -> int:
    """How many entries are signed and without a fault: a good signature over a hash proves no body that has another."""
    wrong = [
        (finding.seq, finding.last_seq + 1)
        for finding in findings
        if finding.severity is Severity.ERROR and finding.stream == stream.stream
        if finding.seq is not None and finding.last_seq is not None
    ]
    signed = [(part.first_seq, part.last_seq + 1) for part in stream.signed_by]
    both = _size(signed) + _size(wrong) - _size([*signed, *wrong])
    return max(0, stream.signed - both)


def _size(spans: list[Span]) -> int:
    """How many seqs are in any of the stretches."""
    return sum(end - first for first, end in union(spans))


def _minute(time: str) -> str:
    return f"{time[:19].replace('T', ' ')}Z" if time else "(no time)"


def _finding_lines(findings: list[Finding], streams: int) -> list[str]:
    rows = []
    for finding in findings[:_MOST_FINDINGS]:
        place = "" if finding.seq is None else f"#{finding.seq:,}"
        if finding.last_seq is not None and finding.last_seq != finding.seq:
            place += f" to #{finding.last_seq:,}"
        if streams != 1 and finding.stream:
            place = printable(f"{finding.stream} {place}".rstrip())
        message = finding.message
        if finding.expected and finding.actual:
            message += f" (expected {_short(finding.expected)}, found {_short(finding.actual)})"
        rows.append((place, str(finding.code), printable(message)))
    widths = [max(len(row[index]) for row in rows) for index in range(2)] if rows else []
    lines = [f"  {place:<{widths[0]}}  {code:<{widths[1]}}  {message}" for place, code, message in rows]
    if len(findings) > _MOST_FINDINGS:
        lines.append(f"  … and {len(findings) - _MOST_FINDINGS:,} more: -o json lists them all")
    return lines


def _short(text: str) -> str:
    """A hash by its ends."""
    digits = 64
    return f"{text[:8]}…{text[-4:]}" if len(text) == digits and " " not in text else text
