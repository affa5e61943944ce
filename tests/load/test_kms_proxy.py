"""An emulated KMS behind a proxy that does to its answers what networks and quotas do, one thing after the other.

What is acknowledged is there, what is called signed is signed, and the service recovers without anybody's help.
"""

from __future__ import annotations

import os
import threading
from functools import partial

import boto3
import pytest

from auditseal.adapters.registry_file import update_registry
from auditseal.client import Client
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.key import parse_public_key
from auditseal.core.registry import RegisteredSigner
from auditseal.wiring.sources import create_store, open_store
from support.faulty_proxy import faulty_proxy
from support.load import Account, check_account, verified, write, writers
from support.service import Replicas, make_token, service_environment, wait_until

FAULTS = ("throttle", "delay", "time-out-after-signing", "wrong-bytes", "deny", "disabled")
ALIAS = "alias/behind-a-proxy"


@pytest.fixture
def client(emulator):
    made = boto3.client("kms", endpoint_url=emulator.url, region_name=emulator.region)
    yield made
    made.close()


@pytest.fixture
def signer(client):
    """A key in the emulator, as a verifier knows it."""
    key = client.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    client.create_alias(AliasName=ALIAS, TargetKeyId=key["KeyId"])
    yield RegisteredSigner(
        signer_id="audit",
        algorithm=ALGORITHMS[AlgorithmId.ED25519],
        public_key=parse_public_key(client.get_public_key(KeyId=ALIAS)["PublicKey"]),
        key_arn=key["Arn"],
    )
    client.delete_alias(AliasName=ALIAS)


def test_nothing_is_lost_behind_a_proxy_that_fails_in_every_way(tmp_path, emulator, client, signer, monkeypatch):
    log, signers = f"sqlite:///{tmp_path / 'audit.db'}", tmp_path / "signers.json"
    create_store(log)
    update_registry(signers, lambda registry: registry.with_signer(signer), create=True)
    token = make_token(tmp_path / "tokens.json", roles=("producer", "operator"))
    monkeypatch.setenv("AWS_REGION", emulator.region)
    with faulty_proxy(emulator.url) as proxy:
        replicas = Replicas(
            tmp_path,
            service_environment(
                AWS_ENDPOINT_URL_KMS=proxy.url,
                AWS_REGION=emulator.region,
                AWS_ACCESS_KEY_ID=os.environ["AWS_ACCESS_KEY_ID"],
                AWS_SECRET_ACCESS_KEY=os.environ["AWS_SECRET_ACCESS_KEY"],
                AUDITSEAL_LOG=log,
                AUDITSEAL_TOKENS=str(tmp_path / "tokens.json"),
                AUDITSEAL_SIGNERS=str(signers),
                AUDIT_SIGNING_KMS_KEY_ID=ALIAS,
                AUDIT_SIGNER_KID="audit",
                REQUIRE_KMS="true",
                AUDITSEAL_KMS_DEADLINE_S="1",
                AUDITSEAL_BACKLOG_LIMIT="200",
            ),
        )
        account, ended = Account(), threading.Event()
        caller = Client(replicas.start().url, token=token, timeout_s=20, retry_for_s=0)
        works = [
            partial(write, caller, account, f"s{n}", batch=size, go_on=lambda _: not ended.is_set())
            for n, size in ((0, 1), (1, 1), (2, 10))
        ]
        try:
            with writers(works, ended):
                for fault in FAULTS:
                    _suffer(fault, proxy, client, signer, account)
            wait_until(lambda: _pending(log) == 0, "what waits is signed by itself", timeout_s=60)
        finally:
            caller.close()
            replicas.close()
    assert set(account.told) == account.sent
    check_account(log, account)
    report = verified(log, str(signers))
    assert (report.verdict, report.checked["entries"]) == ("valid", len(account.sent))


def _suffer(fault, proxy, client, signer, account):
    """One fault, until it was felt; then until events are signed again."""
    struck, told, refused = proxy.struck, len(account.told), len(account.refused)
    try:
        if fault == "disabled":
            client.disable_key(KeyId=signer.key_arn)
            wait_until(lambda: len(account.told) > told + 5 or len(account.refused) > refused, "events without the key")
        else:
            proxy.fault = fault
            wait_until(lambda: proxy.struck > struck + 3, f"calls that it strikes: {fault}", timeout_s=60)
    finally:
        proxy.fault = None
        client.enable_key(KeyId=signer.key_arn)
    signed = _signed(account)
    wait_until(lambda: _signed(account) > signed + 10, f"signed events after it: {fault}", timeout_s=60)


def _signed(account):
    with account.lock:
        return sum(receipts[-1].status == "signed" for receipts in account.told.values())


def _pending(address):
    store = open_store(address, read_only=True)
    try:
        return store.count_pending()
    finally:
        store.close()
