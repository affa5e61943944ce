"""Runs all benchmarks and writes docs/benchmarks.md: .venv/bin/python bench/table.py [NAME...]"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module

from common import ROOT, Result, print_results

NAMES = ("canonical", "verify", "append", "kms_append", "memory", "start", "service")
PAGE = ROOT / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Made by `.venv/bin/python bench/table.py`. Both sides of a line take turns in one run, so that they meet the same noise;
the ratio counts, not the figures. Last run: {python} on {cores} cores, {machine}.

| what | auditseal | beside it | ratio | should be | |
|---|---|---|---|---|---|
"""


def row(result: Result) -> str:
    met = "met" if result.met else "**not met**"
    return f"| {result.what} | {result.ours} | {result.theirs} | {result.ratio:.2f} | {result.goal} | {met} |\n"


def main() -> int:
    results = [result for name in sys.argv[1:] or NAMES for result in import_module(name).measure()]
    head = _HEAD.format(python=f"Python {platform.python_version()}", cores=os.cpu_count(), machine=platform.machine())
    if not sys.argv[1:]:
        PAGE.write_text(head + "".join(map(row, results)))
    return print_results(results)


if __name__ == "__main__":
    sys.exit(main())
