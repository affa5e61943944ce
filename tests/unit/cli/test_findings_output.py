"""Findings in each form: valid for its reader, whatever stands in the texts."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

from auditseal.cli.exits import Exit
from auditseal.cli.findings.ci import as_github, as_junit, as_sarif
from auditseal.cli.findings.finding import FindingsReport, Level, NotChecked, PlacedFinding, RuleText
from auditseal.cli.findings.plain import as_json, as_markdown, as_text

NASTY = 'a <b> & "c" | d: 50%,\nnext'
RULE = RuleText(id="some-rule", title="something", why="because", page="docs/rules/some-rule.md")


def finding(level: Level = Level.ERROR, **more: Any) -> PlacedFinding:
    given = {"message": NASTY, "source": "dir a/p,q.json", "line": 3, "column": 7, "subject": "S", "fix": "do this"}
    return PlacedFinding(rule=RULE, severity="high", level=level, **(given | more))


def report(*findings: PlacedFinding, not_checked: tuple[NotChecked, ...] = (), checked: int = 1) -> FindingsReport:
    return FindingsReport(
        command="policy lint",
        sources=["dir a/p,q.json", "clean.json"],
        checked={"policies": checked, "trails": 0},
        findings=findings,
        not_checked=not_checked,
    )


MISSING = NotChecked(what="a policy", why="it is elsewhere", source="x.tf", line=2)


def test_the_exit_code_follows_from_errors_and_from_what_was_not_checked():
    assert report(finding()).exit is Exit.BAD
    assert report(finding(), not_checked=(MISSING,)).exit is Exit.BAD
    assert report(finding(Level.WARNING)).exit is Exit.GOOD
    assert report(not_checked=(MISSING,)).exit is Exit.INCONCLUSIVE
    assert report(checked=0).exit is Exit.INCONCLUSIVE
    assert [report(finding()).verdict, report().verdict, report(checked=0).verdict] == [
        "invalid",
        "valid",
        "inconclusive",
    ]


def test_sarif_has_place_level_and_rule():
    run = json.loads(as_sarif(report(finding(), finding(Level.NOTE, source=None, line=None), not_checked=(MISSING,))))
    assert run["version"] == "2.1.0"
    first, second = run["runs"][0]["results"]
    location = first["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "dir%20a/p%2Cq.json"
    assert location["region"] == {"startLine": 3, "startColumn": 7}
    assert (first["level"], second["level"]) == ("error", "note")
    assert "locations" not in second
    notes = run["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert "it is elsewhere" in notes[0]["message"]["text"]


def test_junit_is_xml_with_failures_clean_files_and_skips():
    suite = ET.fromstring(as_junit(report(finding(), finding(Level.WARNING), not_checked=(MISSING,))))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    assert len(suite.findall("testcase")) == 4
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "a <b> &" in (failure.get("message") or "")
    assert suite.findall("testcase")[2].get("classname") == "clean.json"


def test_github_commands_are_one_line_each_and_escaped():
    lines = as_github(report(finding(), finding(Level.NOTE), not_checked=(MISSING,))).split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("::error file=dir a/p%2Cq.json,line=3,col=7,title=some-rule (high)::S: a <b>")
    assert "50%25,%0Anext" in lines[0]
    assert lines[0].endswith("do this [exit 1]")
    assert lines[1].startswith("::notice file=")
    assert lines[2] == "::warning file=x.tf,line=2::not checked: a policy: it is elsewhere"
    assert lines[3].endswith("1 not checked [exit 1]")


def test_markdown_keeps_its_table():
    lines = as_markdown(report(finding(), not_checked=(MISSING,))).splitlines()
    assert lines[0] == "**auditseal policy lint**: 1 finding (1 high) in 1 policy; 1 not checked"
    assert lines[4].count("|") - lines[4].count("\\|") == 5
    assert lines[-1] == "- not checked: a policy: it is elsewhere"


def test_text_and_json_hold_everything():
    text = as_text(report(finding(), not_checked=(MISSING,)))
    assert "dir a/p,q.json:3:7  high  some-rule  S: " in text
    members = json.loads(as_json(report(finding(), not_checked=(MISSING,))))
    assert members["verdict"] == "invalid"
    assert members["exit_code"] == 1
    assert members["findings"][0] == {
        "rule": "some-rule",
        "severity": "high",
        "level": "error",
        "message": NASTY,
        "source": "dir a/p,q.json",
        "line": 3,
        "column": 7,
        "subject": "S",
        "fix": "do this",
        "page": "docs/rules/some-rule.md",
    }
    assert members["not_checked"] == [{"what": "a policy", "why": "it is elsewhere", "source": "x.tf", "line": 2}]
