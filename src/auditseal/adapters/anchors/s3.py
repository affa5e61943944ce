"""An anchor in S3 with Object Lock in compliance mode.

Nobody, the account's root user among them, can remove or change a version before its time is over.

Every version of an object is read, so that neither a later version nor a delete marker hides one. The time is S3's own.

Permissions: s3:PutObject and s3:PutObjectRetention to publish; s3:ListBucketVersions, s3:GetObjectVersion and
s3:GetObjectRetention to verify.

Source: Amazon S3 User Guide, "Locking objects with Object Lock".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from auditseal.adapters.anchors.noted import checked_note, file_name, folder_name, of_origin
from auditseal.core.note import MAX_NOTE_BYTES
from auditseal.core.times import Micros
from auditseal.errors import ConfigError, InputError, RejectedError, StoreError
from auditseal.ports import Anchored

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

DEFAULT_DAYS: Final = 365
_COMPLIANCE: Final = "COMPLIANCE"
_CALLERS_FAULT: Final = frozenset({"AccessDenied", "NoSuchBucket", "InvalidRequest", "InvalidBucketName"})


class S3Anchor:
    """A bucket, or a prefix in one (`auditseal.ports.Anchor`)."""

    def __init__(self, address: SplitResult, *, days: int = DEFAULT_DAYS, client: Any = None) -> None:
        """Takes the bucket.

        Args:
            address: `s3://BUCKET/PREFIX`.
            days: for how long a checkpoint is locked.
            client: of boto3; None makes one from the environment.

        Raises:
            ConfigError: the AWS library is not installed, or finds no Region.
            InputError: no bucket is named.
        """
        if not address.netloc or days < 1:
            raise InputError("name a bucket and at least one day: s3://BUCKET/PREFIX?days=365")
        self._bucket = address.netloc
        prefix = address.path.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._days = days
        self._client = client if client is not None else _client()

    @property
    def address(self) -> str:
        """`s3://BUCKET/PREFIX`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def publish(self, note: bytes) -> Anchored:
        """Puts a checkpoint under a lock (`Anchor.publish`)."""
        checkpoint = checked_note(note)
        for each in self.find(checkpoint.origin):
            if each.note == note:
                return each
        key = f"{self._prefix}{folder_name(checkpoint.origin)}/{file_name(checkpoint)}"
        until = datetime.now(UTC) + timedelta(days=self._days)
        answer = self._call(
            lambda: self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=note,
                ChecksumAlgorithm="SHA256",
                ContentType="text/plain; charset=utf-8",
                ObjectLockMode=_COMPLIANCE,
                ObjectLockRetainUntilDate=until,
            )
        )
        return self._read(key, answer.get("VersionId"), None)

    def find(self, origin: str) -> list[Anchored]:
        """Every locked version of the checkpoints of an origin (`Anchor.find`)."""
        found = []
        asked = {"Bucket": self._bucket, "Prefix": f"{self._prefix}{folder_name(origin)}/"}
        while True:
            page = self._call(lambda: self._client.list_object_versions(**asked))  # noqa: B023 - called at once
            found += [
                self._read(each["Key"], each["VersionId"], each["LastModified"]) for each in page.get("Versions", ())
            ]
            if not page.get("IsTruncated"):
                return of_origin(found, origin)
            asked |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def close(self) -> None:
        """Releases connections. Idempotent."""
        self._client.close()

    def _read(self, key: str, version: str | None, modified: datetime | None) -> Anchored:
        where = f"s3://{self._bucket}/{key} version {version}"
        if version is None:
            raise ConfigError(f"the bucket {self._bucket} has no versions, and so no Object Lock: create one with it")
        answer = self._call(lambda: self._client.get_object(Bucket=self._bucket, Key=key, VersionId=version))
        note = answer["Body"].read(MAX_NOTE_BYTES + 1)
        if answer.get("ObjectLockMode") != _COMPLIANCE or answer.get("ObjectLockRetainUntilDate") is None:
            raise RejectedError(f"{where} is not locked in compliance mode: whoever owns it can rewrite it")
        moment = modified or answer["LastModified"]
        return Anchored(note=note, time=Micros(int(moment.timestamp() * 1_000_000)), where=where)

    def _call(self, call: Callable[[], Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            fault = code in _CALLERS_FAULT
            text = f"S3 refuses {self.address}: {code}"
            raise (ConfigError(text) if fault else StoreError(text, retryable=True)) from error
        except BotoCoreError as error:
            text = f"S3 cannot be asked about {self.address} ({type(error).__name__})"
            raise StoreError(text, retryable=True) from error


def _client() -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise ConfigError("S3 needs the extra `aws`: pip install 'auditseal[aws]'") from error
    try:
        return boto3.client("s3", config=Config(retries={"mode": "standard", "total_max_attempts": 4}))
    except BotoCoreError as error:
        raise ConfigError(f"S3 cannot be used: {error}") from error
