"""Starts ministack, an emulator of KMS, IAM and STS, as a process on loopback, and stops it whatever happens.

Python's standard library alone: the tests, the demo and the benchmarks import this from outside the package.
`python script/emulator.py` runs it in the foreground, for trying things by hand.

    with running_emulator() as emulator:
        environment = os.environ | emulator.environment()
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".tools" / "emulator" / "bin" / "python"
HOST = "127.0.0.1"
REGION = "eu-central-1"
START_S = 60.0
STOP_S = 10.0

# The pipe at its standard input ends when its parent does, even by SIGKILL, and the emulator ends with it.
_BOOT = """
import os, sys, threading
def end_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=end_with_parent, daemon=True).start()
sys.argv = ["ministack"]
from ministack.app import main
main()
"""


class EmulatorError(Exception):
    """The emulator is not installed, or did not come up."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    Attributes:
        url: its address.
        region: its Region.
        log: the file that holds its output.
    """

    url: str
    region: str
    log: Path

    def environment(self) -> dict[str, str]:
        """What a client of it needs in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextlib.contextmanager
def running_emulator(settings: Mapping[str, str] | None = None) -> Iterator[Emulator]:
    """A fresh emulator, empty and private to the caller.

    Args:
        settings: of ministack, such as `AUTH=true` or `CLOUDTRAIL_RECORDING=1`.
    """
    if not PYTHON.exists():
        raise EmulatorError("the emulator is not installed: bash -c 'source script/env.sh; need_emulator'")
    with tempfile.TemporaryDirectory(prefix="auditseal-emulator-") as folder:
        port = free_port()
        log = Path(folder) / "emulator.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(PYTHON), "-c", _BOOT],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(port, folder, settings or {}),
                cwd=folder,
            )
        try:
            emulator = Emulator(url=f"http://{HOST}:{port}", region=REGION, log=log)
            _wait_until_up(emulator, process)
            yield emulator
        finally:
            _stop(process)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(port: int, folder: str, settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return {
        **inherited,
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": folder,
        **settings,
    }


def _wait_until_up(emulator: Emulator, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, OSError):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{emulator.url}/_ministack/health", timeout=1):
                return
        time.sleep(0.05)
    tail = emulator.log.read_text(errors="replace")[-2000:]
    raise EmulatorError(f"the emulator did not come up on {emulator.url}:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    with running_emulator() as running, contextlib.suppress(KeyboardInterrupt):
        for name, value in running.environment().items():
            sys.stdout.write(f"export {name}={value}\n")
        sys.stdout.flush()
        while True:
            time.sleep(3600)
