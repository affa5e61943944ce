"""Starting test programs under `tests/` as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def start(module: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Starts `python -m MODULE ARGUMENTS`, its output readable."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
    )


def finish(process: subprocess.Popen[str], *, timeout_s: float = 120.0) -> list[str]:
    """The lines that it printed; fails if it did."""
    out, err = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, err
    return out.splitlines()
