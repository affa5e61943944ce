"""The commands of docs/how-to/rotate.md, in their order, against the emulator; what the page shows must be printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from auditseal.cli import entry

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


def test_the_commands_of_the_page_do_what_it_says(tmp_path, monkeypatch, capsys, emulator):
    monkeypatch.chdir(tmp_path)
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    steps = _steps(PAGE.read_text())
    assert len(steps) > 20
    for command, expected, shown in steps:
        program, *arguments = shlex.split(command)
        if program == "export":
            for name, _, value in (each.partition("=") for each in arguments):
                monkeypatch.setenv(name, value)
            continue
        assert program == "auditseal"
        code = entry.run(arguments)
        printed = "".join(capsys.readouterr())
        assert code == expected, f"$ {command}\n{printed}"
        for line in shown:
            assert line in printed, f"$ {command}\n{printed}"
    assert entry.run(["rotate", "status"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Rotation of audit-2026 (rsa-sha256) to audit-2027 (ed25519): disabled")
