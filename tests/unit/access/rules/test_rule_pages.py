"""Every rule has a page that says what the rule says, and whose examples are found and not found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditseal.access.documents.load import load_documents
from auditseal.access.rules.catalog import RULES
from auditseal.access.rules.lint import lint

DOCS = Path(__file__).resolve().parents[4] / "docs" / "rules"


def examples(page: str, heading: str) -> list[tuple[str, bytes]]:
    part = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [(f"example.{form}", text.encode()) for form, text in re.findall(r"```(\w+)\n(.*?)```", part, re.DOTALL)]


def found(files: list[tuple[str, bytes]]) -> set[str]:
    return {finding.rule.id for finding in lint(load_documents(files)).findings}


def test_there_is_one_page_for_each_rule_and_no_other():
    assert {path.stem for path in DOCS.glob("*.md")} == {*RULES, "index"}


@pytest.mark.parametrize("rule_id", RULES)
def test_a_page_says_what_its_rule_says(rule_id: str):
    rule, page = RULES[rule_id], (DOCS / f"{rule_id}.md").read_text()
    assert page.startswith(f"# {rule.id}: {rule.title}\n\nSeverity: {rule.severity}\n\n{rule.why}\n")
    assert rule.fix in page.partition("## Instead")[2]
    assert f"| [{rule.id}]({rule.id}.md) | {rule.severity} | {rule.title} |" in (DOCS / "index.md").read_text()


@pytest.mark.parametrize("rule_id", RULES)
def test_the_flawed_example_is_found_by_its_rule(rule_id: str):
    assert rule_id in found(examples((DOCS / f"{rule_id}.md").read_text(), "Found"))


@pytest.mark.parametrize("rule_id", RULES)
def test_nothing_at_all_is_found_in_the_mended_example(rule_id: str):
    assert found(examples((DOCS / f"{rule_id}.md").read_text(), "Instead")) == set()
