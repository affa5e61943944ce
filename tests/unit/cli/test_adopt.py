"""auditseal adopt: the old table's history, stated and signed as it was found."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from auditseal.adapters.registry_file import save_registry
from auditseal.cli import entry
from auditseal.core.event import parse_body
from auditseal.wiring.sources import open_store
from support.agent_manager import REGISTRY, head_of, make_rows
from support.agent_manager_database import fill_table
from support.postgres_server import PASSWORD, PostgresServer


@pytest.fixture
def old(postgres: PostgresServer) -> str:
    """The address of a database with 12 rows of the old deployment's."""
    address = postgres.url(postgres.create_database())
    fill_table(address, make_rows(12))
    return address


@pytest.fixture(params=["sqlite", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty log with a development key, in the folder where the test runs."""
    monkeypatch.chdir(tmp_path)
    save_registry(tmp_path / "old-signers.json", REGISTRY)
    address = "sqlite:///audit.db"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        address = server.url(server.create_database())
    assert entry.run(["init", "--log", address]) == 0
    return address


def _adopt(log: str, source: str, *options: str) -> int:
    given = ["adopt", source, "--stream", "history", "--log", log, "--old-signers", "old-signers.json", *options]
    return entry.run(given)


def _statement(log: str) -> dict:
    with closing(open_store(log, read_only=True)) as store:
        [first] = store.walk()
        body = parse_body(first.body)
        assert (first.seq, body.type, len(first.signatures)) == (0, "auditseal.adopted", 1)
        return body.payload


def test_a_sound_table_is_adopted_with_its_head_and_count(log: str, old: str, capsys: pytest.CaptureFixture[str]):
    assert _adopt(log, f"agent-manager+{old}", "-o", "json", "--actor", "user:alice") == 0
    printed = capsys.readouterr().out
    document = json.loads(printed[printed.index("{") :])
    assert (document["receipt"]["seq"], document["receipt"]["status"]) == (0, "signed")
    assert document["report"]["verdict"] == "valid"
    stated = _statement(log)
    assert stated["source"] == f"agent-manager+{old.replace(f':{PASSWORD}', '')}"
    assert (stated["rows"], stated["signed_rows"], stated["signers"]) == (12, 12, ["node-1"])
    assert (stated["head"], stated["verdict"]) == (head_of(make_rows(12)[-1]), "valid")
    assert stated["findings"] == {"not-covered": 2}
    assert PASSWORD not in printed
    assert entry.run(["verify", log]) == 0


def test_a_faulty_table_is_adopted_with_its_faults_named(log: str, old: str, capsys: pytest.CaptureFixture[str]):
    with psycopg.connect(old) as connection:
        connection.execute("UPDATE audit_events SET payload = '{}' WHERE payload->>'agent_id' = 'a-5'")
    assert _adopt(log, f"agent-manager+{old}") == 0
    assert "INVALID" in capsys.readouterr().out
    stated = _statement(log)
    assert (stated["rows"], stated["signed_rows"], stated["verdict"]) == (12, 11, "invalid")
    assert stated["findings"] == {"bad-signature": 1, "broken-link": 1, "not-covered": 2}


def test_a_file_of_rows_is_adopted_too(log: str, tmp_path: Path):
    (tmp_path / "rows.json").write_text(json.dumps(make_rows(3)))
    assert _adopt(log, "rows.json") == 0
    assert (_statement(log)["rows"], _statement(log)["source"]) == (3, "rows.json")


def test_a_table_without_rows_is_not_adopted(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "rows.json").write_text("[]")
    assert _adopt(log, "rows.json") == 3
    assert "no history to adopt" in capsys.readouterr().err
    with closing(open_store(log, read_only=True)) as store:
        assert store.count() == 0


def test_a_stream_with_entries_takes_no_history(log: str, old: str, capsys: pytest.CaptureFixture[str]):
    assert _adopt(log, f"agent-manager+{old}") == 0
    assert _adopt(log, f"agent-manager+{old}") == 4
    assert "has 1 entries already: adopt into a new one" in capsys.readouterr().err
    with closing(open_store(log, read_only=True)) as store:
        assert store.count() == 1
