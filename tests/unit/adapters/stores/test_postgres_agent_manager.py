"""The existing deployment: its table read from its database, and ours shown in its shape to its own verifier."""

from __future__ import annotations

import json

import psycopg
import pytest

from auditseal.adapters.registry_file import save_registry
from auditseal.adapters.stores.postgres import PostgresStore
from auditseal.cli import entry
from auditseal.core.report import Code, Severity, Verdict
from auditseal.core.times import Micros, format_time
from auditseal.errors import InputError, NotFoundError
from auditseal.ports import NewSignature
from auditseal.wiring.sources import open_source
from auditseal.wiring.verifying import verify_agent_manager
from contract.store_subjects import PostgresSubject
from support.agent_manager import KEY, REGISTRY, head_of, make_rows
from support.agent_manager_database import fill_table, verify_recent
from support.chains import START
from support.postgres_server import PASSWORD, PostgresServer
from support.store_events import append, draft, signature_for

KEYS = {"node-1": KEY.public_key()}


@pytest.fixture
def table(postgres: PostgresServer) -> str:
    """The address of an empty database for the other deployment's table."""
    return postgres.url(postgres.create_database())


def _faults(address: str) -> list[tuple[str, int | None]]:
    report = verify_agent_manager(f"agent-manager+{address}", REGISTRY)
    return [(str(found.code), found.seq) for found in report.findings if found.severity is not Severity.NOTE]


def _execute(address: str, statement: str) -> None:
    with psycopg.connect(address) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("sister", [False, True], ids=["its columns", "the sister's columns"])
def test_an_intact_table_verifies_up_to_its_head(table: str, sister: bool):
    rows = make_rows(30)
    fill_table(table, rows, sister=sister)
    report = verify_agent_manager(f"agent-manager+{table}", REGISTRY)
    assert report.verdict is Verdict.VALID
    assert report.checked == {"streams": 1, "entries": 30, "signatures": 30}
    assert report.streams[0].head.hex() == head_of(rows[-1])
    assert report.streams[0].first_time == "2026-11-23T17:22:00.000000Z"
    assert report.source == f"agent-manager+{table.replace(f':{PASSWORD}', '')}"


@pytest.mark.parametrize("sister", [False, True], ids=["its columns", "the sister's columns"])
def test_a_number_is_read_as_exactly_as_it_is_stored(table: str, sister: bool):
    fill_table(table, make_rows(5), sister=sister)
    _execute(
        table,
        "UPDATE audit_events SET payload = jsonb_set(payload, '{score}', '0.10000000000000000001') "
        "WHERE payload->>'agent_id' = 'a-2'",
    )
    assert _faults(table) == [("not-canonical", 2)]
    [found] = [
        found
        for found in verify_agent_manager(f"agent-manager+{table}", REGISTRY).findings
        if found.code is Code.NOT_CANONICAL
    ]
    assert (found.expected, found.actual) == ("0.1", "0.10000000000000000001")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE audit_events SET payload = '{}' WHERE payload->>'agent_id' = 'a-1'", ("bad-signature", 1)),
        ("UPDATE audit_events SET signature = signature || 'AA' WHERE prev_hash IS NULL", ("malformed-signature", 0)),
        ("DELETE FROM audit_events WHERE payload->>'agent_id' = 'a-1'", ("missing-entry", 1)),
        ("UPDATE audit_events SET prev_hash = 'garbage' WHERE prev_hash IS NULL", ("broken-link", 0)),
        ("DELETE FROM audit_events", ("nothing-to-check", None)),
    ],
)
def test_tampering_in_the_table_is_named(table: str, change: str, expected: tuple[str, int | None]):
    fill_table(table, make_rows(4))
    _execute(table, change)
    assert expected in _faults(table)


def test_a_fork_is_told_with_equal_times_and_in_any_order(table: str):
    stem = make_rows(3)
    branches = [make_rows(2, prev=head_of(stem[-1]), start=3, branch=number) for number in (1, 2)]
    fill_table(table, [*branches[1], *stem, *branches[0]])
    _execute(table, "UPDATE audit_events SET created_at = '2026-11-23'")
    assert [code for code, _ in _faults(table)] == ["fork"]


def test_a_column_of_json_with_a_key_twice_is_named_and_the_rest_is_read(table: str):
    fill_table(table, make_rows(3))
    _execute(table, "ALTER TABLE audit_events ALTER payload TYPE json")
    _execute(table, """UPDATE audit_events SET payload = '{"a":1,"a":2}' WHERE payload->>'agent_id' = 'a-2'""")
    report = verify_agent_manager(f"agent-manager+{table}", REGISTRY)
    assert report.checked["entries"] == 2
    assert any("the same key twice" in found.message for found in report.findings)


