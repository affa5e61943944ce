"""Who may do what in a PostgreSQL log, and what the database refuses to everybody."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from auditseal.adapters.stores.postgres import PostgresStore
from auditseal.errors import StoreError
from auditseal.service.audit import audit
from auditseal.service.checkpoint import Checkpointer
from contract.store_subjects import PostgresSubject
from support.evidence import LOG, Key
from support.logs import registered, signer_of
from support.postgres_server import PASSWORD, PostgresServer, running_postgres
from support.store_events import append, check_chains, draft, fill, signature_for


@pytest.fixture
def as_member_of(postgres: PostgresServer, database: PostgresSubject) -> Callable[[str], str]:
    """The log's address for a login that has one of the log's roles, or none."""

    def address(role: str) -> str:
        name = f"login_{role or 'nobody'}"
        with postgres.connect() as connection:
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
                connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
                if role:
                    connection.execute(f"GRANT {role} TO {name}")
        return postgres.url(database.address.rpartition("/")[2], user=name)

    return address


def _run(address: str, statement: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("table", ["entries", "entries_default", "signatures", "heads"])
def test_nobody_can_truncate(pg_store: PostgresStore, database: PostgresSubject, table: str):
    fill(pg_store, 2)
    with pytest.raises(psycopg.errors.RestrictViolation, match="are append-only"):
        database.execute(f"TRUNCATE {table} CASCADE")
    assert check_chains(pg_store.walk()) == {"default": 2}


@pytest.mark.parametrize("change", ["UPDATE entries_default SET type = ''", "DELETE FROM entries_default"])
def test_a_partition_is_as_closed_as_the_table(pg_store: PostgresStore, database: PostgresSubject, change: str):
    fill(pg_store, 2)
    with pytest.raises(psycopg.errors.RestrictViolation, match="entries are append-only"):
        database.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE heads SET seq = 0",
        "UPDATE heads SET hash = ''",
        "UPDATE heads SET stream = 'other', seq = 9",
        "DELETE FROM heads",
    ],
)
def test_a_head_never_goes_back(pg_store: PostgresStore, database: PostgresSubject, change: str):
    fill(pg_store, 2)
    with pytest.raises(psycopg.errors.RestrictViolation, match="heads are append-only"):
        database.execute(change)


def test_a_writer_appends_signs_and_reads(as_member_of):
    with closing(PostgresStore(as_member_of("auditseal_writer"))) as store:
        entries = fill(store, 3)
        store.add_signatures([signature_for(entry) for entry in entries])
        append(store, [draft(0, stream="new")])
        assert store.count_pending() == 1
        assert check_chains(store.walk()) == {"default": 3, "new": 1}


def test_a_writer_makes_checkpoints_and_a_reader_reads_them(as_member_of):
    key = Key("audit-2026")
    with closing(PostgresStore(as_member_of("auditseal_writer"))) as store:
        append(store, [draft(number) for number in range(300)])
        Checkpointer(store, signer_of(key), origin=LOG).create(["default"])
        assert (store.count_pending(), store.count_nodes("default", 8)) == (0, 1)
    address = as_member_of("auditseal_reader")
    with closing(PostgresStore(address, read_only=True)) as reader:
        assert audit(reader, registered(key)).verdict == "valid"
    with closing(PostgresStore(address)) as writer, pytest.raises(StoreError, match="grant it auditseal_writer"):
        writer.add_nodes("default", [(8, 1, bytes(32))])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE auditseal.checkpoints SET size = 9",
        "DELETE FROM auditseal.checkpoint_signatures",
        "TRUNCATE auditseal.tree_nodes",
        "ALTER TABLE auditseal.checkpoints DISABLE TRIGGER ALL",
        "UPDATE auditseal.entries SET type = ''",
        "DELETE FROM auditseal.signatures",
        "TRUNCATE auditseal.entries",
        "UPDATE auditseal.heads SET seq = 9",
        "INSERT INTO auditseal.heads VALUES ('x', 7, '', '')",
        "UPDATE auditseal.signed_below SET seq = 9",
        "INSERT INTO auditseal.entries_default SELECT * FROM auditseal.entries",
        "ALTER TABLE auditseal.entries DISABLE TRIGGER ALL",
        "DROP TABLE auditseal.entries_default",
        "SELECT auditseal.add_partition('p', '2030', '2031')",
        "CREATE TABLE auditseal.mine (n int)",
    ],
)
def test_a_writer_has_no_right_but_to_insert_and_read(pg_store, as_member_of, change: str):
    fill(pg_store, 1)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _run(as_member_of("auditseal_writer"), change)


def test_a_reader_reads_and_cannot_append(pg_store: PostgresStore, as_member_of):
    fill(pg_store, 2)
    address = as_member_of("auditseal_reader")
    with closing(PostgresStore(address, read_only=True)) as reader:
        assert check_chains(reader.walk()) == {"default": 2}
        assert (reader.count_pending(), len(reader.pending(limit=5))) == (2, 2)
    with (
        closing(PostgresStore(address)) as writer,
        pytest.raises(StoreError, match="grant it auditseal_writer") as error,
    ):
        append(writer, [draft(2)])
    assert not error.value.retryable


def test_a_user_without_a_role_is_told_which_one_to_get(as_member_of):
    with pytest.raises(StoreError, match="auditseal_reader to read"):
        PostgresStore(as_member_of(""), read_only=True)


def test_a_log_is_created_without_a_superuser_on_the_server_of_the_wheel():
    with running_postgres("wheel") as server:
        with server.connect() as connection:
            connection.execute(f"CREATE ROLE operator LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE audit OWNER operator")
            connection.execute(f"CREATE ROLE nobody LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE elsewhere OWNER nobody")
        assert "pginstall" in str(server.bin)
        address = server.url("audit", user="operator")
        assert PostgresStore.create(address) is True
        assert PostgresStore.create(address) is False
        with closing(PostgresStore(address)) as store:
            store.add_signatures([signature_for(entry) for entry in fill(store, 3)])
            assert check_chains(store.walk()) == {"default": 3}
        with pytest.raises(StoreError, match=r"cannot create the log|does not let this user"):
            PostgresStore.create(server.url("elsewhere", user="nobody"))
