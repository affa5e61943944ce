import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import emulator as module
import pytest
from emulator import EmulatorError, running_emulator

_HOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from emulator import running_emulator
with running_emulator() as running:
    print(running.url, flush=True)
    sys.stdin.read()
"""


def _listens(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def _wait_until_gone(url: str) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not _listens(url):
            return True
        time.sleep(0.02)
    return False


def test_it_runs_on_loopback_and_is_stopped(emulator):
    assert emulator.url.startswith("http://127.0.0.1:")
    assert _listens(emulator.url)


def test_it_is_stopped_when_what_uses_it_fails():
    seen = []
    with contextlib.suppress(RuntimeError), running_emulator() as running:
        seen.append(running.url)
        raise RuntimeError
    assert not _listens(seen[0])


def test_it_ends_with_a_parent_that_was_killed():
    script = Path(module.__file__).parent
    parent = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    url = parent.stdout.readline().strip()
    assert _listens(url)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    assert _wait_until_gone(url)


def test_one_that_does_not_come_up_shows_its_last_words(monkeypatch):
    monkeypatch.setattr(module, "_BOOT", "raise SystemExit('no room here')")
    with pytest.raises(EmulatorError, match="no room here"), running_emulator():
        pass


def test_one_that_is_not_installed_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "PYTHON", tmp_path / "python")
    with pytest.raises(EmulatorError, match="need_emulator"), running_emulator():
        pass
