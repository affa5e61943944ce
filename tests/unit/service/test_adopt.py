from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditseal import open_log
from auditseal.core.agent_manager.row import parse_row
from auditseal.core.agent_manager.verify import verify_rows
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.chain import Head
from auditseal.core.entry_check import Trust
from auditseal.core.report import Report
from auditseal.errors import ConflictError, NotCheckedError, SignerError
from auditseal.ports import Signed
from auditseal.service.adopt import adopt
from auditseal.service.log import Log
from support.agent_manager import REGISTRY, make_rows


class Signer:
    """A signer that can be down."""

    signer_id, algorithm, development, concurrency = "new", ALGORITHMS[AlgorithmId.ED25519], True, 1
    down = False

    def start(self) -> None:
        pass

    def sign(self, digest: bytes) -> Signed:
        if self.down:
            raise SignerError("the KMS does not answer", reason="unreachable", retryable=True)
        return Signed(signature=digest)

    def close(self) -> None:
        pass


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def log(tmp_path: Path, signer: Signer) -> Iterator[Log]:
    with open_log(f"sqlite:///{tmp_path / 'log.db'}", signer=signer, create=True) as opened:
        yield opened


def _report(count: int, **changed: object) -> Report:
    report = verify_rows("rows.json", [parse_row(row) for row in make_rows(count)], Trust(registry=REGISTRY))
    members = {name: getattr(report, name) for name in Report.__slots__}
    return Report(**members | changed)


def test_the_statement_is_the_stream_s_first_entry(log: Log):
    receipt = adopt(log, _report(3), stream="history", actor="user:alice")
    assert (receipt.seq, receipt.status, receipt.stream) == (0, "signed", "history")


def test_nothing_is_adopted_without_rows_or_with_keys_that_did_not_answer(log: Log):
    with pytest.raises(NotCheckedError, match="has no rows"):
        adopt(log, _report(0), stream="history")
    with pytest.raises(NotCheckedError, match="nothing was adopted: KMS is away"):
        adopt(log, _report(3, unreachable="KMS is away"), stream="history")
    assert log.store.count() == 0


def test_a_statement_that_is_not_first_is_said_to_be_none(log: Log, monkeypatch: pytest.MonkeyPatch):
    log.append("somebody.else", stream="history")
    monkeypatch.setattr(log.store, "head", lambda stream: Head(stream=stream))
    with pytest.raises(ConflictError, match="stands at #1: adopt once more into a new stream"):
        adopt(log, _report(3), stream="history")


def test_a_statement_whose_signature_is_due_is_not_reported_as_signed(log: Log, signer: Signer):
    signer.down = True
    with pytest.raises(SignerError, match="its signature is due: the KMS does not answer") as caught:
        adopt(log, _report(3), stream="history")
    assert caught.value.retryable
    signer.down = False
    while log.sign_pending().left:  # a signer that failed is left alone for a moment
        time.sleep(0.05)
    assert log.store.entry("history", 0).signatures
