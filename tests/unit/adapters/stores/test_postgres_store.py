"""What only the PostgreSQL store has: opening, versions, partitions, lost answers, restarts, locks, error texts."""

from __future__ import annotations

import runpy
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from auditseal.adapters.stores.postgres import PostgresStore, connection, schema, sessions
from auditseal.core.entry import Entry
from auditseal.core.times import Micros
from auditseal.errors import ConfigError, ConflictError, InputError, NotFoundError, StoreError
from auditseal.ports import EntryFilter
from auditseal.wiring.sources import create_store
from contract.store_subjects import PostgresSubject
from support.chains import START, make_entries
from support.cutting_proxy import CuttingProxy, cutting_proxy
from support.postgres_server import PASSWORD, PostgresServer, running_postgres
from support.store_events import append, check_chains, draft, event_id, fill, places, signature_for

DAY_US = 86_400_000_000


@pytest.fixture
def proxied(postgres: PostgresServer, database: PostgresSubject):
    """(a proxy, the log's store behind it)."""
    with cutting_proxy(postgres.port) as proxy:
        address = database.address.replace(f":{postgres.port}/", f":{proxy.port}/")
        with closing(PostgresStore(address)) as store:
            yield proxy, store


def _log_on(server: PostgresServer) -> PostgresStore:
    return PostgresStore(server.url(server.create_log_database()))


