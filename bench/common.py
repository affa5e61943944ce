"""What the benchmarks share: rates of two sides that take turns, and logs of a given size."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table: what was measured, both sides, their ratio, and what it should be."""

    what: str
    ours: str
    theirs: str
    ratio: float
    goal: str
    met: bool


def in_turns(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """The median of each side's figure; the sides take turns, so that both meet the same noise."""
    figures: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, kept in zip(sides, figures, strict=True):
            kept.append(side())
    return [statistics.median(kept) for kept in figures]


def rate(work: Callable[[], int]) -> float:
    """Items a second."""
    started = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - started)


def run_isolated(code: str, *arguments: str) -> dict[str, float]:
    """What a fresh interpreter prints as JSON: for memory and start-up, which a shared process would blur."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=ROOT / "bench"
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def print_results(results: list[Result]) -> int:
    """Prints the lines; the exit code."""
    for result in results:
        mark = "met" if result.met else "NOT MET"
        sides = f"ours {result.ours}, theirs {result.theirs}"
        print(f"{result.what}: {sides}, ratio {result.ratio:.2f} ({result.goal}: {mark})")
    return 0 if all(result.met for result in results) else 1
