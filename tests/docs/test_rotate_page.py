"""The commands of docs/how-to/rotate.md, run in one shell against the emulator; what the page shows must be printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from emulator import Emulator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "rotate.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _steps(page: str) -> list[tuple[str, int, list[str]]]:
    """(command, expected exit code, shown lines)."""
    steps: list[tuple[str, int, list[str]]] = []
    for block in _BLOCK.findall(page):
        for line in block.splitlines():
            if line == "$ echo $?":
                continue
            if line.startswith("$ "):
                steps.append((line[2:], 0, []))
            elif line.isdigit():
                command, _, shown = steps[-1]
                steps[-1] = (command, int(line), shown)
            else:
                steps[-1][2].append(line)
    return steps


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path, emulator: Emulator):
    steps = _steps(PAGE.read_text())
    script = "".join(f'{command} 2>&1\necho "--- $?"\n' for command, _, _ in steps)
    environment = {
        **os.environ,
        **emulator.environment(),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=400
    )
    parts = re.split(r"^--- (\d+)$", done.stdout, flags=re.MULTILINE)
    printed = list(zip(parts[::2], map(int, parts[1::2]), strict=False))
    assert len(printed) == len(steps) > 20
    for (command, code, shown), (text, actual) in zip(steps, printed, strict=True):
        assert actual == code, f"$ {command}\n{text}"
        for line in shown:
            assert line in text, f"$ {command}\n{text}"
    assert subprocess.run(
        ["auditseal", "rotate", "status"],
        cwd=tmp_path,
        env={**environment, "AUDITSEAL_LOG": "sqlite:///audit.db", "AUDITSEAL_SIGNERS": "signers.json"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.startswith("Rotation of audit-2026 (rsa-sha256) to audit-2027 (ed25519): disabled")
