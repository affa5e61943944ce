"""Start-up: `auditseal --help` over bare python, and one append to a current log with a local key; all warm."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import Result, in_turns, print_results

AUDITSEAL = str(Path(sys.executable).with_name("auditseal"))


def seconds(*command: str, folder: str = ".") -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return time.perf_counter() - started


def measure() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        log = ("--log", "sqlite:///audit.db")
        seconds(AUDITSEAL, "init", *log, folder=folder)
        help_, python, append = in_turns(
            7,
            lambda: seconds(AUDITSEAL, "--help"),
            lambda: seconds(sys.executable, "-c", "pass"),
            lambda: seconds(AUDITSEAL, "append", *log, "--type", "agent.spawned", folder=folder),
        )
    return [
        Result(
            what="auditseal --help",
            ours=f"{help_:.2f} s",
            theirs=f"bare python {python:.2f} s",
            ratio=help_ / python,
            goal="less than 0.5 s over it",
            met=help_ - python < 0.5,
        ),
        Result(
            what="auditseal append, local key",
            ours=f"{append:.2f} s",
            theirs=f"bare python {python:.2f} s",
            ratio=append / python,
            goal="less than 1 s",
            met=append < 1,
        ),
    ]


if __name__ == "__main__":
    sys.exit(print_results(measure()))
