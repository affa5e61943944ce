"""A SQLite log in a folder of the test's own, and a signer that the test scripts."""

from __future__ import annotations

import pytest

from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.service.append import Appender
from auditseal.service.backlog import SigningPolicy
from auditseal.service.log import Log
from auditseal.service.seal import Sealer
from fakes.scripted_signer import ScriptedSigner


@pytest.fixture
def address(tmp_path):
    address = f"sqlite:///{tmp_path}/audit.db"
    SqliteStore.create(address)
    return address


@pytest.fixture
def store(address):
    opened = SqliteStore(address)
    yield opened
    opened.close()


@pytest.fixture
def signer():
    return ScriptedSigner()


@pytest.fixture
def sealer(store, signer):
    made = Sealer(store, signer)
    yield made
    made.close()


@pytest.fixture
def make(store, sealer):
    """Makes a log over the store: `make("refuse", backlog_limit=3)`."""

    def build(on_failure="queue", *, sealer=sealer, resealer=None, **members):
        policy = {"on_failure": on_failure}
        if "backlog_limit" in members:
            policy["backlog_limit"] = members.pop("backlog_limit")
        appender = Appender(store, sealer, resealer=resealer, policy=SigningPolicy(**policy), **members)
        return Log(store, appender, sealer=sealer, resealer=resealer)

    return build


@pytest.fixture
def log(make):
    return make()
