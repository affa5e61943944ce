"""An Agent Manager for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.agents import World, a_world
from support.service import make_log


@pytest.fixture
def world(tmp_path, monkeypatch) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    with a_world(tmp_path, make_log(tmp_path)) as begun:
        yield begun
