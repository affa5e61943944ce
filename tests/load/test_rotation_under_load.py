"""A rotation while replicas of the service append: they follow by themselves, and nothing is lost."""

from __future__ import annotations

import itertools
import shlex
import threading
from contextlib import closing
from functools import partial

import pytest

from auditseal.adapters.registry_file import load_registry
from auditseal.cli import entry
from auditseal.client import Client
from auditseal.config import load_settings
from auditseal.service.registry_check import check_registry
from auditseal.service.rotate.activate import activate, publish
from auditseal.service.rotate.finish import disable, retire, verify
from auditseal.service.rotate.start import Wish, start
from auditseal.wiring.rotating import open_desk
from auditseal.wiring.sources import open_store
from support.load import Account, check_account, verified, write, writers
from support.service import Replicas, is_up, make_token, service_environment, wait_until

OLD, NEW = "audit-2026", "audit-2027"
STREAMS = ("agents", "billing/eu", "ci")
LATE = "begun-after-the-activation"
BETWEEN = 30
"""Events that are acknowledged before the next step."""
PAUSE_S = 0.1


@pytest.fixture(params=["event", "checkpoint"])
def environment(request, tmp_path, kms, database, monkeypatch):
    """The settings of replicas and operator: a log on PostgreSQL that KMS signs, in either mode."""
    monkeypatch.chdir(tmp_path)
    settings = {
        "AUDITSEAL_LOG": database.url(database.create_database()),
        "AUDITSEAL_SIGNERS": str(tmp_path / "signers.json"),
        "AUDITSEAL_SIGNERS_LOCATIONS": str(tmp_path / "published.json"),
        "AUDITSEAL_SIGNING_MODE": request.param,
        "AUDITSEAL_ORIGIN": "log.example/audit",
        "AUDIT_SIGNING_KMS_KEY_ID": "alias/audit",
        "AUDIT_SIGNER_KID": OLD,
        "REQUIRE_KMS": "true",
        "AWS_ENDPOINT_URL_KMS": kms.url,
        "AWS_REGION": kms.region,
        "AUDITSEAL_KMS_DEADLINE_S": "5",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    run(f"keys create --algorithm rsa-sha256 --alias alias/audit --signer-id {OLD} --signers signers.json")
    run("init")
    return settings


@pytest.fixture
def replicas(tmp_path, environment):
    running = Replicas(tmp_path, service_environment(**environment, AUDITSEAL_TOKENS=str(tmp_path / "tokens.json")))
    yield running
    running.close()


def run(command: str) -> None:
    assert entry.run(shlex.split(command)) == 0, command


def test_two_replicas_go_over_at_the_switch_without_a_restart_and_lose_nothing(tmp_path, kms, environment, replicas):
    token = make_token(tmp_path / "tokens.json", roles=("producer", "operator"))
    running = [replicas.start(ready=False) for _ in range(2)]
    clients = [Client(replica.url, token=token, timeout_s=60, retry_for_s=0) for replica in running]
    account, ended, activated = Account(), threading.Event(), threading.Event()
    works = [
        partial(write, clients[n % 2], account, STREAMS[n % 3], batch=size, go_on=lambda _: not ended.wait(PAUSE_S))
        for n, size in zip(range(6), itertools.cycle([1, 1, 20]))
    ]

    def write_late(client: Client) -> None:
        activated.wait()
        write(client, account, LATE, batch=1, go_on=lambda _: not ended.wait(PAUSE_S))

    def append_more() -> None:
        before = len(account.told)
        wait_until(lambda: len(account.told) > before + BETWEEN, "the load goes on")

    works += [partial(write_late, client) for client in clients]
    wait_until(lambda: all(map(is_up, running)), "both replicas answer")
    with open_desk(load_settings().settings) as desk, writers(works, ended):
        try:
            append_more()
            rotation = start(desk, Wish(algorithm="ed25519", overlap_s=0, alias="alias/audit"))
            publish(desk)
            rotation = activate(desk, rotation)
            activated.set()
            append_more()
            publish(desk)
            rotation = disable(desk, retire(desk, verify(desk, rotation)))
            append_more()
        finally:
            activated.set()
    for client in clients:
        client.close()
    assert [replica.stop() for replica in running] == [0, 0]
    assert [key.state for key in kms.service.store.keys.values()] == ["Disabled", "Enabled"]
    assert (account.refused, set(account.told)) == ([], account.sent)
    check_account(environment["AUDITSEAL_LOG"], account)
    check_signers(environment["AUDITSEAL_LOG"], account, tmp_path / "signers.json")


def check_signers(address: str, account: Account, signers) -> None:
    """Each stream went over at the seq of its `signer.rotated`, and verifies from seq 0 with the one registry."""
    with closing(open_store(address, read_only=True)) as store:
        assert store.count_pending() == 0
        entries = list(store.walk())
        assert check_registry(load_registry(signers), store).findings == ()
    switched = {each.stream: each.seq for each in entries if each.columns.type == "signer.rotated"}
    assert set(STREAMS) <= set(switched)
    for receipts in account.told.values():
        for receipt in receipts:
            due = OLD if receipt.seq < switched.get(receipt.stream, 0) else NEW
            assert (receipt.status, receipt.signer) == ("signed", due), receipt
    for each in entries:
        for made in each.signatures:
            at = switched.get(each.stream, 0)
            assert made.signer == (OLD if each.seq < at else NEW) or each.seq == at
    report = verified(address, str(signers))
    assert (report.verdict, report.findings) == ("valid", ())
    assert report.checked["entries"] == len(entries)
    assert {summary.first_seq for summary in report.streams} == {0}
