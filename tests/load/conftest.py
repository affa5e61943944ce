"""Replicas of the service on one log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.service import Replicas, make_log, make_token, service_environment


@pytest.fixture
def address(tmp_path: Path) -> str:
    return make_log(tmp_path)


@pytest.fixture
def token(tmp_path: Path) -> str:
    return make_token(tmp_path / "tokens.json", roles=("producer", "auditor", "operator"))


@pytest.fixture
def replicas(tmp_path: Path, address: str, token: str) -> Iterator[Replicas]:
    environment = service_environment(
        AUDITSEAL_LOG=address,
        AUDITSEAL_TOKENS=str(tmp_path / "tokens.json"),
        AUDITSEAL_KMS_DEADLINE_S="2",  # what a dead replica leaves is taken up after one and a half of it
    )
    running = Replicas(tmp_path, environment)
    yield running
    running.close()