def test_a_log_is_created_once_and_by_several_at_once(postgres: PostgresServer):
    address = postgres.url(postgres.create_database())
    with pytest.raises(NotFoundError, match="auditseal init --log postgresql://postgres@"):
        PostgresStore(address)
    code = "import sys; from auditseal.wiring.sources import create_store; print(create_store(sys.argv[1]))"
    started = [
        subprocess.Popen([sys.executable, "-c", code, address], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert sorted(process.communicate()[0].strip() for process in started) == ["False", "False", "True"]
    assert create_store(address) is False
    PostgresStore(address).close()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_log_of_another_version_is_refused(database: PostgresSubject, read_only: bool):
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match=r"9999.*update auditseal"):
        PostgresStore(database.address, read_only=read_only)
    with pytest.raises(ConfigError, match="update auditseal"):
        PostgresStore.create(database.address)
    database.execute("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(ConfigError, match="auditseal init"):
        PostgresStore(database.address, read_only=read_only)


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_an_older_log_is_brought_up_to_date_with_what_it_holds(database: PostgresSubject, version: str):
    with closing(PostgresStore(database.address)) as store:
        fill(store, 3)
    current = _follow_heads(database)
    first = runpy.run_path(str(Path(schema.__file__).parent / "migrations/versions/0001_entries_and_signatures.py"))
    (older,) = [text for text in first["_FUNCTIONS"] if "FUNCTION auditseal.follow_heads" in text]
    database.execute(older.replace("CREATE", "CREATE OR REPLACE", 1))
    assert _follow_heads(database)[0] != current[0]
    if version == "0001":
        database.execute("DROP TABLE tree_nodes, checkpoints, checkpoint_signatures")
        database.execute("DROP FUNCTION settle")
        database.execute("DROP FUNCTION line_hash")
    database.execute(f"UPDATE alembic_version SET version_num = '{version}'")
    with pytest.raises(ConfigError, match="bring it to 0003 with auditseal init"):
        PostgresStore(database.address)
    assert PostgresStore.create(database.address) is False
    assert _follow_heads(database) == current
    with closing(PostgresStore(database.address)) as store:
        append(store, [draft(3)])
        assert check_chains(store.walk()) == {"default": 4}
        assert list(store.checkpoints()) == []
        with pytest.raises(ConflictError, match="does not follow"):
            store.insert(make_entries(2), [])


def _follow_heads(database: PostgresSubject) -> tuple[object, ...]:
    """(the source of the trigger's function, its owner, who may call it, with whose rights it acts, its settings)."""
    query = (
        "SELECT prosrc, proowner::regrole::text, proacl::text, prosecdef, proconfig FROM pg_proc "
        "WHERE proname = 'follow_heads' AND pronamespace = 'auditseal'::regnamespace"
    )
    return database.execute(query)[0]


def test_a_statement_s_rows_may_come_in_any_order_and_of_any_streams(pg_store, database: PostgresSubject):
    fill(pg_store, 2)
    with closing(pg_store), closing(psycopg.connect(database.address)) as connection:
        copied = [entry for stream in ("a", "b") for entry in make_entries(3, stream=stream)]
        rows = [tuple(entry) for entry in reversed(copied)]
        marks = ", ".join(["(" + ", ".join(["%s"] * 9) + ")"] * len(rows))
        connection.execute(f"INSERT INTO auditseal.entries VALUES {marks}", [value for row in rows for value in row])
        connection.commit()
        assert check_chains(pg_store.walk()) == {"a": 3, "b": 3, "default": 2}
        assert [(head.stream, head.seq, head.hash) for head in pg_store.streams()][:2] == [
            ("a", 2, copied[2].hash),
            ("b", 2, copied[5].hash),
        ]


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("damage", ["another link", "a gap"])
def test_entries_of_one_statement_that_do_not_follow_each_other_are_refused(pg_store, database, damage, at):
    entries = make_entries(3, stream="a")
    if damage == "a gap":
        entries[at:] = [entry._replace(seq=entry.seq + 1) for entry in entries[at:]]
    else:
        entries[at] = entries[at]._replace(prev_hash=b"p" * 32)
    marks = ", ".join(["(" + ", ".join(["%s"] * 9) + ")"] * len(entries))
    with (
        psycopg.connect(database.address) as connection,
        pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="must follow the last one"),
    ):
        connection.execute(f"INSERT INTO auditseal.entries VALUES {marks}", [value for one in entries for value in one])
    assert pg_store.count() == 0


def test_a_server_that_does_not_write_to_disk_is_refused(postgres: PostgresServer, database: PostgresSubject):
    name = database.address.rpartition("/")[2]
    database.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(ConfigError, match="may be lost; switch both on"):
        PostgresStore(database.address)
    PostgresStore(database.address, read_only=True).close()


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("postgresql://user:s3cret@host:nonsense/db", StoreError, "cannot connect"),
        ("postgresql://user:s3cret@host/db?nonsense=1", InputError, "no postgresql:// URL"),
        ("postgresql://user:s3cret@[::1/db", InputError, "no postgresql:// URL"),
        ("postgresql://user:s3cret@127.0.0.1:1/db", StoreError, "cannot connect to postgresql://user@127.0.0.1:1/db"),
        ("postgresql://127.0.0.1:1/db?user=u&password=s3cret", StoreError, "cannot connect"),
        ("mysql://user:s3cret@host/db", InputError, "no address"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_without_its_password(address: str, error: type[Exception], said: str):
    for attempt in (PostgresStore, PostgresStore.create):
        with pytest.raises(error, match=said) as caught:
            attempt(address)
        assert "s3cret" not in str(caught.value)


def test_a_wrong_password_is_told_without_it(postgres: PostgresServer):
    with pytest.raises(StoreError, match=r"cannot connect.*password authentication failed") as caught:
        PostgresStore(postgres.url(password="s3cret"))
    assert "s3cret" not in str(caught.value)


def test_without_the_extra_the_error_names_it():
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from auditseal.errors import ConfigError\n"
        "from auditseal.wiring.sources import create_store, open_source, open_store\n"
        "for opening in (open_store, create_store, open_source):\n"
        "    try: opening('postgresql://u:p@h/d')\n"
        "    except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("PostgreSQL needs the extra `postgres`: pip install 'auditseal[postgres]'") == 3


def test_partitions_by_time_hold_one_chain(pg_store: PostgresStore, database: PostgresSubject):
    old = append(pg_store, [draft(0, id_=event_id(1)), draft(1)])
    database.execute("SELECT add_partition('entries_2026_08', '2026-08-01', '2026-09-01')")
    later = [pg_store.append([draft(number)], lambda: Micros(START + 40 * DAY_US))[0].new for number in (2, 3)]
    held = dict(database.execute("SELECT tableoid::regclass::text, count(*) FROM entries GROUP BY 1"))
    assert held == {"entries_default": 2, "entries_2026_08": 2}
    assert check_chains(pg_store.walk()) == {"default": 4}
    assert places(pg_store.select(EntryFilter(), limit=3)) == [("default", seq) for seq in range(3)]
    assert [places(pg_store.read_part(part)) for part in pg_store.parts(None, 3)] == [
        [("default", 0), ("default", 1), ("default", 2)],
        [("default", 3)],
    ]
    assert places(pg_store.pending(limit=9)) == [("default", seq) for seq in range(4)]
    again = pg_store.append([draft(0, id_=event_id(1))], lambda: Micros(START + 40 * DAY_US))
    assert again[0].found.hash == old[0].hash
    assert later[1].seq == 3


@pytest.mark.parametrize(
    "values",
    [
        "stream, 1, 'x', '2026-08-09', type, actor, body, prev_hash, hash",
        "stream, 2, id, '2026-08-09', type, actor, body, hash, hash",
        "stream, 2, 'x', '2026-08-09', type, actor, body, prev_hash, hash",
    ],
    ids=["a place", "an id", "a link"],
)
def test_what_is_used_in_one_partition_is_used_in_all(pg_store, database: PostgresSubject, values: str):
    fill(pg_store, 2)
    database.execute("SELECT add_partition('entries_2026_08', '2026-08-01', '2026-09-01')")
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="must follow the last one"):
        database.execute(f"INSERT INTO entries SELECT {values} FROM entries WHERE seq = 1")


@pytest.mark.parametrize("change", ["UPDATE entries_p SET type = ''", "DELETE FROM entries_p", "TRUNCATE entries_p"])
def test_a_later_partition_is_append_only_too(pg_store: PostgresStore, database: PostgresSubject, change: str):
    database.execute("SELECT add_partition('entries_p', NULL, '2026-09-01')")
    fill(pg_store, 2)
    with pytest.raises(psycopg.errors.RestrictViolation, match="entries are append-only"):
        database.execute(change)


def test_entries_at_one_place_keep_the_signatures_made_for_their_hash(pg_store, database: PostgresSubject):
    pg_store.add_signatures([signature_for(entry) for entry in fill(pg_store, 2)])
    database.execute("ALTER TABLE entries DISABLE TRIGGER USER")
    database.execute("DROP INDEX entries_default_place, entries_default_link")
    database.execute(
        "INSERT INTO entries SELECT stream, seq, 'forged', time, type, actor, body, prev_hash, sha256(body) "
        "FROM entries WHERE seq = 1"
    )
    read = list(pg_store.walk())
    assert [(entry.seq, entry.columns.id == "forged", len(entry.signatures)) for entry in read] == [
        (0, False, 1),
        (1, False, 1),
        (1, True, 0),
    ]
    assert [len(list(pg_store.read_part(part))) for part in pg_store.parts(None, 1)] == [1, 2]


@pytest.mark.parametrize("ids", ["given", "made"])
def test_an_append_whose_answer_was_lost_stands_once(proxied: tuple[CuttingProxy, PostgresStore], ids: str):
    proxy, store = proxied
    fill(store, 1)
    proxy.arm()
    drafts = [draft(number, id_=event_id(number) if ids == "given" else None) for number in range(3)]
    appended = store.append(drafts, lambda: START)
    assert proxy.cuts == 1
    assert [(item.new or item.found).seq for item in appended] == [1, 2, 3]
    assert all((item.new is not None) == (ids == "made") for item in appended)
    assert check_chains(store.walk()) == {"default": 4}
    stored = {entry.seq: entry for entry in store.walk()}
    assert all((item.new or item.found).body == stored[(item.new or item.found).seq].body for item in appended)


@pytest.mark.parametrize("when", [b"BEGIN", b"COPY", b"lock_heads"])
def test_an_append_cut_before_its_commit_stands_once(proxied: tuple[CuttingProxy, PostgresStore], when: bytes):
    proxy, store = proxied
    fill(store, 1)
    proxy.arm(when)
    append(store, [draft(1), draft(2)])
    assert proxy.cuts == 1
    assert check_chains(store.walk()) == {"default": 3}


def test_an_insert_and_its_signatures_whose_answer_was_lost_stand_once(proxied: tuple[CuttingProxy, PostgresStore]):
    proxy, store = proxied
    entries = make_entries(3)
    proxy.arm()
    store.insert(entries, [signature_for(entry) for entry in entries])
    proxy.arm(b"another")  # in the data of a COPY
    store.add_signatures([signature_for(entry, signer="another") for entry in entries])
    assert proxy.cuts == 2
    assert [len(entry.signatures) for entry in store.walk()] == [2, 2, 2]
    with pytest.raises(ConflictError):
        store.insert(entries, [])


@pytest.mark.parametrize("when", [b"COPY", b"COMMIT"])
def test_an_announcement_whose_answer_was_lost_stands_once(proxied: tuple[CuttingProxy, PostgresStore], when: bytes):
    proxy, store = proxied
    fill(store, 1)
    proxy.arm(when)
    entry = store.announce("default", lambda seq, _: draft(seq, type_="auditseal.checkpoint"), lambda: START)
    assert proxy.cuts == 1
    assert (entry.seq, entry.body) == (1, store.entry("default", 1).body)
    assert check_chains(store.walk()) == {"default": 2}


def test_a_draft_sent_again_after_its_fate_was_unknown_is_found(pg_store: PostgresStore):
    """As when a group of callers failed together, and each is tried again alone."""
    lost = draft(0)
    first = append(pg_store, [lost])[0]
    [again] = pg_store.append([lost], lambda: START)
    assert again.new.hash == first.hash
    assert pg_store.count() == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["in good order", "at once"])
