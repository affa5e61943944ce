"""A rotation makes calls of two keys, two of them for one entry and two within it: all are accounted for."""

import json

import pytest

from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.adapters.trail.folder import FolderTrail
from auditseal.adapters.trail.ledger import SqliteLedger
from auditseal.core.account import AccountCode
from auditseal.core.event import Event
from auditseal.core.expectation import expect
from auditseal.core.report import Verdict
from auditseal.core.rotation_event import ROTATED
from auditseal.core.times import Micros
from auditseal.service.accounting.reconcile import Asked, reconcile
from auditseal.service.ids import now_micros
from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.start import Wish, start
from support.rotating import ALIAS, Deployment


@pytest.fixture
def deployment(kms, tmp_path):
    made = Deployment(tmp_path, kms.url, kms.region)
    made.create()
    made.append()
    desk = made.desk()
    activate(desk, start(desk, Wish(algorithm="ecdsa-p256-sha256", overlap_s=0, alias=ALIAS)))
    desk.store.close()
    desk.keys.close()
    made.append()
    return made


def account(deployment, kms):
    (deployment.folder / "trail.json").write_text(json.dumps({"Records": kms.records()}))
    log, ledger = SqliteStore(deployment.address, read_only=True), SqliteLedger()
    registry = deployment.registry()
    try:
        return reconcile(
            log,
            registry,
            FolderTrail(deployment.folder / "trail.json"),
            ledger,
            expectation=expect(registry, principals=["*"], administrators=["*"]),
            asked=Asked(settle_s=0, accept_without_digests=True),
            clock=lambda: Micros(now_micros() + 2_000_000),
        )
    finally:
        ledger.close()
        log.close()


def test_a_rotation_is_accounted_for_with_its_proofs_and_told_as_changes(deployment, kms):
    report = account(deployment, kms)
    assert (report.verdict, report.checked["unaccounted"]) == (Verdict.VALID, 0)
    assert report.checked["accounted"] == len(kms.records("Sign"))
    assert [part.first_seq for part in report.accounted if part.stream == "default"] == [0]
    changes = [finding.actual for finding in report.findings if finding.code is AccountCode.KEY_CHANGED]
    assert "UpdateAlias" in changes


@pytest.mark.parametrize("how", ["forged", "again"])
def test_what_a_producer_writes_as_if_it_were_a_rotation_hides_no_call(deployment, kms, how):
    store = SqliteStore(deployment.address)
    rotated = next(
        entry for entry in store.walk() if b'"signer.rotated"' in entry.body and entry.columns.type == ROTATED
    )
    payload = json.loads(rotated.body)["payload"]
    store.close()
    calls = deployment.signers.open(deployment.registry().find("audit-2027"))
    hidden = calls.sign(b"\x05" * 32).request_id
    calls.close()
    payload["proofs"][1]["requestId"] = hidden
    payload["after"]["seq"] += how == "forged"
    with deployment.open_log() as log:
        log.append_own(Event(type=ROTATED, payload=payload, stream="default"))  # as somebody with the key could
    found = [finding for finding in account(deployment, kms).findings if finding.request_id == hidden]
    assert [finding.code for finding in found] == [AccountCode.UNACCOUNTED_SIGNATURE]
