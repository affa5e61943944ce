"""A PostgreSQL log of the test's own, open for appending."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from auditseal.adapters.stores.postgres import PostgresStore
from contract.store_subjects import PostgresSubject, postgres_subject
from support.postgres_server import PostgresServer


@pytest.fixture
def database(postgres: PostgresServer) -> PostgresSubject:
    return postgres_subject(postgres)


@pytest.fixture
def pg_store(database: PostgresSubject) -> Iterator[PostgresStore]:
    with closing(PostgresStore(database.address)) as store:
        yield store
