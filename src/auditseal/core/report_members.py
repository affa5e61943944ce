"""A verification's report as JSON members.

Source: `docs/spec/report.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditseal.core.report import Finding, Report, StreamSummary


def report_members(report: Report) -> dict[str, Any]:
    """A report as JSON members."""
    return {
        "schema_version": 1,
        "source": report.source,
        "verdict": str(report.verdict),
        "checked": dict(report.checked),
        "unreachable": report.unreachable,
        "not_checked": [str(grade) for grade in report.not_checked],
        "streams": [_stream_members(stream) for stream in report.streams],
        "findings": [_finding_members(finding) for finding in report.findings],
    }


def _stream_members(stream: StreamSummary) -> dict[str, Any]:
    return {
        "stream": stream.stream,
        "entries": stream.entries,
        "signed": stream.signed,
        "first_seq": stream.first_seq,
        "last_seq": stream.last_seq,
        "first_time": stream.first_time,
        "last_time": stream.last_time,
        "head": stream.head.hex(),
        "signed_by": [
            {
                "signer": part.signer,
                "algorithm": part.algorithm,
                "first_seq": part.first_seq,
                "last_seq": part.last_seq,
                "development": part.development,
                "by_checkpoint": part.by_checkpoint,
            }
            for part in stream.signed_by
        ],
        "resumed_at": stream.resumed_at,
        "checkpoint": stream.checkpoint,
        "next_by": stream.next_by,
        "grades": [
            {"grade": str(each.grade), "first_seq": each.first_seq, "last_seq": each.last_seq} for each in stream.grades
        ],
        "anchors": [{"where": each.where, "size": each.size, "time": each.time} for each in stream.anchors],
    }


def _finding_members(finding: Finding) -> dict[str, Any]:
    return {
        "code": str(finding.code),
        "severity": str(finding.severity),
        "stream": finding.stream,
        "seq": finding.seq,
        "last_seq": finding.last_seq,
        "entry_id": finding.entry_id,
        "expected": finding.expected,
        "actual": finding.actual,
        "message": finding.message,
    }
