"""The table of forms: `emit_findings` writes a report in each form that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from auditseal.cli.findings.ci import as_github, as_junit, as_sarif
from auditseal.cli.findings.finding import FindingsReport
from auditseal.cli.findings.plain import as_json, as_markdown, as_text
from auditseal.cli.options import Output, emit

FORMS: Final = ("text", "json", "sarif", "junit", "github", "md")
_RENDERERS: Final = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "junit": as_junit,
    "github": as_github,
    "md": as_markdown,
}


def emit_findings(outputs: Sequence[Output], report: FindingsReport) -> int:
    """Writes the report in each form; the exit code.

    Raises:
        StoreError: a file cannot be written.
    """
    emit(outputs, renderers(lambda: report))
    return int(report.exit)


def renderers(report: Callable[[], FindingsReport]) -> dict[str, Callable[[], str]]:
    """By form, what renders a report; it is made only where one of its forms was asked for."""
    return {form: partial(_render, render, report) for form, render in _RENDERERS.items()}


def _render(render: Callable[[FindingsReport], str], report: Callable[[], FindingsReport]) -> str:
    return render(report())
