"""A trail where CloudTrail puts it: an organisation's layout in a bucket, read over HTTP from the emulator."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from auditseal.adapters.trail.aws import client_of
from auditseal.adapters.trail.ledger import SqliteLedger
from auditseal.adapters.trail.s3 import S3Trail
from auditseal.core.account import AccountCode
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.expectation import expect
from auditseal.core.key import parse_public_key
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.core.trail_digest import parse_public_keys
from auditseal.errors import NotFoundError
from auditseal.service.accounting.reconcile import Asked, reconcile
from support.signed_log import SIGNER, ListSource, stored
from support.trail import BUCKET, KEY_ARN, ROLE, START, Bucket, sign_record

HOUR_S = 3600
FILES = 12
OTHER = "444455556666"
REGISTRY = Registry(
    signers=(
        RegisteredSigner(
            signer_id=SIGNER,
            algorithm=ALGORITHMS[AlgorithmId.ED25519],
            public_key=parse_public_key("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="),
            key_arn=KEY_ARN,
        ),
    )
)
LOG = ListSource([stored("default", number, START + number * 60) for number in range(FILES)])


@pytest.fixture
def client(emulator, monkeypatch):
    """Of the configuration that the trail itself uses; a page has few objects, so that there are several."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    made = client_of("s3")
    made.meta.events.register("before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=5))
    yield made
    made.close()


@pytest.fixture
def trail_files(tmp_path):
    """The bucket's content on disk: a log file for each call, two digests, and files of another account and kind."""
    made = Bucket(folder=tmp_path / "trail", key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    listed = [made.add_log([sign_record(START + n * 60, n)], START + HOUR_S) for n in range(FILES)]
    made.add_digest(listed, START, START + HOUR_S)
    made.add_digest([], START + HOUR_S, START + 2 * HOUR_S)
    other = Bucket(folder=made.folder, prefix=f"AWSLogs/o-example/{OTHER}")
    other.add_log([sign_record(START, 999, recipientAccountId=OTHER)], START + HOUR_S)
    made.write(f"{made.prefix}/CloudTrail-Insight/eu-central-1/2026/07/01/insight.json.gz", b"{}")
    return made


@pytest.fixture
def uploaded(client, trail_files):
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    names = []
    for path in sorted(trail_files.folder.rglob("*.gz")):
        names.append(path.relative_to(trail_files.folder).as_posix())
        signature = trail_files.signatures.get(names[-1])
        metadata = {} if signature is None else {"signature": signature, "signature-algorithm": "SHA256withRSA"}
        client.put_object(Bucket=BUCKET, Key=names[-1], Body=path.read_bytes(), Metadata=metadata)
    yield trail_files
    for name in names:
        client.delete_object(Bucket=BUCKET, Key=name)
    client.delete_bucket(Bucket=BUCKET)


def account(client, uploaded, prefix, ledger):
    asked = Asked(keys=parse_public_keys(uploaded.public_keys(), "keys"), until=START + HOUR_S)
    trail = S3Trail(f"s3://{BUCKET}/{prefix}", client)
    return reconcile(
        LOG,
        REGISTRY,
        trail,
        ledger,
        expectation=expect(REGISTRY, principals=[ROLE]),
        asked=replace(asked, since=START),
        clock=lambda: (START + 3 * HOUR_S) * 1_000_000,
    )


@pytest.mark.parametrize("prefix", ["AWSLogs", "AWSLogs/o-example/", ""])
def test_each_call_is_found_and_the_digests_signatures_are_in_the_metadata(client, uploaded, prefix, tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    report = account(client, uploaded, prefix, ledger)
    assert (report.verdict, report.findings) == ("valid", ())
    assert (report.checked["accounted"], report.checked["files"], report.checked["digests"]) == (FILES, FILES, 2)
    client.delete_object(Bucket=BUCKET, Key=uploaded.previous["key"])
    again = account(client, uploaded, prefix, ledger)  # what was read is not read again
    assert again.checked["accounted"] == FILES
    ledger.close()


def test_an_object_that_was_changed_is_found(client, uploaded):
    name = next(file.name for file in S3Trail(f"s3://{BUCKET}/AWSLogs", client).files()).removeprefix(f"{BUCKET}/")
    client.put_object(Bucket=BUCKET, Key=name, Body=b'{"Records":[]}')
    with closing(SqliteLedger()) as ledger:
        report = account(client, uploaded, "AWSLogs", ledger)
    assert AccountCode.TRAIL_TAMPERED in {finding.code for finding in report.findings}


def test_a_bucket_that_is_not_there_is_said(client):
    with pytest.raises(NotFoundError, match="does not exist"):
        list(S3Trail("s3://no-such-bucket-of-the-tests/AWSLogs", client).files())
