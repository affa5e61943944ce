"""Appending to SQLite in batches of 100, FULL, unsigned, against a bare loop that does the same without a product.

The bare loop canonicalises, hashes and inserts the same bodies into a table with the same indexes, in the same
transactions; it checks nothing, shares nothing and answers nothing.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import tempfile
from itertools import count
from pathlib import Path

from common import Result, in_turns, print_results, rate
from logs import event

from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.core.canonical import canonicalize
from auditseal.core.times import format_time
from auditseal.service.append import Appender
from auditseal.service.ids import new_id, now_micros

BATCH, BATCHES = 100, 200
_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE entries (stream TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, time TEXT NOT NULL,
    type TEXT NOT NULL, actor TEXT, body BLOB NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX entries_place ON entries (stream, seq);
CREATE UNIQUE INDEX entries_link ON entries (stream, prev_hash);
CREATE UNIQUE INDEX entries_id ON entries (stream, id);
"""


def ours(folder: Path, numbers: count) -> float:
    address = f"sqlite:///{folder / f'ours-{next(numbers)}.db'}"
    SqliteStore.create(address)
    store = SqliteStore(address)
    appender = Appender(store, None)

    def work() -> int:
        for first in range(0, BATCH * BATCHES, BATCH):
            appender.append_many([event(number) for number in range(first, first + BATCH)], ack="durable")
        return BATCH * BATCHES

    figure = rate(work)
    store.close()
    return figure


def bare(folder: Path, numbers: count) -> float:
    database = sqlite3.connect(folder / f"bare-{next(numbers)}.db", isolation_level=None)
    database.executescript(_SCHEMA)
    database.execute("PRAGMA synchronous = FULL")
    tip = b""

    def work() -> int:
        nonlocal tip
        for first in range(0, BATCH * BATCHES, BATCH):
            database.execute("BEGIN IMMEDIATE")
            rows = []
            for seq in range(first, first + BATCH):
                what = event(seq)
                members = {
                    "v": 1,
                    "stream": what.stream,
                    "seq": seq,
                    "id": new_id(),
                    "time": format_time(now_micros()),
                    "type": what.type,
                    "actor": what.actor,
                    "payload": what.payload,
                }
                body = canonicalize(members)
                hash_ = hashlib.sha256(body + tip).digest()
                rows.append(("bench", seq, members["id"], members["time"], what.type, what.actor, body, tip, hash_))
                tip = hash_
            database.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            database.execute("COMMIT")
        return BATCH * BATCHES

    figure = rate(work)
    database.close()
    return figure


def measure() -> list[Result]:
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder, numbers = Path(name), count()
        mine, theirs = in_turns(5, lambda: ours(folder, numbers), lambda: bare(folder, numbers))
    return [
        Result(
            what="append to SQLite in batches of 100, unsigned",
            ours=f"{mine:,.0f} events/s",
            theirs=f"bare loop {theirs:,.0f} events/s",
            ratio=mine / theirs,
            goal="at least 0.8",
            met=mine / theirs >= 0.8,
        )
    ]


if __name__ == "__main__":
    sys.exit(print_results(measure()))
