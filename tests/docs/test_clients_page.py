"""The programs of the page on clients run, in their order, against a service in this process."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

import auditseal
from auditseal.client import AsyncClient, Client, LocalClient
from auditseal.core.event import parse_body
from support.service import App, make_log, make_token, running_app, wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
PROGRAM = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def app(tmp_path, monkeypatch):
    """The service, to which all clients of this test go whatever their address says."""
    monkeypatch.chdir(tmp_path)
    with running_app(tmp_path) as running:
        _reach(monkeypatch, Client, running.client._transport)
        _reach(monkeypatch, AsyncClient, httpx2.ASGITransport(running.client.app))
        yield running


def _reach(monkeypatch, kind, transport) -> None:
    made = kind.__init__
    monkeypatch.setattr(kind, "__init__", lambda self, url, **options: made(self, url, transport=transport, **options))


def _types(log, stream: str) -> list[str]:
    return [parse_body(entry.body).type for entry in log.entries(stream)]


def test_the_programs_of_the_page_record_what_they_say(app: App, tmp_path, monkeypatch):
    token = make_token(app.folder / "tokens.json", "page", roles=("producer", "auditor"))
    headers = {"Authorization": f"Bearer {token}"}
    wait_until(lambda: app.client.get("/v1/streams", headers=headers).is_success, "the service knows the token")
    monkeypatch.setenv("AUDITSEAL_TOKEN", token)
    (tmp_path / "here").mkdir()
    own = auditseal.open_log(make_log(tmp_path / "here"))
    (tmp_path / "own").mkdir()
    make_log(tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    done = []
    for title, text in SECTION.findall(PAGE.read_text(encoding="utf-8")):
        for program in PROGRAM.findall(text):
            scope = {"token": token, "log": own, "client": LocalClient(own)}
            exec(compile(program, f"clients.md: {title}", "exec"), scope)
            if "record" in scope:
                assert asyncio.run(scope["record"]()) == 5
            if "app" in scope:
                with TestClient(scope["app"]) as browser:
                    assert browser.get("/reports/5").json() == {"report": 5}
            done.append(title)
    assert done == [
        *("One line", "All options", "Coroutines", "In the same process", "While the service is away"),
        *("Logging", "Web applications", "Functions"),
    ]
    there = ["agent.spawned", "agent.stopped", *["agent.heard"] * 3, "agent.spawned", "agent.heard"]
    assert _types(app.serving.log, "agents") == there
    with auditseal.open_log("sqlite:///audit.db") as local:
        assert _types(local, "agents") == ["agent.spawned"]
    streams = ("billing", "requests", "reports")
    assert [_types(own, stream) for stream in streams] == [
        ["log.info"],
        ["http.request"],
        ["report.delete.started", "report.delete.done"],
    ]
    own.close()


def test_every_public_name_of_the_clients_stands_in_the_page():
    from auditseal.client import __all__ as names

    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in names if name not in page and "Recorder" not in name] == []