def test_a_store_goes_on_after_the_server_was_restarted(how: signal.Signals):
    with running_postgres() as server, closing(_log_on(server)) as store, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: append(store, [draft(number)]), range(8)))
        server.restart(how)
        list(pool.map(lambda number: append(store, [draft(number)]), range(8)))
        assert check_chains(store.walk()) == {"default": 16}


def test_a_server_that_stays_away_is_an_error_that_may_pass(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sessions, "_GIVE_UP_S", 0.3)
    monkeypatch.setattr(connection, "_POOL_TIMEOUT_S", 0.2)
    with running_postgres() as server, closing(PostgresStore(server.url(server.create_log_database()))) as store:
        fill(store, 1)
        server.stop()
        for attempt in (lambda: append(store, [draft(1)]), store.count, lambda: list(store.walk())):
            with pytest.raises(StoreError, match=r"is not to be reached|cannot connect") as caught:
                attempt()
            assert caught.value.retryable
        server.start()
        append(store, [draft(1)])
        assert check_chains(store.walk()) == {"default": 2}


def test_a_writer_waits_for_the_head_and_says_so_when_it_waited_too_long(
    pg_store: PostgresStore, database: PostgresSubject, monkeypatch: pytest.MonkeyPatch
):
    fill(pg_store, 1)
    monkeypatch.setattr(connection, "_LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr(sessions, "_GIVE_UP_S", 0.2)
    with closing(PostgresStore(database.address)) as hasty, psycopg.connect(database.address) as other:
        other.execute("SELECT * FROM auditseal.lock_heads(ARRAY['default'])")
        with pytest.raises(StoreError, match="is locked by another writer") as caught:
            append(hasty, [draft(1)])
        assert caught.value.retryable
        append(hasty, [draft(0, stream="another")])
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(append, pg_store, [draft(1)])
            other.rollback()
            assert waiting.result()[0].seq == 1


def test_a_text_that_postgresql_cannot_hold_is_refused_and_matches_nothing(pg_store: PostgresStore):
    [entry] = make_entries(1)
    with pytest.raises(InputError, match=r"U\+0000"):
        pg_store.insert([entry._replace(actor="a\0b")], [])
    assert pg_store.count() == 0
    fill(pg_store, 1)
    assert pg_store.select(EntryFilter(actor="a\0b"), limit=5) == []


@pytest.mark.parametrize(
    ("error", "said", "retryable"),
    [
        (psycopg.errors.DiskFull, "the disk is full. Nothing was changed", False),
        (psycopg.errors.ReadOnlySqlTransaction, "name the primary", False),
        (psycopg.errors.TooManyConnections, "no connection left", True),
        (psycopg.errors.DeadlockDetected, "is locked by another writer", True),
        (psycopg.errors.SerializationFailure, "is locked by another writer", True),
        (psycopg.errors.AdminShutdown, "closed the connection", True),
        (psycopg.errors.CannotConnectNow, "closed the connection", True),
        (psycopg.errors.DataCorrupted, "is damaged", False),
        (psycopg.errors.QueryCanceled, "took too long", True),
        (psycopg.errors.UndefinedTable, "failed (42P01)", False),
        (psycopg.OperationalError, "is not to be reached", True),
    ],
)
def test_every_error_of_the_driver_is_told_in_our_words(error: type[psycopg.Error], said: str, retryable: bool):
    with pytest.raises(StoreError) as caught, connection.errors_of("postgresql://host/db"):
        raise error("of the driver")
    assert said in str(caught.value)
    assert caught.value.retryable is retryable


def test_the_password_stands_in_no_form_of_the_address():
    forms = {
        f"postgresql://u:{PASSWORD}@h/d": "postgresql://u@h/d",
        f"postgres://u:{PASSWORD}@h:5433/d?sslmode=require": "postgres://u@h:5433/d?sslmode=require",
        f"postgresql://h/d?user=u&password={PASSWORD}": "postgresql://h/d?user=u",
        f"postgresql:///d?host=/run/pg&sslpassword={PASSWORD}": "postgresql:///d?host=/run/pg",
    }
    assert {address: connection.shown(address) for address in forms} == forms


def test_an_older_log_is_brought_up_to_date_with_all_it_holds(postgres: PostgresServer, monkeypatch):
    from alembic import command

    address = postgres.url(postgres.create_database())
    real = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: real(config, "0001"))
    create_store(address)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"schema version 0001: bring it to .* with auditseal init"):
        PostgresStore(address)
    entries = make_entries(3)
    with psycopg.connect(address) as connection, connection.cursor() as cursor:
        for entry in entries:
            cursor.execute(f"INSERT INTO auditseal.entries VALUES ({', '.join(['%s'] * 9)})", entry)
    assert create_store(address) is False
    with closing(PostgresStore(address)) as store:
        assert [entry.hash for entry in store.walk()] == [entry.hash for entry in entries]
        store.add_nodes("default", [(8, 0, b"h" * 32)])


