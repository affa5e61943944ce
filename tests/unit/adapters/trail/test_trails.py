import gzip
import io
import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.session import Session
from botocore.stub import Stubber
from cryptography.hazmat.primitives.asymmetric import rsa

from auditseal.adapters.trail import inflate as inflating
from auditseal.adapters.trail.aws import aws_errors
from auditseal.adapters.trail.folder import FolderTrail
from auditseal.adapters.trail.inflate import inflate, is_digest, is_log_file
from auditseal.adapters.trail.ledger import SqliteLedger
from auditseal.adapters.trail.lookup import LookupTrail
from auditseal.adapters.trail.s3 import S3Trail, parse_address
from auditseal.core.cloudtrail import SIGNING, parse_log_file
from auditseal.core.cloudtrail_changes import KEY_CHANGES, TRAIL_CHANGES
from auditseal.errors import ConfigError, InputError, NotFoundError, StoreError
from auditseal.service.accounting.ports import TrailFile
from support.trail import ACCOUNT, BUCKET, REGION, START, Bucket, sign_record


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def bucket(tmp_path, key):
    made = Bucket(folder=tmp_path / "trail", key=key)
    listed = made.add_log([sign_record(START, 1)], START)
    made.add_digest([listed], START, START + 3600)
    made.add_digest([], START + 3600, START + 7200)
    return made


def test_a_folder_gives_log_files_and_digests_apart(bucket):
    trail = FolderTrail(bucket.folder)
    (file,) = trail.files()
    assert len(parse_log_file(trail.read(file), file.name).calls) == 1
    digests = [trail.read_digest(file) for file in trail.digests()]
    assert [digest.signature for digest in digests] == [None, None]
    assert json.loads(digests[0].content)["digestEndTime"] < json.loads(digests[1].content)["digestEndTime"]


def test_a_single_plain_file_is_a_trail(tmp_path):
    path = tmp_path / "records.json"
    path.write_text(json.dumps({"Records": [sign_record(START, 1)]}))
    trail = FolderTrail(path)
    (file,) = trail.files()
    assert (file.name, trail.read(file)) == ("records.json", path.read_bytes())
    assert list(trail.digests()) == []


def test_no_trail_at_a_path_is_said(tmp_path):
    with pytest.raises(NotFoundError):
        FolderTrail(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "log", "digest"),
    [
        ("b/AWSLogs/1/CloudTrail/r/2026/07/01/1_CloudTrail_r_x.json.gz", True, False),
        ("b/AWSLogs/o-1/1/CloudTrail-Digest/r/2026/07/01/1_CloudTrail-Digest_r_t_r_x.json.gz", False, True),
        ("b/AWSLogs/1/CloudTrail-Insight/r/2026/07/01/1_CloudTrail-Insight_r_x.json.gz", False, False),
        ("b/readme.txt", False, False),
    ],
)
def test_files_are_told_apart_by_their_names(name, log, digest):
    assert (is_log_file(name), is_digest(name)) == (log, digest)


def test_what_is_cut_off_damaged_or_too_large_is_refused(monkeypatch):
    whole = gzip.compress(b"x" * 100_000)
    assert inflate(whole + gzip.compress(b"y"), "f") == b"x" * 100_000 + b"y"
    with pytest.raises(InputError, match="cut off"):
        inflate(whole[:-10], "f")
    with pytest.raises(InputError, match="damaged"):
        inflate(whole[:10] + b"\xff" * 20, "f")
    monkeypatch.setattr(inflating, "MAX_FILE_BYTES", 1000)
    with pytest.raises(InputError, match="more than 1000 bytes"):
        inflate(whole, "f")


def s3_client():
    return Session().create_client("s3", region_name=REGION)


def test_s3_gives_objects_with_their_signatures_page_by_page(bucket):
    client = s3_client()
    paths = {path.relative_to(bucket.folder).as_posix(): path for path in bucket.folder.rglob("*.gz")}
    keys = sorted(paths)
    contents = [{"Key": name, "ETag": f'"{number}"'} for number, name in enumerate(keys)]
    log_key = next(name for name in keys if "Digest" not in name)
    digest_keys = [name for name in keys if "Digest" in name]
    with Stubber(client) as stub:
        stub.add_response(
            "list_objects_v2", {"Contents": contents[:2], "IsTruncated": True, "NextContinuationToken": "t"}
        )
        stub.add_response(
            "list_objects_v2",
            {"Contents": contents[2:], "IsTruncated": False},
            {"Bucket": BUCKET, "Prefix": "AWSLogs/", "ContinuationToken": "t"},
        )
        for name in digest_keys:
            body = {"Body": io.BytesIO(paths[name].read_bytes()), "Metadata": {"signature": bucket.signatures[name]}}
            stub.add_response("get_object", body, {"Bucket": BUCKET, "Key": name})
        stub.add_response("list_objects_v2", {"Contents": contents})
        stub.add_response("get_object", {"Body": io.BytesIO(paths[log_key].read_bytes())})
        trail = S3Trail(f"s3://{BUCKET}/AWSLogs/", client)
        read = [trail.read_digest(file).signature for file in trail.digests()]
        assert read == [bucket.signatures[name] for name in digest_keys]
        (file,) = trail.files()
        assert file.name == f"{BUCKET}/{log_key}"
        assert len(parse_log_file(trail.read(file), "f").calls) == 1


