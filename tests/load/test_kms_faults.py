"""KMS fails in every way it can, under load.

Nothing acknowledged is lost, nothing is called signed that is not, and what waits is signed without anybody's help once
KMS answers again.
"""

from __future__ import annotations

import threading
from functools import partial

import httpx2
import pytest

from auditseal.adapters.registry_file import update_registry
from auditseal.client import Client
from auditseal.config import load_settings
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.key import parse_public_key
from auditseal.core.registry import RegisteredSigner
from auditseal.wiring import signing
from auditseal.wiring.sources import create_store, open_store
from fakes.kms import FakeKms
from support.load import Account, check_account, verified, write, writers
from support.service import Replicas, make_token, service_environment, wait_until

FAULTS = {
    "throttles": lambda kms, key: kms.faults.add("throttled", operation="Sign"),
    "is-slow": lambda kms, key: setattr(kms.faults, "latency_s", 0.4),
    "never-answers": lambda kms, key: kms.faults.add("hang", operation="Sign"),
    "signs-and-never-answers": lambda kms, key: kms.faults.add("hang-after", operation="Sign"),
    "drops-connections": lambda kms, key: kms.faults.add("reset", operation="Sign"),
    "answers-wrong-bytes": lambda kms, key: kms.faults.add("wrong-signature", operation="Sign"),
    "answers-for-another-key": lambda kms, key: kms.faults.add("other-key", operation="Sign"),
    "answers-garbage": lambda kms, key: kms.faults.add("garbage", operation="Sign", status=200),
    "denies": lambda kms, key: kms.faults.add("denied", operation="Sign"),
    "has-the-key-disabled": lambda kms, key: setattr(kms.service.store.keys[key.id], "state", "Disabled"),
}


@pytest.fixture
def key(kms):
    return kms.create("ECC_NIST_EDWARDS25519", alias="alias/audit")


@pytest.fixture
def replicas(tmp_path, kms, key, monkeypatch):
    address = f"sqlite:///{tmp_path / 'audit.db'}"
    aws = {"AWS_ENDPOINT_URL_KMS": kms.url, "AWS_REGION": kms.region}
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    create_store(address)
    _register(tmp_path / "signers.json")
    environment = service_environment(
        AUDITSEAL_LOG=address,
        AUDITSEAL_TOKENS=str(tmp_path / "tokens.json"),
        AUDITSEAL_SIGNERS=str(tmp_path / "signers.json"),
        AUDIT_SIGNING_KMS_KEY_ID="alias/audit",
        AUDIT_SIGNER_KID="audit",
        REQUIRE_KMS="true",
        AUDITSEAL_KMS_DEADLINE_S="1",
        AUDITSEAL_BACKLOG_LIMIT="400",
    )
    running = Replicas(tmp_path, environment)
    yield running
    running.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_kms_does_nothing_is_lost_and_it_recovers_by_itself(tmp_path, kms: FakeKms, key, replicas, fault):
    token = make_token(tmp_path / "tokens.json", roles=("producer", "operator"))
    address = f"sqlite:///{tmp_path / 'audit.db'}"
    replica = replicas.start()
    account = Account()
    ended = threading.Event()
    struck = threading.Event()
    client = Client(replica.url, token=token, timeout_s=20, retry_for_s=0)
    works = [
        partial(write, client, account, f"s{n}", batch=size, go_on=lambda _: not ended.is_set())
        for n, size in ((0, 1), (1, 1), (2, 20))
    ]
    with writers(works, ended):
        try:
            wait_until(lambda: len(account.told) > 60, "events before the fault")
            FAULTS[fault](kms, key)
            struck.set()
            before = len(account.told)
            wait_until(lambda: len(account.told) > before + 40 or account.refused, "events during the fault")
            assert httpx2.get(f"{replica.url}/healthz", trust_env=False).status_code == 200
        finally:
            kms.faults.clear()
            kms.service.store.keys[key.id].state = "Enabled"
            recovered = len(account.told)
            wait_until(lambda: len(account.told) > recovered + 40, "events after the fault", timeout_s=60)
    client.close()
    assert set(account.told) == account.sent
    check_account(address, account)
    wait_until(lambda: _pending(address) == 0, "what waits is signed by itself", timeout_s=90)
    report = verified(address, str(tmp_path / "signers.json"))
    assert (report.verdict, report.checked["entries"]) == ("valid", len(account.sent))


def test_while_kms_is_away_the_service_says_how_much_waits_and_since_when(tmp_path, kms, key, replicas):
    token = make_token(tmp_path / "tokens.json", roles=("producer", "operator"))
    replica = replicas.start()
    kms.faults.add("denied", operation="Sign")
    account = Account()
    with Client(replica.url, token=token, retry_for_s=0) as client:
        write(client, account, "agents", batch=1, go_on=lambda done: done < 3)
    answer = httpx2.get(f"{replica.url}/readyz", trust_env=False).json()
    checks = {check["name"]: check for check in answer["checks"]}
    assert answer["ready"]
    assert checks["backlog"]["detail"].startswith("3 entries wait for a signature, the first since 20")
    assert checks["signer"]["status"] == "warn"
    metrics = httpx2.get(f"{replica.url}/metrics", headers={"Authorization": f"Bearer {token}"}, trust_env=False).text
    assert "auditseal_pending 3.0" in metrics
    assert "auditseal_signer_errors_total{reason=" in metrics


def _pending(address: str) -> int:
    store = open_store(address, read_only=True)
    try:
        return store.count_pending()
    finally:
        store.close()


def _register(path) -> None:
    keys = signing.open_keys(load_settings(environment={}).settings, key_id="alias/audit")
    try:
        exported = keys.export_public_key("alias/audit")
    finally:
        keys.close()
    signer = RegisteredSigner(
        signer_id="audit",
        algorithm=ALGORITHMS[AlgorithmId.ED25519],
        public_key=parse_public_key(exported.der),
        key_arn=exported.arn,
    )
    update_registry(path, lambda registry: registry.with_signer(signer), create=True)
