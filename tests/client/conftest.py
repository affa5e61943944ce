"""The application in process, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auditseal.client import Client
from support.service import App, running_app
from support.transports import Faulty

URL = "http://127.0.0.1"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with running_app(tmp_path) as running:
        yield running


@pytest.fixture
def transport(app: App) -> Faulty:
    return Faulty(app.client._transport)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def make_client(app: App, transport: Faulty, pauses: list[float]) -> Iterator[Callable[..., Client]]:
    """Makes clients whose pauses take no time."""
    made = []

    def make(role: str = "producer", **arguments: Any) -> Client:
        token = arguments.pop("token", app.tokens[role])
        client = Client(URL, token=token, transport=transport, sleep=pauses.append, **arguments)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()
