"""What only a file can suffer: no room, no right to write, locks, damage, another program's or a newer log, SIGKILL."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from auditseal.adapters.stores.sqlite import connection as opening
from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.errors import ConfigError, InputError, NotFoundError, StoreError
from support.processes import finish, start
from support.store_events import append, check_chains, draft, fill, places, signature_for

KILLS = 50


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "log.db"
    SqliteStore.create(f"sqlite:///{file}")
    return file


@pytest.fixture
def store(path: Path):
    with closing(SqliteStore(f"sqlite:///{path}")) as opened:
        yield opened


def _run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_full_disk_stores_nothing_of_the_append_and_says_so(store: SqliteStore):
    fill(store, 2)
    connection = store._writer
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="the disk is full") as caught:
        append(store, [draft(2), draft(3, payload={"text": "x" * 100_000})])
    assert not caught.value.retryable
    assert places(store.walk()) == [("default", 0), ("default", 1)]
    connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    append(store, [draft(2)])
    assert check_chains(store.walk()) == {"default": 3}


def test_a_log_whose_file_may_not_be_written_says_so_and_can_still_be_read(path: Path, store: SqliteStore, tmp_path):
    fill(store, 3)
    store.close()
    folder = tmp_path / "read-only"
    folder.mkdir()
    shutil.copy(path, folder / "log.db")
    # What holds for everybody, root too: a database that is opened read-only refuses to write.
    reader = opening.open_for_reading(folder / "log.db")
    with closing(reader), pytest.raises(StoreError, match="cannot be written"), opening.errors_of(folder):
        reader.execute("INSERT INTO signed_below VALUES ('default', 1)")
    (folder / "log.db").chmod(0o444)
    folder.chmod(0o555)
    with closing(SqliteStore(f"sqlite:///{folder / 'log.db'}", read_only=True)) as copy:
        assert check_chains(copy.walk()) == {"default": 3}
    folder.chmod(0o755)


def test_a_log_in_a_read_only_place_without_a_wal_is_read_as_it_stands(path, store, monkeypatch: pytest.MonkeyPatch):
    fill(store, 3)
    store.close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with closing(SqliteStore(f"sqlite:///{path}", read_only=True)) as reader:
        assert reader.count() == 3


def test_a_log_that_another_program_locks_can_be_tried_again(path: Path, store: SqliteStore):
    store._writer.execute("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="is locked by another program") as caught:
            append(store, [draft(0)])
        assert caught.value.retryable
        other.execute("ROLLBACK")
    append(store, [draft(0)])
    assert store.count() == 1


def test_a_damaged_file_says_so(path: Path, store: SqliteStore):
    fill(store, 200)
    store.close()
    _run(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    for page in range(4096 * 12, len(content), 4096):
        content[page : page + 200] = b"\xff" * 200
    path.write_bytes(content)
    # What is met first, at opening or on the way, is left open: it depends on which table lies on which page.
    with pytest.raises(StoreError, match="is damaged") as caught, closing(SqliteStore(f"sqlite:///{path}")) as damaged:
        check_chains(damaged.walk())
    assert not caught.value.retryable


def test_a_truncated_file_says_so(path: Path, store: SqliteStore):
    fill(store, 200)
    store.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(StoreError, match="is damaged"), closing(SqliteStore(f"sqlite:///{path}")) as damaged:
        check_chains(damaged.walk())


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_log_is_refused_and_left_alone(path: Path, read_only: bool):
    _run(path, "UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    for attempt in (SqliteStore, lambda address, **_: SqliteStore.create(address)):
        with pytest.raises(ConfigError, match=r"schema version 9999.*update auditseal"):
            attempt(f"sqlite:///{path}", read_only=read_only)
    assert path.read_bytes() == before


def test_an_older_log_is_refused_until_it_is_brought_up_to_date(path: Path):
    _run(path, "UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(ConfigError, match="auditseal init"):
        SqliteStore(f"sqlite:///{path}")


@pytest.mark.parametrize("content", [b"this is no database, and long enough to be read as one" * 100, b"{}"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for attempt in (SqliteStore, SqliteStore.create):
        with pytest.raises(StoreError, match="is not a SQLite database"):
            attempt(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "shop.db"
    _run(path, "CREATE TABLE orders (id INTEGER)")
    before = path.read_bytes()
    for attempt in (SqliteStore, SqliteStore.create):
        with pytest.raises(ConfigError, match="a database of another program"):
            attempt(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_an_empty_file_holds_no_log(tmp_path: Path):
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(NotFoundError, match="auditseal init"):
        SqliteStore(f"sqlite:///{path}")


def test_what_is_no_file_or_not_there_is_named(tmp_path: Path):
    with pytest.raises(NotFoundError, match="there is no log at"):
        SqliteStore(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(InputError, match="is not a file"):
        SqliteStore(f"sqlite:///{tmp_path}")
    with pytest.raises(StoreError, match="does not exist: create it first"):
        SqliteStore.create(f"sqlite:///{tmp_path / 'no-folder' / 'log.db'}")
    for wrong in ("sqlite:///", "sqlite:///:memory:", "audit.db"):
        with pytest.raises(InputError, match="is not an address"):
            SqliteStore(wrong)


def test_insert_or_replace_deletes_nothing(path: Path, store: SqliteStore):
    store.add_signatures([signature_for(entry) for entry in fill(store, 2)])
    before = list(store.walk())
    with pytest.raises(sqlite3.IntegrityError, match="must follow the last one"):
        _run(path, "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE seq = 1")
    _run(path, "INSERT OR REPLACE INTO signatures SELECT * FROM signatures WHERE seq = 1")
    assert list(store.walk()) == before


def test_entries_at_one_place_keep_the_signatures_made_for_their_hash(path: Path, store: SqliteStore):
    store.add_signatures([signature_for(entry) for entry in fill(store, 2)])
    _run(
        path,
        "DROP TRIGGER entries_follow",
        "DROP INDEX entries_place",
        "DROP INDEX entries_link",
        "INSERT INTO entries SELECT stream, seq, 'forged', time, type, actor, body, prev_hash, x'ff' FROM entries "
        "WHERE seq = 1",
    )
    read = list(store.walk())
    assert [(entry.seq, entry.columns.id == "forged", len(entry.signatures)) for entry in read] == [
        (0, False, 1),
        (1, False, 1),
        (1, True, 0),
    ]
    assert [len(list(store.read_part(part))) for part in store.parts(None, 1)] == [1, 2]


def test_killing_a_writer_loses_no_acknowledged_entry(path: Path, store: SqliteStore):
    writers = start("support.killed_writers", f"sqlite:///{path}", KILLS, 20_261_124)
    acknowledged = [line.split() for line in finish(writers)]
    assert len(acknowledged) >= KILLS
    stored = {entry.columns.id: (str(entry.seq), entry.hash.hex()) for entry in store.walk()}
    assert [stored[id_] for _, id_, _ in acknowledged] == [(seq, hash_) for seq, _, hash_ in acknowledged]
    assert len({id_ for _, id_, _ in acknowledged}) == len(acknowledged)
    assert check_chains(store.walk()) == {"default": len(stored)}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
