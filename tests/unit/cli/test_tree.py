"""Every command is there, and asking for one does not import the others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from auditseal.cli.entry import run
from auditseal.cli.tree import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps(name: str, capsys: pytest.CaptureFixture[str]):
    assert run([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: auditseal {name} [OPTIONS]")


def test_the_root_shows_them_all_in_order(capsys: pytest.CaptureFixture[str]):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    assert [line.split(maxsplit=1) for line in shown] == [[name, place.short] for name, place in COMMANDS.items()]


def test_a_misspelt_command_is_told_what_is_like_it(capsys: pytest.CaptureFixture[str]):
    assert run(["verfy"]) == 2
    assert capsys.readouterr().err == "auditseal: No such command 'verfy'. Did you mean 'verify'?; see --help\n"


def test_one_command_imports_no_other():
    code = (
        "import sys; from auditseal.cli.entry import run; run(['config', '--help']); "
        "print(*(name for name in sys.modules if name.startswith('auditseal.cli.')))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules = set(printed.splitlines()[-1].split())
    assert "auditseal.cli.settings" in modules
    assert not modules & {f"auditseal.cli.{name}" for name in ("log", "verify", "rotate", "serve", "witness", "policy")}
