"""The service for tests: in process behind a test client, or as a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator import free_port
from fastapi.testclient import TestClient

from auditseal.adapters.callers.token_file import update_tokens
from auditseal.config import load_settings
from auditseal.core.api_token import RANDOM_BYTES, mint
from auditseal.core.times import format_time
from auditseal.http.app import create_app
from auditseal.http.metrics import Metrics
from auditseal.service.ids import now_micros
from auditseal.wiring.logs import init_log
from auditseal.wiring.serving import Serving, open_serving
from support.forked import ForkedProcess

START_S = 60.0
_SERVE = "from auditseal.cli.entry import main; main()"


def make_token(
    tokens: Path, name: str = "tester", *, roles: tuple[str, ...] = ("producer",), streams: tuple[str, ...] = ("*",)
) -> str:
    text, token = mint(
        os.urandom(RANDOM_BYTES),
        name=name,
        roles=list(roles),
        streams=list(streams),
        created=format_time(now_micros()),
    )
    update_tokens(tokens, lambda kept: [*kept, token])
    return text


def make_log(folder: Path, **flags: Any) -> str:
    """A log with a development key, in SQLite unless another is named; its address."""
    flags = {"log": f"sqlite:///{folder / 'audit.db'}", **flags}
    init_log(load_settings(flags, environment={}, folder=folder).settings)
    return str(flags["log"])


@dataclass
class App:
    """The application in process.

    Attributes:
        client: without a token.
        tokens: by role, a token for all streams.
    """

    client: TestClient
    serving: Serving
    metrics: Metrics
    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)

    def headers(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    def append(self, stream: str = "agents", role: str = "producer", *, params: Any = None, **members: Any) -> Any:
        event = {"type": "agent.spawned", "payload": {"agent_id": "a-1"}, **members}
        return self.client.post(f"/v1/streams/{stream}/events", json=event, headers=self.headers(role), params=params)

    def get(self, path: str, role: str = "auditor", **arguments: Any) -> Any:
        return self.client.get(path, headers=self.headers(role), **arguments)


@contextlib.contextmanager
def running_app(folder: Path, *, without_authentication: bool = False, **flags: Any) -> Iterator[App]:
    """The application over a new log, with a token for each role."""
    address = make_log(folder)
    path = folder / "tokens.json"
    tokens = {role: make_token(path, role, roles=(role,)) for role in ("producer", "auditor", "operator")}
    settings = load_settings({"log": address, "tokens": path, **flags}, environment={}, folder=folder).settings
    metrics = Metrics()
    serving = open_serving(
        settings, observe_signing=metrics.observe_signing, without_authentication=without_authentication
    )
    with TestClient(create_app(serving, metrics), raise_server_exceptions=False) as client:
        yield App(client, serving, metrics, folder, tokens)


@dataclass
class Replica:
    """`auditseal serve` as a process.

    Attributes:
        url: its address.
        log: the file that holds its output.
    """

    url: str
    process: subprocess.Popen[bytes] | ForkedProcess
    log: Path

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


class Replicas:
    """Starts replicas and ends them all; `forked` from a process that has the imports done, where many are started."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, forked: bool = False) -> None:
        self._folder = folder
        self._environment = environment
        self._forked = forked
        self.running: list[Replica] = []
        self._count = 0

    def start(
        self,
        *options: str,
        port: int | None = None,
        scheme: str = "http",
        ready: bool = True,
        program: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Replica:
        """Starts `auditseal serve`, or a program that serves in its place, with further settings if need be."""
        port = port or free_port()
        self._count += 1
        log = self._folder / f"serve-{self._count}.log"
        listen = f"127.0.0.1:{port}"
        arguments = ["serve", "--listen", listen, *options]
        command = [sys.executable, "-c", _SERVE, *arguments]
        if program is not None:
            command = [sys.executable, str(program), *options]
        settings = {**self._environment, **(environment or {}), "AUDITSEAL_LISTEN": listen}
        process: subprocess.Popen[bytes] | ForkedProcess
        if self._forked and program is None:
            process = ForkedProcess(arguments, cwd=self._folder, env=settings, output=log)
        else:
            with log.open("wb") as output:
                process = subprocess.Popen(command, cwd=self._folder, env=settings, stdout=output, stderr=output)
        replica = Replica(f"{scheme}://127.0.0.1:{port}", process, log)
        self.running.append(replica)
        if ready:
            wait_until(lambda: is_up(replica), "the replica answers")
        return replica

    def close(self) -> None:
        for replica in self.running:
            if replica.process.poll() is None:
                replica.kill()


def is_up(replica: Replica) -> bool:
    if replica.process.poll() is not None:
        raise AssertionError(f"the service ended with {replica.process.returncode}:\n{replica.log.read_text()}")
    with contextlib.suppress(urllib.error.URLError, OSError):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{replica.url}/healthz", timeout=1):
            return True
    return False


def wait_until(condition: Callable[[], Any], what: str = "the condition", timeout_s: float = START_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"in {timeout_s:g} s this did not come true: {what}")
        time.sleep(0.05)


def service_environment(**settings: str) -> dict[str, str]:
    """The environment of a replica: this one's, without settings of auditseal, and with those given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AUDIT", "REQUIRE_KMS", "DATABASE_URL"))
    }
    return kept | settings
