"""A log whose entries have no signatures of their own, with several streams, and what its owner can do to it."""

from __future__ import annotations

import atexit
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from auditseal.adapters.stores.sqlite import SqliteStore
from auditseal.core.chain import entry_hash
from auditseal.core.entry import StoredEntry
from auditseal.core.event import Event
from auditseal.core.registry import Registry
from support.evidence import Key
from support.logs import Opened, opened_log, registered

KEY = Key("audit-2026")
LONG = 300
"""Entries of the stream `long` before its checkpoint: enough for a node of the tree to be kept."""


@dataclass(frozen=True)
class CoveredLog:
    """`main`: sizes 3 (signed) and 6 (through heads), two pending; `other`: 2 (through heads); `long`: 301."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "audit.db"

    @property
    def address(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def registry(self) -> Registry:
        return registered(KEY)

    @property
    def signers(self) -> Path:
        return self.folder / "signers.json"

    def entry(self, stream: str, seq: int) -> StoredEntry:
        with closing(SqliteStore(self.address, read_only=True)) as store:
            found = store.entry(stream, seq)
            assert found is not None
            return found

    def tamper(self, statement: str, *values: object) -> None:
        """As somebody who may do everything with the file: the triggers and indexes are gone afterwards."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            found = "SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'index') AND sql NOT NULL"
            for kind, name in database.execute(found).fetchall():
                database.execute(f"DROP {kind} {name}")
            assert database.execute(statement, values).rowcount > 0

    def change_body(self, stream: str, seq: int) -> bytes:
        """Puts another payload into a body, whose hash stays; gives what it hashes to."""
        entry = self.entry(stream, seq)
        body = entry.body.replace(b'"payload":{', b'"payload":{"forged":true,').replace(b",}", b"}")
        self.tamper("UPDATE entries SET body = ? WHERE stream = ? AND seq = ?", body, stream, seq)
        return entry_hash(body, entry.prev_hash)

    def rewrite(self, stream: str, seq: int) -> None:
        """Another body, and the hash that fits it."""
        changed = self.change_body(stream, seq)
        self.tamper("UPDATE entries SET hash = ? WHERE stream = ? AND seq = ?", changed, stream, seq)

    def rewrite_from(self, stream: str, seq: int) -> None:
        """Another body, and all hashes from there to the end of the stream."""
        changed = self.change_body(stream, seq)
        while True:
            self.tamper("UPDATE entries SET hash = ? WHERE stream = ? AND seq = ?", changed, stream, seq)
            seq += 1
            with closing(SqliteStore(self.address, read_only=True)) as store:
                following = store.entry(stream, seq)
            if following is None:
                return
            self.tamper("UPDATE entries SET prev_hash = ? WHERE stream = ? AND seq = ?", changed, stream, seq)
            changed = entry_hash(following.body, changed)


def append(opened: Opened, stream: str, count: int) -> None:
    """Appends without waiting for a checkpoint, which nobody makes but the test."""
    events = [Event(type="test.event", stream=stream, payload={"n": number}) for number in range(count)]
    opened.log.append_many(events, ack="durable")


@cache
def _built() -> Path:
    """Made once, and copied for each test."""
    folder = Path(mkdtemp(prefix="auditseal-covered-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with opened_log(folder / "audit.db", KEY, background=False) as opened:
        append(opened, "main", 2)
        opened.checkpointer.create(["main"])
        append(opened, "main", 2)
        append(opened, "other", 1)
        append(opened, "long", LONG)
        opened.checkpointer.create(["main", "other"])
        opened.checkpointer.create(["long"])
        append(opened, "main", 2)
    (folder / "signers.json").write_bytes(registered(KEY).to_json_bytes())
    return folder


def covered_log(folder: Path) -> CoveredLog:
    """A log of the caller's own."""
    shutil.copytree(_built(), folder, dirs_exist_ok=True)
    return CoveredLog(folder)