def test_announcements_and_appends_from_many_threads_do_not_wait_for_one_another_s_connections(pg_store):
    """Each announcement reads while it holds its stream, over the connection that it has: all others may be waiting."""
    fill(pg_store, 1)

    def announce(number: int) -> Entry:
        def draft_at(seq: int, before: int | None):
            assert len(pg_store.entry_hashes("default", 0, seq)) == seq
            assert before is None or before < seq
            return draft(number, type_="auditseal.checkpoint")

        return pg_store.announce("default", draft_at, lambda: START)

    with ThreadPoolExecutor(40) as threads:
        made = list(threads.map(announce, range(40)))
        list(threads.map(lambda number: append(pg_store, [draft(number)]), range(40)))
    assert sorted(entry.seq for entry in made) == list(range(1, 41))
    assert check_chains(pg_store.walk()) == {"default": 81}


@pytest.mark.parametrize("rest", ["127.0.0.1:port/x", "127.0.0.1/x?sslmode=maybe", "127.0.0.1/x?connect_timeout=soon"])
def test_an_option_that_means_nothing_is_the_address_s_fault(rest: str):
    with pytest.raises(InputError, match=r"cannot be used: (invalid|bad) ") as error:
        PostgresStore(f"postgresql://user:{PASSWORD}@{rest}")
    assert PASSWORD not in str(error.value)


