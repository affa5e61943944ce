"""The documentation cannot drift: its commands are run, and its lists are compared with the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from auditseal import __all__ as public_names
from auditseal.cli import entry
from auditseal.config import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def _commands(block: str) -> list[list[str]]:
    lines = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line)[1:] for line in lines if line.startswith("auditseal ")]


@pytest.fixture
def folder(tmp_path, monkeypatch, emulator):
    monkeypatch.chdir(tmp_path)
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_the_readme_s_commands_and_program_run(folder):
    commands = [command for block in _blocks(ROOT / "README.md", "console") for command in _commands(block)]
    assert [command[0] for command in commands] == ["init", "append", "verify", "keys"]
    for command in commands:
        assert entry.run(command) == 0, command
    (program,) = _blocks(ROOT / "README.md", "python")
    (folder / "signers.json").write_bytes((folder / ".auditseal" / "signers.json").read_bytes())
    exec(compile(program, "README.md", "exec"), {})


def test_every_command_stands_in_the_page_on_the_command_line():
    page = (ROOT / "docs" / "cli.md").read_text()
    group = typer.main.get_command(entry.app)
    missing = [name for name in group.commands if not re.search(rf"`{re.escape(name)}[ `]", page)]
    assert missing == []


def test_every_setting_stands_in_the_page_on_configuration():
    page = (ROOT / "docs" / "configuration.md").read_text()
    names = [name for names in ENVIRONMENT.values() for name in names]
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_what_is_public_is_what_the_package_says():
    import auditseal

    assert all(hasattr(auditseal, name) for name in public_names)
