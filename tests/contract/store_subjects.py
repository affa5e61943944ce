"""Every implementation of `Store`, made the same way for the contract suite: an empty log, and a way past the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg

from auditseal.ports import Store
from auditseal.wiring.sources import create_store, open_store
from support.postgres_server import PostgresServer


class Subject(Protocol):
    """An empty log of one implementation.

    Attributes:
        address: where it is, as another process opens it.
        shown_address: where it is, as anybody may read it.
        refusal: what its driver raises when the database refuses a statement.
    """

    address: str
    shown_address: str
    refusal: type[Exception]

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs SQL past the store, as whoever owns the database, and commits."""


@dataclass(frozen=True, kw_only=True)
class SqliteSubject:
    """A file of its own for each test."""

    address: str
    shown_address: str
    refusal: type[Exception] = sqlite3.DatabaseError

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.address.removeprefix("sqlite:///"))) as connection, connection:
            return connection.execute(statement).fetchall()


def sqlite_subject(folder: Path) -> SqliteSubject:
    address = f"sqlite:///{folder / 'log.db'}"
    create_store(address)
    return SqliteSubject(address=address, shown_address=address)


@dataclass(frozen=True, kw_only=True)
class PostgresSubject:
    """A database of its own for each test."""

    address: str
    shown_address: str
    refusal: type[Exception] = psycopg.DatabaseError

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.address, autocommit=True, options="-c search_path=auditseal") as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


def postgres_subject(server: PostgresServer) -> PostgresSubject:
    database = server.create_log_database()
    return PostgresSubject(address=server.url(database), shown_address=server.url(database, password=None))


@contextmanager
def opened(subject: Subject, *, read_only: bool = False) -> Iterator[Store]:
    """The subject's log, closed in the end."""
    store = open_store(subject.address, read_only=read_only)
    try:
        yield store
    finally:
        store.close()
