"""The page on recording an Agent Manager agrees with the example."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute

import auditseal
from agent_manager.web import router
from auditseal.errors import ConflictError
from support.service import make_log

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "record-an-agent-manager.md").read_text(encoding="utf-8")
README = (ROOT / "examples" / "agent_manager" / "README.md").read_text(encoding="utf-8")


def test_the_page_s_program_records_once_and_refuses(tmp_path):
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    scope = {}
    exec(compile(program, "record-an-agent-manager.md", "exec"), scope)
    with auditseal.open_log(make_log(tmp_path)) as log:
        event = (str(uuid4()), "agent.stop.requested", "user:alice", {"agent": "a-1"})
        first = scope["record"](log, *event)
        assert scope["record"](log, *event).seq == first.seq
        with pytest.raises(RuntimeError, match="nothing is done") as refusal:
            scope["record"](log, *event[:3], {"agent": "a-2"})
        assert isinstance(refusal.value.__cause__, ConflictError)


def test_every_module_and_every_call_of_the_example_stands_in_its_page():
    modules = {path.stem for path in (ROOT / "examples" / "agent_manager").glob("[!_]*.py")} - {"errors"}
    assert [name for name in modules if f"`{name}`" not in README] == []
    paths = {route.path.replace("{name}", "ID") for route in router.routes if isinstance(route, APIRoute)}
    assert [path for path in paths if path.rpartition("/")[2] not in README] == []


def test_the_events_that_the_page_names_are_the_example_s():
    source = "".join(path.read_text() for path in (ROOT / "examples" / "agent_manager").glob("*.py"))
    named = set(re.findall(r"`agent\.(\w+)", PAGE))
    assert named == {"stop", "stopped"}
    assert all(f'"{name}"' in source for name in named)
