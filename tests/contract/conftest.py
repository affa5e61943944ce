"""The stores of the contract suite, each over an empty log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from auditseal.ports import Store
from contract.store_subjects import Subject, opened, postgres_subject, sqlite_subject


@pytest.fixture(params=["sqlite", "postgres"])
def subject(request: pytest.FixtureRequest, tmp_path) -> Subject:
    if request.param == "sqlite":
        return sqlite_subject(tmp_path)
    return postgres_subject(request.getfixturevalue("postgres"))


@pytest.fixture
def store(subject: Subject) -> Iterator[Store]:
    with opened(subject) as opened_store:
        yield opened_store
