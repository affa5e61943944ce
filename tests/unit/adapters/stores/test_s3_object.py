"""Exports in S3: read as they lie there, from the version that was looked at first, by the emulator's S3."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ReadTimeoutError
from emulator import Emulator

from auditseal import verify
from auditseal.adapters.stores.jsonl import JsonlSource
from auditseal.adapters.stores.s3_object import S3Object
from auditseal.adapters.trail.aws import client_of
from auditseal.cli import entry
from auditseal.errors import InputError, NotFoundError, StoreError
from support.covered import covered_log


@pytest.fixture
def client(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    made = client_of("s3")
    yield made
    made.close()


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"exports-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return name


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> bytes:
    """An export of three entries; its signers.json is found in the working directory."""
    monkeypatch.chdir(tmp_path)
    log = ("--log", "sqlite:///audit.db")
    assert entry.run(["init", *log]) == 0
    for number in range(3):
        assert entry.run(["append", *log, "--type", "t", "--payload", f'{{"n":{number}}}']) == 0
    assert entry.run(["export", *log, "--to", "audit.jsonl"]) == 0
    capsys.readouterr()
    return Path("audit.jsonl").read_bytes()


def put(client: Any, bucket: str, data: bytes, key: str = "a/audit.jsonl") -> str:
    client.put_object(Bucket=bucket, Key=key, Body=data)
    return f"s3://{bucket}/{key}"


def test_an_export_verifies_where_it_lies(
    client: Any, bucket: str, export: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    address = put(client, bucket, export)
    assert entry.run(["verify", address]) == 0
    assert "all 3 of 3" in capsys.readouterr().out
    assert entry.run(["init", "--log", "sqlite:///other.db"]) == 0
    assert entry.run(["import", address, "--log", "sqlite:///other.db"]) == 0
    assert verify("sqlite:///other.db", ".auditseal/signers.json").verdict == "valid"


def test_what_is_wrong_in_it_is_found_with_its_address_and_line(client: Any, bucket: str, export: bytes):
    lines = export.splitlines(keepends=True)
    address = put(client, bucket, lines[0] + b"no entry\n" + lines[2])
    report = verify(address, ".auditseal/signers.json")
    assert sorted(finding.code for finding in report.findings) == ["missing-entry", "not-canonical"]
    assert any(f"{address}:2" in finding.message for finding in report.findings)


def test_an_object_that_is_replaced_is_not_read_on(client: Any, bucket: str, export: bytes):
    source = JsonlSource(S3Object(put(client, bucket, export)))
    assert len(list(source.walk())) == 3
    put(client, bucket, export[: export.index(b"\n") + 1])
    with pytest.raises(StoreError, match="PreconditionFailed"):
        list(source.walk())


@pytest.mark.parametrize("key", ["none.jsonl", "a/none.ndjson"])
def test_an_object_that_is_not_there(bucket: str, key: str, client: Any, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(NotFoundError, match=key):
        S3Object(f"s3://{bucket}/{key}", client)
    assert entry.run(["verify", f"s3://{bucket}/{key}"]) == 2
    assert capsys.readouterr().err.startswith(f"auditseal: s3://{bucket}/{key} does not exist")


@pytest.mark.parametrize("address", ["s3://b/k.jsonl", "s3:///k.jsonl", "s3://Bucket/k.jsonl", "s3://bucket/"])
def test_what_is_no_address_of_an_object(address: str):
    with pytest.raises(InputError):
        S3Object(address, object())


def test_an_export_is_not_written_there(capsys: pytest.CaptureFixture[str]):
    assert entry.run(["export", "--log", "sqlite:///audit.db", "--to", "s3://bucket/audit.jsonl"]) == 2
    assert "s3:" in capsys.readouterr().err


class _Dying(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        data = super().read(10)
        if not data:
            raise ReadTimeoutError(endpoint_url="https://s3")
        return data


class _DyingS3:
    def head_object(self, **_: Any) -> dict[str, Any]:
        return {"ContentLength": 25, "ETag": '"1"'}

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": _Dying(b'{"seq":0}\n' * 2)}


def test_a_connection_that_ends_is_an_outage_and_not_the_end_of_the_log():
    source = JsonlSource(S3Object("s3://bucket/audit.jsonl", _DyingS3()))
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        list(source.walk())
    assert caught.value.retryable


def test_an_archive_and_a_prefix_verify_where_they_lie(
    client: Any, bucket: str, export: bytes, capsys: pytest.CaptureFixture[str]
):
    assert entry.run(["export", "--log", "sqlite:///audit.db", "--to", "audit.parquet"]) == 0
    address = put(client, bucket, Path("audit.parquet").read_bytes(), "archive/audit.parquet")
    assert entry.run(["verify", address]) == 0
    lines = export.splitlines(keepends=True)
    for number, line in enumerate(lines):
        put(client, bucket, line, f"parts/2026/part-{number}.jsonl")
    put(client, bucket, b"{}", "parts/signers.json")
    capsys.readouterr()
    assert entry.run(["verify", f"s3://{bucket}/parts/"]) == 0
    assert "1 stream, 3 entries, 3 signatures" in capsys.readouterr().out
    client.delete_object(Bucket=bucket, Key="parts/2026/part-1.jsonl")
    assert entry.run(["verify", f"s3://{bucket}/parts/"]) == 1
    assert "missing-entry" in capsys.readouterr().out


def test_a_prefix_without_exports_is_said(client: Any, bucket: str, capsys: pytest.CaptureFixture[str]):
    assert entry.run(["verify", f"s3://{bucket}/none/"]) == 2
    assert capsys.readouterr().err.startswith(f"auditseal: s3://{bucket}/none/ holds no export")
    with pytest.raises(InputError, match="write s3://BUCKET/PREFIX/"):
        S3Object.below("s3://b", (".jsonl",), client)


def test_an_entry_is_explained_by_its_checkpoint_where_it_lies(
    client: Any, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    log = covered_log(tmp_path)
    assert entry.run(["export", "--log", log.address, "--to", str(tmp_path / "audit.jsonl")]) == 0
    address = put(client, bucket, (tmp_path / "audit.jsonl").read_bytes())
    assert entry.run(["explain", address, "main#3", "--signers", str(log.signers)]) == 0
    assert "the signed checkpoint of size 6 by audit-2026 has it at its place" in capsys.readouterr().out
    assert entry.run(["explain", address, "main#6", "--signers", str(log.signers)]) == 3