def test_nothing_of_the_table_is_written(table: str, postgres: PostgresServer):
    fill_table(table, make_rows(3))
    name = table.rpartition("/")[2]
    _execute(table, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert verify_agent_manager(f"agent-manager+{table}", REGISTRY).verdict is Verdict.VALID


def test_another_database_is_told_apart(table: str):
    with pytest.raises(NotFoundError, match="has no table audit_events"):
        verify_agent_manager(f"agent-manager+{table}", REGISTRY)
    _execute(table, "CREATE TABLE audit_events (id int, payload json)")
    with pytest.raises(InputError, match="lacks prev_hash, signature"):
        verify_agent_manager(f"agent-manager+{table}", REGISTRY)
    with pytest.raises(InputError, match="verify it, or adopt it"):
        open_source(f"agent-manager+{table}")


def test_the_command_verifies_a_table_by_its_address(table: str, tmp_path, capsys: pytest.CaptureFixture[str]):
    fill_table(table, make_rows(4))
    save_registry(tmp_path / "signers.json", REGISTRY)
    command = ["verify", f"agent-manager+{table}", "--signers", str(tmp_path / "signers.json"), "-o", "json"]
    assert entry.run(command) == 0
    printed = capsys.readouterr().out
    assert (json.loads(printed)["verdict"], json.loads(printed)["checked"]["entries"]) == ("valid", 4)
    assert PASSWORD not in printed
    _execute(table, "UPDATE audit_events SET payload = '{}' WHERE prev_hash IS NULL")
    assert entry.run(command) == 1


def _signed(store: PostgresStore, count: int, *, stream: str = "default", at: int = 0) -> None:
    payload = {"text": "a 'quote', \\ and \u0000 and é 種", "score": 0.1, "big": 2**53 - 1, "list": [True, None, {}]}
    for made in append(store, [draft(stream=stream, payload={**payload, "n": n}) for n in range(count)], at=at):
        signature = signature_for(made, signer="node-1", text=KEY.sign(made.hash)).signature
        store.add_signatures([NewSignature(stream=made.stream, seq=made.seq, signature=signature)])


@pytest.fixture
def shown(database: PostgresSubject):
    """A connection as the other deployment's verifier has one, that finds our view by its own table's name."""
    with psycopg.connect(database.address, options="-c search_path=auditseal", autocommit=True) as connection:
        yield connection


def test_its_own_verifier_accepts_our_log(pg_store: PostgresStore, shown: psycopg.Connection):
    """Entries of one append share their time, and a clock that ran back holds it: the order must show all the same."""
    _signed(pg_store, 7)
    _signed(pg_store, 5, at=-60)
    _signed(pg_store, 5)
    _signed(pg_store, 4, at=1)
    assert verify_recent(shown, KEYS) == 21
    assert verify_recent(shown, KEYS, limit=9) == 9


def test_its_own_verifier_reads_the_stream_that_the_connection_names(pg_store, shown: psycopg.Connection):
    _signed(pg_store, 3)
    _signed(pg_store, 2, stream="agents/eu")
    assert verify_recent(shown, KEYS) == 3
    shown.execute("SET auditseal.stream = 'agents/eu'")
    assert verify_recent(shown, KEYS) == 2
    shown.execute("SET auditseal.stream = 'none'")
    assert verify_recent(shown, KEYS) == 0


def test_its_own_verifier_notices_what_was_changed_in_our_log(pg_store, database, shown: psycopg.Connection):
    _signed(pg_store, 4)
    database.execute("ALTER TABLE entries DISABLE TRIGGER USER")
    changed = "decode(replace(encode(body, 'escape'), '0.1', '0.2'), 'escape')"
    database.execute(f"UPDATE entries SET body = {changed} WHERE seq = 2")
    with pytest.raises(AssertionError, match="hash is another"):
        verify_recent(shown, KEYS)


def test_the_view_shows_each_entry_with_its_own_members(pg_store: PostgresStore, shown: psycopg.Connection):
    _signed(pg_store, 2)
    [made] = append(pg_store, [draft(9, actor=None)], at=5)
    assert verify_recent(shown, KEYS | {None: KEY.public_key()}, limit=0) == 0
    names = "id, actor_id, event_type, signer_kid, signature, created_at AT TIME ZONE 'UTC', payload"
    rows = shown.execute(f"SELECT {names} FROM audit_events ORDER BY created_at").fetchall()
    assert [str(row[0]) for row in rows] == [entry_.columns.id for entry_ in pg_store.walk()]
    assert [row[1:4] for row in rows] == [("actor-1", "test.event", "node-1")] * 2 + [(None, "test.event", None)]
    assert rows[2][4] is None
    assert [f"{row[5].isoformat(timespec='microseconds')}Z" for row in rows] == [
        format_time(START),
        format_time(Micros(START + 1)),
        made.time,
    ]
    assert [row[6]["time"] for row in rows] == [format_time(START), format_time(START), made.time]
