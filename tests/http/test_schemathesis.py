"""Schemathesis over the OpenAPI document finds no 5xx, and no answer that the document does not describe."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from auditseal.http import tail
from support.service import App, make_token, running_app

EXAMPLES = int(os.environ.get("AUDITSEAL_TEST_EXAMPLES", "15"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value: str) -> bytes:
    """The text as it is, and inside an event: both good lines and bad ones."""
    return str(value).encode("utf-8", "replace") + b"\n" + orjson.dumps({"type": "fuzz", "payload": {"t": str(value)}})


@pytest.fixture
def fuzzed(tmp_path: Path, monkeypatch) -> Iterator[App]:
    """An application with entries, and all roles in one token."""
    monkeypatch.setattr(tail, "_events", _nothing_more)
    with running_app(tmp_path, rate_limit_per_s=0, verification_limit=100) as app:
        app.tokens["all"] = make_token(tmp_path / "tokens.json", "all", roles=("producer", "auditor", "operator"))
        for authenticator in app.serving.authenticators:
            authenticator._looked_at = float("-inf")
        for number in range(5):
            app.append(payload={"n": number})
        yield app


async def _nothing_more(*_):
    """A tail has no end of its own; here each ends after it has begun."""
    yield b"retry: 2000\n\n"


def _operations(app: App) -> list[APIOperation]:
    schema = schemathesis.openapi.from_dict(app.client.app.openapi())
    schema.app = app.client.app
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
def test_every_answer_is_one_that_the_document_describes(fuzzed: App, mode, subtests):
    sent: set[str] = set()
    for operation in _operations(fuzzed):
        # What has no parameters cannot be called in a wrong way.
        with subtests.test(operation.label), contextlib.suppress(Unsatisfiable):
            _send(operation, mode, fuzzed.headers("all"), sent)
    assert len(sent) >= (16 if mode is GenerationMode.POSITIVE else 8), sent


def _send(operation: APIOperation, mode: GenerationMode, headers: dict[str, str], sent: set[str]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case) -> None:
        sent.add(operation.label)
        case.call_and_validate(checks=CHECKS, headers=headers)

    send()
