"""The commands of checkpoints-and-proofs.md, witnesses.md and anchors.md, run as the pages have them."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import pytest

from auditseal.cli import entry
from support.tsa import running_authority

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"
PORT = "8380"


def _commands(page: str) -> list[tuple[str, int]]:
    """Each command with the exit code that the page says it has."""
    blocks = re.findall(r"^```console\n(.*?)^```", (PAGES / page).read_text(), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).splitlines()
    commands: list[tuple[str, int]] = []
    for line, after in itertools.zip_longest(lines, lines[1:]):
        if line == "$ echo $?":
            commands[-1] = (commands[-1][0], int(after))
        elif line.startswith("$ "):
            commands.append((line.removeprefix("$ "), 0))
    return commands


class Session:
    """A shell that runs `auditseal` in this process, which starts in no time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.background: subprocess.Popen[bytes] | None = None

    def run(self, command: str) -> int:
        words = [os.path.expandvars(word) for word in shlex.split(command)]
        if words[0] == "export":
            for name, _, value in (word.partition("=") for word in words[1:]):
                self._monkeypatch.setenv(name, value)
            return 0
        if words[-1] == "&":
            self.background = subprocess.Popen([Path(sys.executable).parent / words[0], *words[1:-1]])
            _wait_for_witness(words[words.index("--port") + 1])
            return 0
        if words == ["kill", "%1"]:
            return self.stop()
        if words[0] == "auditseal":
            return entry.run(words[1:])
        return subprocess.run(["bash", "-c", command], check=False, timeout=60).returncode

    def stop(self) -> int:
        if self.background is not None:
            self.background.terminate()
            self.background.wait(30)
            self.background = None
        return 0


def _wait_for_witness(port: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/vkey", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the witness does not answer")


@pytest.fixture
def session(tmp_path, monkeypatch, emulator):
    monkeypatch.chdir(tmp_path)
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    opened = Session(monkeypatch)
    yield opened
    opened.stop()


def _run(session: Session, page: str, replaced: dict[str, str]) -> None:
    commands = _commands(page)
    assert sum(command.startswith("auditseal ") for command, _ in commands) > 8
    for command, code in commands:
        for old, new in replaced.items():
            command = command.replace(old, new)  # noqa: PLW2901 - the command that is run
        assert session.run(command) == code, command


def _own_alias(request: pytest.FixtureRequest) -> dict[str, str]:
    """The emulator is shared: each page has keys of its own there."""
    return {"alias/": f"alias/{request.node.callspec.id if hasattr(request.node, 'callspec') else request.node.name}-"}


def test_checkpoints_and_proofs(session, request):
    _run(session, "checkpoints-and-proofs.md", _own_alias(request))


def test_witnesses(session, request):
    from emulator import free_port

    _run(session, "witnesses.md", {**_own_alias(request), PORT: str(free_port())})


def test_anchors(session, request, tmp_path, emulator, monkeypatch):
    s3 = boto3.client("s3", endpoint_url=emulator.url)
    s3.create_bucket(
        Bucket="audit-anchors",
        ObjectLockEnabledForBucket=True,
        CreateBucketConfiguration={"LocationConstraint": emulator.region},
    )
    s3.close()
    for name in ("NAME", "EMAIL"):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", "auditor")
    with running_authority(tmp_path / "tsa") as authority:
        shutil.copy(authority.roots, tmp_path / "tsa-root.pem")
        monkeypatch.setenv("TSA", authority.url)
        _run(session, "anchors.md", _own_alias(request))
