"""The application in process, and processes of the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.service import App, running_app


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """The application over a new log, with a token for each role."""
    with running_app(tmp_path) as running:
        yield running