@pytest.mark.parametrize("address", ["s3://", "s3:/b", "b/c", "s3://UPPER/x"])
def test_what_is_no_s3_address_is_refused(address):
    with pytest.raises(InputError):
        parse_address(address)


@pytest.mark.parametrize(
    ("code", "status", "kind", "retryable"),
    [
        ("AccessDenied", 403, ConfigError, False),
        ("ExpiredToken", 400, ConfigError, False),
        ("NoSuchBucket", 404, NotFoundError, False),
        ("SlowDown", 503, StoreError, True),
        ("ThrottlingException", 400, StoreError, True),
        ("InvalidTimeRangeException", 400, StoreError, False),
    ],
)
def test_each_refusal_of_aws_is_one_of_ours(code, status, kind, retryable):
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(kind) as caught, aws_errors("s3://b"):
        raise ClientError(response, "GetObject")
    assert caught.value.retryable is retryable


def test_an_aws_that_cannot_be_reached_is_tried_again():
    with pytest.raises(StoreError) as caught, aws_errors("s3://b"):
        raise EndpointConnectionError(endpoint_url="http://x")
    assert caught.value.retryable


def test_lookup_asks_for_each_event_name_and_follows_the_pages():
    cloudtrail = Session().create_client("cloudtrail", region_name=REGION)
    sts = Session().create_client("sts", region_name=REGION)
    waited = []
    with Stubber(cloudtrail) as stub, Stubber(sts) as identity:
        identity.add_response("get_caller_identity", {"Account": ACCOUNT})
        for name in sorted(SIGNING | KEY_CHANGES | TRAIL_CHANGES):
            asked = {
                "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
                "StartTime": datetime.fromtimestamp(START, UTC),
                "MaxResults": 50,
            }
            if name == "Sign":
                events = [{"CloudTrailEvent": json.dumps(sign_record(START, n))} for n in range(2)]
                stub.add_response("lookup_events", {"Events": events[:1], "NextToken": "t"}, asked)
                stub.add_response("lookup_events", {"Events": events[1:]}, {**asked, "NextToken": "t"})
            else:
                stub.add_response("lookup_events", {"Events": []}, asked)
        trail = LookupTrail(since=START, cloudtrail=cloudtrail, sts=sts, now=lambda: START + 5.0, sleep=waited.append)
        parts = [parse_log_file(trail.read(file), file.name) for file in trail.files()]
        stub.assert_no_pending_responses()
    assert [len(part.calls) for part in parts] == [1, 1]
    assert (trail.live, len(waited)) == ((ACCOUNT, REGION, START), len(SIGNING | KEY_CHANGES | TRAIL_CHANGES) + 1)


def test_a_temporary_ledger_leaves_no_file_even_when_it_is_not_closed(tmp_path, monkeypatch):
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    ledger = SqliteLedger()
    ledger.bind("a trail", digests=False)
    assert list(tmp_path.iterdir()) == []
    ledger.close()
    ledger.close()


def test_a_ledger_is_bound_to_its_trail_and_to_whether_digests_were_checked(tmp_path):
    path = tmp_path / "ledger.db"
    first = SqliteLedger(path)
    first.bind("trail", digests=True)
    first.bind("trail", digests=True)
    for trail, digests in (("another", True), ("trail", False)):
        with pytest.raises(ConfigError, match="ledger"):
            first.bind(trail, digests=digests)
    first.close()


def test_two_processes_cannot_use_one_ledger(tmp_path, monkeypatch):
    import sqlite3

    first = SqliteLedger(tmp_path / "ledger.db")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: connect(*args, timeout=0.05, **kwargs))
    with pytest.raises(StoreError, match="another process") as caught:
        SqliteLedger(tmp_path / "ledger.db")
    assert caught.value.retryable
    first.close()


def test_a_disk_that_fails_is_told_in_our_words(tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger._db.execute("PRAGMA max_page_count = 1")
    part = parse_log_file(json.dumps({"Records": [sign_record(START, n) for n in range(500)]}).encode(), "f")
    with pytest.raises(StoreError, match="full"):
        ledger.add_file(TrailFile("f", "1"), part)
    assert ledger.totals() == (0, 0)
    ledger.close()


def test_another_programs_file_is_no_ledger(tmp_path):
    import sqlite3

    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(ConfigError, match="no ledger"):
        SqliteLedger(path)
    (tmp_path / "text").write_text("no database" * 100)
    with pytest.raises(StoreError):
        SqliteLedger(tmp_path / "text")
