"""Replicas of the service on one PostgreSQL log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres_server import PostgresServer, running_postgres
from support.service import Replicas, make_log, make_token, service_environment


@pytest.fixture(scope="package")
def database() -> Iterator[PostgresServer]:
    """A server of these tests' own, since one of them restarts it."""
    with running_postgres() as running:
        yield running


@pytest.fixture
def address(tmp_path: Path, database: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # where the development key is, for a log that lies on no disk of ours
    return make_log(tmp_path, log=database.url(database.create_database()))


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
    running = Replicas(tmp_path, environment, forked=True)
    yield running
    running.close()
