"""Anchors: a file, a git repository, time-stamps of a local authority, S3 with Object Lock in the emulator."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from auditseal.adapters.anchors.file import FileAnchor
from auditseal.adapters.anchors.git import GitAnchor
from auditseal.adapters.anchors.rfc3161 import Rfc3161Anchor
from auditseal.adapters.anchors.s3 import S3Anchor
from auditseal.core.note import format_note
from auditseal.errors import ConfigError, InputError, NotFoundError, RejectedError, StoreError
from auditseal.wiring.anchors import open_anchor
from support.evidence import Key, SmallLog
from support.tsa import Authority, running_authority

KEY = Key("audit-2026")
ONE = SmallLog("main").append(*({"n": number} for number in range(12)))
TWO = SmallLog("other").append(*({"n": number} for number in range(3)))
NOTES = [format_note(ONE.note(KEY, size=size)) for size in (10, 2, 12)]
FOREIGN = format_note(TWO.note(KEY))


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Iterator[Authority]:
    with running_authority(tmp_path_factory.mktemp("tsa")) as running:
        yield running


@pytest.fixture
def bucket(emulator):
    client = boto3.client("s3", endpoint_url=emulator.url, region_name="eu-central-1")
    name = f"anchors-{time.monotonic_ns()}"
    client.create_bucket(
        Bucket=name,
        ObjectLockEnabledForBucket=True,
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )
    yield name, client
    client.close()


def git(path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(path), *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(params=["file", "git", "rfc3161", "s3"])
def anchor(request, tmp_path):
    if request.param == "file":
        made = FileAnchor(tmp_path / "anchor.jsonl")
    elif request.param == "git":
        git(tmp_path, "init", "--quiet", "repository")
        made = GitAnchor(tmp_path / "repository")
    elif request.param == "rfc3161":
        tsa = request.getfixturevalue("authority")
        made = Rfc3161Anchor(tmp_path / "stamps.jsonl", roots=tsa.roots, url=tsa.url)
    else:
        name, client = request.getfixturevalue("bucket")
        made = S3Anchor(urlsplit(f"s3://{name}/audit"), days=1, client=client)
    yield made
    if request.param != "s3":
        made.close()


def test_what_was_published_is_found_by_origin_and_in_order_of_size(anchor):
    assert anchor.find(ONE.origin) == []
    for note in (*NOTES, FOREIGN):
        kept = anchor.publish(note)
        assert kept.note == note
        assert kept.where
    assert [each.note for each in anchor.find(ONE.origin)] == [NOTES[1], NOTES[0], NOTES[2]]
    assert [each.note for each in anchor.find(TWO.origin)] == [FOREIGN]
    assert anchor.find("example.com/audit") == []


def test_only_checkpoints_are_kept(anchor):
    for rubbish in (b"", b"rubbish", NOTES[0][:-10], NOTES[0].replace(b"\n10\n", b"\n010\n")):
        with pytest.raises(InputError):
            anchor.publish(rubbish)


def test_times_are_those_of_a_place_with_a_clock_of_its_own(anchor):
    before = time.time() - 5
    anchor.publish(NOTES[0])
    (found,) = anchor.find(ONE.origin)
    if isinstance(anchor, FileAnchor | GitAnchor):
        assert found.time is None
    else:
        assert found.time is not None
        assert before < found.time / 1_000_000 < time.time() + 5


def test_the_same_checkpoint_is_not_kept_twice(tmp_path, bucket):
    git(tmp_path, "init", "--quiet", "repository")
    name, client = bucket
    for anchor in (
        FileAnchor(tmp_path / "anchor.jsonl"),
        GitAnchor(tmp_path / "repository"),
        S3Anchor(urlsplit(f"s3://{name}"), client=client),
    ):
        anchor.publish(NOTES[0])
        anchor.publish(NOTES[0])
        assert len(anchor.find(ONE.origin)) == 1


def test_a_checkpoint_that_a_later_commit_removes_is_found_all_the_same(tmp_path):
    git(tmp_path, "init", "--quiet", "repository")
    anchor = GitAnchor(tmp_path / "repository")
    anchor.publish(NOTES[0])
    git(tmp_path / "repository", "rm", "-r", "--quiet", "checkpoints")
    git(tmp_path / "repository", "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "--quiet", "-m", "Hide")
    anchor.publish(NOTES[1])
    assert [each.note for each in anchor.find(ONE.origin)] == [NOTES[1], NOTES[0]]


def test_a_repository_is_pushed_to_where_others_have_it(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "theirs")
    git(tmp_path, "init", "--quiet", "ours")
    git(tmp_path / "ours", "remote", "add", "auditor", str(tmp_path / "theirs"))
    open_anchor(f"git:{tmp_path / 'ours'}?push=auditor").publish(NOTES[0])
    shutil.rmtree(tmp_path / "ours")
    assert [each.note for each in GitAnchor(tmp_path / "theirs").find(ONE.origin)] == [NOTES[0]]
    git(tmp_path, "init", "--quiet", "alone")
    with pytest.raises(StoreError):
        GitAnchor(tmp_path / "alone", push="nowhere").publish(NOTES[0])


def test_a_time_stamp_over_other_bytes_or_by_another_authority_is_refused(tmp_path, authority):
    path = tmp_path / "stamps.jsonl"
    anchor = Rfc3161Anchor(path, roots=authority.roots, url=authority.url)
    anchor.publish(NOTES[0])
    anchor.publish(NOTES[1])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["token"], lines[1]["token"] = lines[1]["token"], lines[0]["token"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(RejectedError):
        anchor.find(ONE.origin)
    with running_authority(tmp_path / "other") as other:
        path.unlink()
        Rfc3161Anchor(path, roots=other.roots, url=other.url).publish(NOTES[0])
        with pytest.raises(RejectedError):
            anchor.find(ONE.origin)
        with pytest.raises(RejectedError):
            Rfc3161Anchor(path, roots=authority.roots, url=other.url).publish(NOTES[0])
    with pytest.raises(StoreError):
        Rfc3161Anchor(path, roots=authority.roots, url="http://127.0.0.1:9/").publish(NOTES[0])
    with pytest.raises(ConfigError):
        Rfc3161Anchor(path, roots=authority.roots).publish(NOTES[0])
    with pytest.raises(InputError):
        Rfc3161Anchor(path, roots=authority.roots, url="ftp://x")


def test_openssl_agrees_with_a_time_stamp(tmp_path, authority):
    import base64

    path = tmp_path / "stamps.jsonl"
    Rfc3161Anchor(path, roots=authority.roots, url=authority.url).publish(NOTES[0])
    line = json.loads(path.read_text())
    (tmp_path / "data").write_bytes(line["note"].encode())
    (tmp_path / "token").write_bytes(base64.b64decode(line["token"]))
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-data", tmp_path / "data", "-in", tmp_path / "token", "-CAfile", authority.roots],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "Verification: OK" in done.stdout + done.stderr


def test_a_locked_object_cannot_be_removed_and_a_hidden_one_is_found(bucket):
    name, client = bucket
    anchor = S3Anchor(urlsplit(f"s3://{name}/audit"), days=1, client=client)
    anchor.publish(NOTES[0])
    (version,) = client.list_object_versions(Bucket=name)["Versions"]
    with pytest.raises(ClientError):
        client.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])
    place = {"Bucket": name, "Key": version["Key"], "VersionId": version["VersionId"]}
    with pytest.raises(ClientError):  # which is enough in governance mode
        client.delete_object(**place, BypassGovernanceRetention=True)
    sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(minutes=1)}
    for weaker in (sooner, {**sooner, "Mode": "GOVERNANCE"}):
        with pytest.raises(ClientError):
            client.put_object_retention(**place, Retention=weaker, BypassGovernanceRetention=True)
    client.delete_object(Bucket=name, Key=version["Key"])
    assert [each.note for each in anchor.find(ONE.origin)] == [NOTES[0]]


def test_an_object_that_is_not_locked_is_no_anchor(bucket):
    name, client = bucket
    anchor = S3Anchor(urlsplit(f"s3://{name}/audit"), days=1, client=client)
    anchor.publish(NOTES[0])
    (version,) = client.list_object_versions(Bucket=name)["Versions"]
    client.put_object(Bucket=name, Key=version["Key"].replace("0010-", "0011-"), Body=NOTES[2])
    with pytest.raises(RejectedError):
        anchor.find(ONE.origin)


def test_a_bucket_without_versions_or_without_a_name_is_refused(emulator):
    client = boto3.client("s3", endpoint_url=emulator.url, region_name="eu-central-1")
    name = f"plain-{time.monotonic_ns()}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with pytest.raises((ConfigError, StoreError)):
        S3Anchor(urlsplit(f"s3://{name}"), client=client).publish(NOTES[0])
    with pytest.raises((ConfigError, StoreError)):
        S3Anchor(urlsplit("s3://no-such-bucket-here"), client=client).publish(NOTES[0])
    for address, days in (("s3:///x", 1), ("s3://b", 0)):
        with pytest.raises(InputError):
            S3Anchor(urlsplit(address), days=days, client=client)
    client.close()


def test_what_is_damaged_is_said_and_not_passed_over(tmp_path):
    path = tmp_path / "anchor.jsonl"
    anchor = FileAnchor(path)
    anchor.publish(NOTES[0])
    for line in ("rubbish\n", "{}\n", '{"note": 5}\n', '{"note": "rubbish"}\n'):
        whole = path.read_text()
        path.write_text(whole + line)
        with pytest.raises(StoreError):
            anchor.find(ONE.origin)
        path.write_text(whole)
    with pytest.raises(NotFoundError):
        FileAnchor(tmp_path / "no" / "anchor.jsonl").find(ONE.origin)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anchor.jsonl",
        "file:",
        "ftp:x",
        "file:x?days=1",
        "git:x?days=1",
        "rfc3161:x",
        "s3://bucket?days=0",
        "s3://bucket?days=x",
        "s3://bucket?days=99999999999",
    ],
)
def test_what_is_no_address_of_an_anchor_is_refused(address: str):
    with pytest.raises(InputError):
        open_anchor(address)


def test_a_folder_that_is_no_repository_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        open_anchor(f"git:{tmp_path / 'nowhere'}")
    (tmp_path / "roots.pem").write_text("no certificates")
    with pytest.raises(ConfigError):
        open_anchor(f"rfc3161:{tmp_path / 'x'}?roots={tmp_path / 'roots.pem'}")
