"""Runs benchmarks and writes docs/benchmarks.md: .venv/bin/python bench/table.py [GROUP...]

A group is a module beside this one whose `measure()` returns results. Without names all groups are run; with names
these are, and what the page says of the others stays.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module

from common import ROOT, Result, print_results

PAGE = ROOT / "docs" / "benchmarks.md"
GROUPS = {
    "canonical": "Canonical form",
    "verify": "Verification",
    "append": "Appending to SQLite",
    "append_postgres": "Appending to PostgreSQL",
    "kms_append": "Appending through KMS",
    "checkpoints": "Checkpoint mode",
    "reconcile": "Reconciliation with CloudTrail",
    "service": "The HTTP service",
    "memory": "Memory",
    "start": "Start-up",
}
_HEAD = """# Benchmarks

Made by `.venv/bin/python bench/table.py`. Both sides of a line take turns in one run, so that they meet the same noise;
the ratio counts, not the figures. How each is measured stands at the top of its module in `bench/`. Given names, it
runs these groups alone and keeps the others' lines: {names}.
"""
_SECTION = """
## {title}

| what | auditseal | beside it | ratio | should be | |
|---|---|---|---|---|---|
{rows}
`bench/{name}.py`, {day}, {python} on {cores} cores, {machine}; load {load:.0f} at the end.
"""


def _row(result: Result) -> str:
    met = "met" if result.met else "**not met**"
    return f"| {result.what} | {result.ours} | {result.theirs} | {result.ratio:.2f} | {result.goal} | {met} |\n"


def _section(name: str, results: Sequence[Result]) -> str:
    return _SECTION.format(
        title=GROUPS[name],
        rows="".join(map(_row, results)),
        name=name,
        day=datetime.now(UTC).date(),
        python=f"Python {platform.python_version()}",
        cores=os.cpu_count(),
        machine=platform.machine(),
        load=os.getloadavg()[0],
    )


def _kept() -> dict[str, str]:
    """By title, the sections of the page as it is."""
    text = PAGE.read_text() if PAGE.exists() else ""
    return dict(re.findall(r"(?ms)^(?=## (.*?)$)(.*?)(?=^## |\Z)", text))


def _write(made: dict[str, str]) -> None:
    sections = {title: f"\n{text.strip()}\n" for title, text in _kept().items()} | made
    names = ", ".join(f"`{name}`" for name in GROUPS)
    ordered = [sections[title] for title in GROUPS.values() if title in sections]
    PAGE.write_text(_HEAD.format(names=names) + "".join(ordered))


def main() -> int:
    names = sys.argv[1:] or list(GROUPS)
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        sys.stderr.write(f"bench/table.py: no group {', '.join(unknown)}: use {', '.join(GROUPS)}\n")
        return 2
    code = 0
    for name in names:
        results = import_module(name).measure()
        # Written after each group, so that one that fails takes nothing away.
        _write({GROUPS[name]: _section(name, results)})
        code |= print_results(results)
    return code


if __name__ == "__main__":
    sys.exit(main())
