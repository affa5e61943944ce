"""A PostgreSQL log gives all the evidence that a SQLite log gives: checkpoints, proofs, memory, parts."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from auditseal.adapters.stores.postgres import PostgresStore
from auditseal.cli.entry import run
from auditseal.core.promise import CHECKPOINT_TYPE
from auditseal.errors import StoreError
from auditseal.service import audit as auditing
from auditseal.wiring.verifying import Registry, verify
from contract.store_subjects import PostgresSubject
from support.postgres_server import PASSWORD, PostgresServer
from support.store_events import draft, fill


@pytest.fixture
def log(database: PostgresSubject, tmp_path, monkeypatch) -> str:
    """A log whose entries are covered by checkpoints, configured as an operator does."""
    monkeypatch.chdir(tmp_path)
    settings = {
        "AUDITSEAL_LOG": database.address,
        "AUDITSEAL_SIGNING_MODE": "checkpoint",
        "AUDITSEAL_ORIGIN": "log.example",
        "AUDITSEAL_SIGNERS": str(tmp_path / ".auditseal" / "signers.json"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert run(["init"]) == 0
    return database.address


def _ingest(count: int, stream: str = "default") -> None:
    lines = [json.dumps({"type": "agent.heard", "payload": {"n": number}}) for number in range(count)]
    Path("events.ndjson").write_text("\n".join(lines))
    assert run(["ingest", "events.ndjson", "--stream", stream]) == 0


def _said(capsys, *command: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = run([*command, "-o", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_log_of_checkpoints_verifies_proves_and_is_carried_over(log, postgres: PostgresServer, capsys):
    _ingest(700)
    _ingest(20, "other")
    code, report = _said(capsys, "verify")
    assert (code, report["verdict"], report["findings"]) == (0, "valid", [])
    with closing(PostgresStore(log, read_only=True)) as store:
        assert store.count_pending() == 0
        assert store.count_nodes("default", 8) == 2
        assert {each.stream for each in store.checkpoints()} >= {"default", "other"}
        assert not any(entry.signatures for entry in store.walk(["default", "other"]))
    assert run(["prove", "411", "--to", "proof.json"]) == 0
    assert run(["verify", "proof.json"]) == 0
    assert run(["export", "--to", "all.jsonl"]) == 0
    assert run(["verify", "all.jsonl"]) == 0
    copy = postgres.url(postgres.create_log_database())
    assert run(["import", "all.jsonl", "--log", copy]) == 0
    assert run(["verify", copy]) == 0


def test_who_remembers_finds_an_end_that_was_cut_off(log, database: PostgresSubject, capsys):
    _ingest(30)
    assert run(["verify", "--state", "state.json"]) == 0
    _ingest(10)
    assert run(["verify", "--state", "state.json"]) == 0
    for table in ("entries", "checkpoints", "checkpoint_signatures", "heads"):
        database.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    database.execute("DELETE FROM entries WHERE seq > 20")
    database.execute("DELETE FROM checkpoint_signatures WHERE size > 20")
    database.execute("DELETE FROM checkpoints WHERE size > 20")
    code, report = _said(capsys, "verify", "--state", "state.json")
    assert (code, {found["code"] for found in report["findings"]}) == (1, {"unsigned", "rolled-back"})


def test_a_checkpoint_with_another_root_is_found(log, database: PostgresSubject, capsys):
    _ingest(30)
    database.execute("ALTER TABLE checkpoints DISABLE TRIGGER USER")
    other = "overlay(note_text placing CASE substr(note_text, length(note_text) - 20, 1) WHEN 'A' THEN 'B' ELSE 'A' END"
    database.execute(f"UPDATE checkpoints SET note_text = {other} from length(note_text) - 20 for 1)")
    code, report = _said(capsys, "verify")
    assert (code, {found["code"] for found in report["findings"]}) == (
        1,
        {"bad-signature", "missing-checkpoint", "unsigned"},
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_that_share_the_work_find_what_one_finds(log, database: PostgresSubject, processes, monkeypatch):
    _ingest(900)
    monkeypatch.setattr(auditing, "_WORTH_PROCESSES", 100)
    monkeypatch.setattr(auditing, "_PART", 100, raising=False)
    database.execute("ALTER TABLE entries DISABLE TRIGGER USER")
    database.execute("UPDATE entries SET type = 'changed' WHERE seq = 500")
    database.execute("DELETE FROM entries WHERE seq BETWEEN 600 AND 604")
    report = verify(log, Registry.load(".auditseal/signers.json"), processes=processes)
    found = [(str(each.code), each.seq) for each in report.findings]
    assert ("column-mismatch", 500) in found
    assert any(code == "missing-entry" for code, _ in found)
    assert report.checked["entries"] == len(list(_walk(log)))


def _walk(address: str):
    with closing(PostgresStore(address, read_only=True)) as store:
        yield from store.walk()


def _login(postgres: PostgresServer, database: PostgresSubject, role: str) -> str:
    name = f"evidence_{role}"
    with postgres.connect() as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
            connection.execute(f"GRANT {role} TO {name}")
    return postgres.url(database.address.rpartition("/")[2], user=name)


def test_a_writer_makes_checkpoints_and_may_change_none(log, postgres, database: PostgresSubject, monkeypatch):
    address = _login(postgres, database, "auditseal_writer")
    monkeypatch.setenv("AUDITSEAL_LOG", address)
    _ingest(300)
    assert run(["verify"]) == 0
    for change in (
        "UPDATE auditseal.checkpoints SET size = 1",
        "DELETE FROM auditseal.tree_nodes",
        "TRUNCATE auditseal.checkpoint_signatures",
        "INSERT INTO auditseal.signed_below VALUES ('x', 9)",
    ):
        with psycopg.connect(address) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(change)


def test_a_writer_settles_nothing_that_no_checkpoint_covers(pg_store, postgres, database: PostgresSubject):
    fill(pg_store, 5)
    with psycopg.connect(_login(postgres, database, "auditseal_writer"), autocommit=True) as connection:
        connection.execute("SELECT auditseal.settle(ARRAY['default'])")
    assert pg_store.count_pending() == 5


def test_a_reader_reads_checkpoints_and_announces_none(log, postgres, database: PostgresSubject):
    _ingest(5)
    address = _login(postgres, database, "auditseal_reader")
    with closing(PostgresStore(address, read_only=True)) as reader:
        assert reader.last_checkpoint("default").size == 6
        with reader.exclusively("reseal") as held:
            assert held is True
    with closing(PostgresStore(address)) as writer, pytest.raises(StoreError, match="grant it auditseal_writer"):
        writer.announce("default", lambda *_: draft(0, type_=CHECKPOINT_TYPE), lambda: 0)


@pytest.mark.parametrize("table", ["tree_nodes", "checkpoints", "checkpoint_signatures"])
def test_nobody_can_truncate_evidence(log, database: PostgresSubject, table: str):
    _ingest(300)
    with pytest.raises(psycopg.errors.RestrictViolation, match=f"{table} are append-only"):
        database.execute(f"TRUNCATE {table}")
