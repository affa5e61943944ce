"""The application in process, and processes of the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from support.service import App, running_app


@pytest.fixture(autouse=True)
def unrendered_records() -> Iterator[None]:
    """Structlog's own rendering of an exception, with all locals, takes seconds."""
    with capture_logs():
        yield


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """The application over a new log, with a token for each role."""
    with running_app(tmp_path) as running:
        yield running
