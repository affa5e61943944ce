"""Findings for CI systems: SARIF, JUnit, GitHub's workflow commands.

Source: SARIF 2.1.0 (OASIS); the JUnit XML that Jenkins, GitLab and GitHub read; GitHub Actions, "Workflow commands".
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from auditseal.cli.findings.finding import FindingsReport, Level, PlacedFinding
from auditseal.cli.findings.plain import summary
from auditseal.cli.options import json_text

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_COMMANDS: Final = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def as_sarif(report: FindingsReport) -> str:
    """A SARIF log of one run."""
    from importlib.metadata import version

    rules = {finding.rule.id: finding.rule for finding in report.findings}
    driver = {
        "name": "auditseal",
        "version": version("auditseal"),
        "rules": [
            {
                "id": rule.id,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": rule.why or rule.title},
                **({"help": {"text": f"See {rule.page}"}} if rule.page else {}),
            }
            for rule in rules.values()
        ],
    }
    notes = [
        {"level": "warning", "message": {"text": f"not checked: {item.what}: {item.why}"}}
        for item in report.not_checked
    ]
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "invocations": [
            {"executionSuccessful": True, "exitCode": int(report.exit), "toolExecutionNotifications": notes}
        ],
        "results": [_result(finding, list(rules)) for finding in report.findings],
    }
    return json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _result(finding: PlacedFinding, rules: list[str]) -> dict[str, Any]:
    text = f"{finding.subject}: {finding.message}" if finding.subject else finding.message
    made: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": rules.index(finding.rule.id),
        "level": str(finding.level),
        "message": {"text": f"{text}. Fix: {finding.fix}" if finding.fix else text},
        "properties": {"severity": finding.severity},
    }
    if finding.source is not None:
        location: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.source)}}
        if finding.line is not None:
            location["region"] = {"startLine": finding.line, "startColumn": finding.column or 1}
        made["locations"] = [{"physicalLocation": location}]
    return made


def as_junit(report: FindingsReport) -> str:
    """A test suite: a case for each finding, and one for each file without any; what was not checked is skipped."""
    clean = [source for source in report.sources if all(finding.source != source for finding in report.findings)]
    failures = sum(finding.level is Level.ERROR for finding in report.findings)
    suite = ET.Element(
        "testsuite",
        name=f"auditseal {report.command}",
        tests=str(len(report.findings) + len(clean) + len(report.not_checked)),
        failures=str(failures),
        errors="0",
        skipped=str(len(report.not_checked)),
    )
    for finding in report.findings:
        case = ET.SubElement(suite, "testcase", classname=finding.source or report.command, name=_name(finding))
        if finding.level is Level.ERROR:
            failure = ET.SubElement(case, "failure", type=finding.rule.id, message=finding.message)
            failure.text = f"{finding.where} {finding.severity}\n{finding.message}\n{finding.fix or ''}"
        else:
            ET.SubElement(case, "system-out").text = f"{finding.where} {finding.severity}: {finding.message}"
    for source in clean:
        ET.SubElement(suite, "testcase", classname=source, name="no findings")
    for item in report.not_checked:
        case = ET.SubElement(suite, "testcase", classname=item.source or report.command, name=item.what)
        ET.SubElement(case, "skipped", message=item.why)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


def _name(finding: PlacedFinding) -> str:
    return f"{finding.rule.id} {finding.subject} line {finding.line or '-'}".replace("  ", " ")


def as_github(report: FindingsReport) -> str:
    """Annotations on the lines, and a notice that sums up."""
    lines = [_annotation(finding, report) for finding in report.findings]
    for item in report.not_checked:
        place = [("file", item.source), ("line", item.line)]
        lines.append(_command("warning", place, f"not checked: {item.what}: {item.why}"))
    lines.append(_command("notice", [], f"auditseal {report.command}: {summary(report)} [exit {int(report.exit)}]"))
    return "\n".join(lines)


def _annotation(finding: PlacedFinding, report: FindingsReport) -> str:
    title = f"{finding.rule.id} ({finding.severity})"
    place = [("file", finding.source), ("line", finding.line), ("col", finding.column), ("title", title)]
    subject = f"{finding.subject}: " if finding.subject else ""
    fix = f". Fix: {finding.fix}" if finding.fix else ""
    end = f" [exit {int(report.exit)}]" if finding.level is Level.ERROR else ""
    return _command(_COMMANDS[finding.level], place, f"{subject}{finding.message}{fix}{end}")


def _command(name: str, properties: Sequence[tuple[str, object]], message: str) -> str:
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties if value is not None)
    return f"::{name}{' ' if given else ''}{given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
