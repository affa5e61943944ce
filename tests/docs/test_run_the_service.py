"""A newcomer follows docs/how-to/run-the-service.md from nothing to a verified log."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from emulator import free_port

from auditseal.core.caller import Role
from auditseal.http.metrics import Metrics
from support.service import service_environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "run-the-service.md"
API = ROOT / "docs" / "http.md"


def _script(port: int) -> str:
    """The page's commands and its program, in the order in which they stand there."""
    lines = []
    page = PAGE.read_text().replace("8420", str(port))
    for language, block in re.findall(r"^```(console|python)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        if language == "python":
            Path("application.py").write_text(block)
            lines.append(f'AUDITSEAL_TOKEN="$(cat producer.token)" {sys.executable} application.py')
        else:
            lines += [line.removeprefix("$ ") for line in block.splitlines()]
    return "\n".join(lines)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_commands_lead_from_nothing_to_a_verified_log(tmp_path, monkeypatch, emulator, postgres, database):
    monkeypatch.chdir(tmp_path)
    port = free_port()
    script = _script(port).replace("alias/audit-log", f"alias/audit-{database}")
    if database == "postgresql":
        address = postgres.url(postgres.create_database())
        script = script.replace("AUDITSEAL_LOG=sqlite:///audit.db", f"AUDITSEAL_LOG={address}")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "auditseal").write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from auditseal.cli.entry import main; main()" "$@"\n'
    )
    (programs / "auditseal").chmod(0o755)
    environment = service_environment(
        **emulator.environment(), PATH=f"{programs}:{os.environ['PATH']}", AUDITSEAL_LISTEN=f"127.0.0.1:{port}"
    )
    try:
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        subprocess.run(["sh", "-c", 'kill -9 "$(cat serve.pid)"'], capture_output=True, check=False)
    log = Path("serve.log").read_text() if Path("serve.log").exists() else "the service was not started"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log}"
    assert done.stdout.count('"status":"signed"') == 5  # the receipts of three events, and a page of two entries
    assert len(Path("agents.jsonl").read_text().splitlines()) == 4
    assert done.stdout.count("VALID") == 2
    assert '"event": "stopped"' in log
    for name in ("producer", "auditor", "operator"):
        assert Path(f"{name}.token").read_text().strip().rpartition("_")[2] not in log


def test_curl_is_what_the_page_asks_for():
    assert shutil.which("curl")


def test_every_metric_stands_in_the_page_on_the_api():
    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in Metrics()._registry.collect()}
    assert [name for name in names if f"`{name}`" not in API.read_text()] == []


def test_every_endpoint_stands_in_the_page_on_the_api():
    from auditseal.http import entries, events, health, tail, verifications

    routers = (events.direct, events.router, entries.router, health.router, tail.router, verifications.router)
    paths = {route.path.replace(":path", "") for router in routers for route in router.routes}
    assert [path for path in paths if f"{path}`" not in API.read_text()] == []


def test_every_role_stands_in_the_page():
    assert [role for role in Role if f"`{role}`" not in PAGE.read_text()] == []


def test_every_kind_of_problem_stands_in_the_page_on_the_api():
    from auditseal.http import errors

    kinds = [kind for _, kind in errors._TABLE] + [*errors._OVERLOADED.values(), *errors._HTTP.values()]
    page = API.read_text()
    assert [kind.name for kind in kinds if kind.name != "not-verified" and f"`{kind.name}`" not in page] == []