def test_a_server_that_is_not_there_is_named_with_the_cause():
    with pytest.raises(
        StoreError, match=r"cannot connect to postgresql://user@127.0.0.1:1/x: .*Connection refused"
    ) as error:
        PostgresStore(f"postgresql://user:{PASSWORD}@127.0.0.1:1/x")
    assert error.value.retryable
    assert PASSWORD not in str(error.value)


def test_a_partition_cannot_take_what_stands_elsewhere(pg_store: PostgresStore, database: PostgresSubject):
    fill(pg_store, 1)
    with pytest.raises(psycopg.errors.CheckViolation):
        database.execute("SELECT add_partition('entries_2026_07', '2026-07-01', '2026-08-01')")
    assert database.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'entries'::regclass") == [(1,)]
    append(pg_store, [draft(1)], at=1)


def test_what_follows_an_announcement_stands_right_behind_it(proxied: tuple[CuttingProxy, PostgresStore]):
    proxy, store = proxied
    fill(store, 1)
    proxy.arm()
    announced = draft(7, type_="auditseal.checkpoint")
    made = store.announce("default", lambda *_: announced, lambda: START, then=[draft(8), draft(9)])
    assert (made.seq, proxy.cuts) == (1, 1)
    assert check_chains(store.walk()) == {"default": 4}
