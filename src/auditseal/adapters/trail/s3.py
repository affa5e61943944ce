"""A trail in its bucket: `s3://BUCKET/PREFIX`, in the layout of one account or of an organisation.

Permissions: s3:ListBucket and s3:GetObject, and kms:Decrypt where the bucket is encrypted with a key of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from auditseal.adapters.trail.aws import aws_errors, client_of
from auditseal.adapters.trail.inflate import MAX_FILE_BYTES, digest_order, inflate, is_digest, is_log_file
from auditseal.errors import InputError
from auditseal.service.accounting.ports import DigestFile, TrailFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS: Final = re.compile(r"s3://([a-z0-9.-]{3,63})(?:/(.*))?", re.ASCII)


class S3Trail:
    """A trail of objects (`auditseal.service.accounting.ports.Trail`)."""

    live = None

    def __init__(self, address: str, client: Any = None) -> None:
        """Prepares; nothing is sent yet.

        Args:
            address: `s3://BUCKET` or `s3://BUCKET/PREFIX`.
            client: of botocore, for S3; None makes one of AWS's usual configuration.

        Raises:
            InputError: another form.
            ConfigError: AWS's configuration is incomplete.
        """
        self._bucket, self._prefix = parse_address(address)
        self.address = address
        self._client = client or client_of("s3")

    def digests(self) -> Iterator[TrailFile]:
        """All digest files by chain and time (`Trail.digests`)."""
        found = [TrailFile(name, mark) for name, mark in self._objects() if is_digest(name)]
        yield from sorted(found, key=lambda file: digest_order(file.name))

    def read_digest(self, file: TrailFile) -> DigestFile:
        """A digest, with the signature of its object's metadata (`Trail.read_digest`)."""
        data, metadata = self._get(file.name)
        return DigestFile(name=file.name, content=inflate(data, file.name), signature=metadata.get("signature"))

    def files(self) -> Iterator[TrailFile]:
        """All log files (`Trail.files`)."""
        for name, mark in self._objects():
            if is_log_file(name):
                yield TrailFile(name, mark)

    def read(self, file: TrailFile) -> bytes:
        """The content of a log file (`Trail.read`)."""
        return inflate(self._get(file.name)[0], file.name)

    def close(self) -> None:
        """Releases connections."""
        self._client.close()

    def _objects(self) -> Iterator[tuple[str, str]]:
        """(bucket/key, ETag) of everything below the prefix."""
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix}
        while True:
            with aws_errors(f"s3://{self._bucket}"):
                page = self._client.list_objects_v2(**request)
            for listed in page.get("Contents", ()):
                yield f"{self._bucket}/{listed['Key']}", listed["ETag"]
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def _get(self, name: str) -> tuple[bytes, dict[str, str]]:
        key = name.removeprefix(f"{self._bucket}/")
        with aws_errors(f"s3://{name}"):
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            data: bytes = answer["Body"].read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise InputError(f"s3://{name} has more than {MAX_FILE_BYTES} bytes: it is no file of CloudTrail")
        return data, answer.get("Metadata", {})


def parse_address(address: str) -> tuple[str, str]:
    """(bucket, prefix) of `s3://BUCKET/PREFIX`.

    Raises:
        InputError: another form.
    """
    parts = _ADDRESS.fullmatch(address)
    if not parts:
        raise InputError(f"{address[:200]!r} is not an address such as s3://BUCKET/PREFIX")
    return parts[1], parts[2] or ""
