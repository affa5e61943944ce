"""Appending to PostgreSQL in batches of 100, unsigned, against a bare COPY loop that does the same without a product.

The bare loop locks its stream's head row, canonicalises, hashes and copies the same bodies into a table with the same
indexes, moves the head and commits, over one connection to the same server, which writes to disk (fsync). It checks
nothing, shares nothing and answers nothing.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import psycopg
from common import Result, in_turns, print_results, rate
from logs import event

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from auditseal.adapters.stores.postgres import PostgresStore
from auditseal.core.canonical import canonicalize
from auditseal.core.times import format_time
from auditseal.service.append import Appender
from auditseal.service.ids import new_id, now_micros
from support.postgres_server import PostgresServer, running_postgres

BATCH, BATCHES = 100, 200
_SCHEMA = """
CREATE TABLE heads (stream text PRIMARY KEY, seq bigint NOT NULL, hash bytea NOT NULL, time text NOT NULL);
CREATE TABLE entries (stream text COLLATE "C" NOT NULL, seq bigint NOT NULL, id text COLLATE "C" NOT NULL,
    time text NOT NULL, type text NOT NULL, actor text, body bytea NOT NULL, prev_hash bytea NOT NULL,
    hash bytea NOT NULL);
CREATE UNIQUE INDEX entries_place ON entries (stream, seq);
CREATE UNIQUE INDEX entries_link ON entries (stream, prev_hash);
CREATE UNIQUE INDEX entries_id ON entries (stream, id);
INSERT INTO heads VALUES ('bench', -1, '', '');
"""
_TYPES = ("text", "int8", "text", "text", "text", "text", "bytea", "bytea", "bytea")


def ours(server: PostgresServer) -> float:
    store = PostgresStore(server.url(server.create_log_database()))
    appender = Appender(store, None)

    def work() -> int:
        for first in range(0, BATCH * BATCHES, BATCH):
            appender.append_many([event(number) for number in range(first, first + BATCH)], ack="durable")
        return BATCH * BATCHES

    figure = rate(work)
    store.close()
    return figure


def bare(server: PostgresServer) -> float:
    database = psycopg.connect(server.url(server.create_database()), autocommit=True)
    database.execute(_SCHEMA)

    def work() -> int:
        for _ in range(BATCHES):
            with database.transaction():
                _batch(database)
        return BATCH * BATCHES

    figure = rate(work)
    database.close()
    return figure


def _batch(database: psycopg.Connection) -> None:
    locked = database.execute("SELECT seq, hash FROM heads WHERE stream = %s FOR NO KEY UPDATE", ["bench"], binary=True)
    last, tip = locked.fetchone()
    with database.cursor() as cursor, cursor.copy("COPY entries FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(_TYPES)
        for seq in range(last + 1, last + 1 + BATCH):
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
            copy.write_row(("bench", seq, members["id"], members["time"], what.type, what.actor, body, tip, hash_))
            tip = hash_
    database.execute(
        "UPDATE heads SET seq = %s, hash = %s, time = %s WHERE stream = %s", [seq, tip, members["time"], "bench"]
    )


def measure() -> list[Result]:
    with running_postgres() as server:
        mine, theirs = in_turns(5, lambda: ours(server), lambda: bare(server))
    return [
        Result(
            what="append to PostgreSQL in batches of 100, unsigned",
            ours=f"{mine:,.0f} events/s",
            theirs=f"bare COPY loop {theirs:,.0f} events/s",
            ratio=mine / theirs,
            goal="at least 0.7",
            met=mine / theirs >= 0.7,
        )
    ]


if __name__ == "__main__":
    sys.exit(print_results(measure()))
