"""The page on PostgreSQL does what it says: its commands and statements are run, in their order, on a real server."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import psycopg
import pytest

from auditseal.adapters.registry_file import save_registry
from auditseal.cli import entry
from auditseal.core.registry import Registry
from support.agent_manager import REGISTRY, make_rows
from support.agent_manager_database import fill_table, verify_recent
from support.postgres_server import PASSWORD, SUPERUSER, PostgresServer, running_postgres

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "use-postgresql.md"
BLOCK = re.compile(r"^```(console|sql)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def server():
    with running_postgres() as running:
        yield running


@pytest.fixture
def here(server: PostgresServer, tmp_path, monkeypatch):
    """A folder, and libpq's environment as an operator has it."""
    settings = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": SUPERUSER, "PGPASSWORD": PASSWORD}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{server.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("AUDITSEAL_SIGNERS", str(tmp_path / ".auditseal" / "signers.json"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _legacy(server: PostgresServer) -> None:
    with server.connect() as connection:
        connection.execute("CREATE DATABASE legacy")
    fill_table(server.url("legacy"), make_rows(20))
    save_registry(Path("old-signers.json"), REGISTRY)


def _run(line: str) -> None:
    mark, _, text = line.partition(" ")
    command = shlex.split(text)
    if command[0] == "auditseal":
        assert entry.run(command[1:]) == 0, line
        return
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (mark == "$"), line + done.stderr
    assert mark == "$" or "auditseal: entries are append-only" in done.stderr


def test_the_page_from_an_empty_server_to_a_restored_backup(server: PostgresServer, here):
    _legacy(server)
    ran = []
    for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "sql":
            with psycopg.connect(server.url("audit"), autocommit=True) as connection:
                connection.execute(text.replace("change-me", PASSWORD))
            continue
        for line in text.splitlines():
            _run(line)
            ran.append(line.split()[1])
    assert {"createdb", "auditseal", "psql", "pg_dump", "pg_restore"} == set(ran)
    with psycopg.connect(server.url("audit", user="old_verifier")) as connection:
        [signer] = Registry.parse(Path(".auditseal/signers.json").read_bytes()).signers
        assert verify_recent(connection, {signer.signer_id: signer.public_key}) == 2
    with psycopg.connect(server.url("audit")) as connection:
        held = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'entries_2031_0_'").fetchall()
        assert sorted(held) == [("entries_2031_01",), ("entries_2031_02",)]


def test_everything_in_the_schema_stands_in_the_page_on_the_store(postgres: PostgresServer):
    page = (PAGE.parents[1] / "spec" / "postgresql.md").read_text(encoding="utf-8")
    with postgres.connect(postgres.create_log_database()) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'auditseal' "
            "AND table_name NOT IN ('alembic_version', 'audit_events', 'entries_default')"
        ).fetchall()
        functions = connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'auditseal'::regnamespace AND prosecdef"
        ).fetchall()
        (version,) = connection.execute("SELECT version_num FROM auditseal.alembic_version").fetchone()
    internal = {"follow_heads"}  # a trigger's, never called
    names = {name for row in [*columns, *functions] for name in row} - internal
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    assert f"Alembic revision `{version}`" in page
