"""An object in S3, read as a file: an export that is verified where it is kept, in constant memory.

Permission: s3:GetObject on the object, and kms:Decrypt where the bucket is encrypted with a key of its own.

Source: `docs/decisions/exports-and-archives.md`.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

from auditseal.adapters.trail.aws import aws_errors, client_of
from auditseal.errors import InputError

if TYPE_CHECKING:
    from typing import IO

    from _typeshed import WriteableBuffer

_ADDRESS: Final = re.compile(r"s3://([a-z0-9.-]{3,63})/(\S+)", re.ASCII)
_PREFIX: Final = re.compile(r"s3://([a-z0-9.-]{3,63})/((?:\S+/)?)", re.ASCII)
_BUFFER_BYTES: Final = 1 << 20


class S3Object:
    """One version of an object (`auditseal.adapters.stores.export_file.ExportFile`)."""

    def __init__(self, address: str, client: Any = None) -> None:
        """Asks for the object's size and version; what replaces it later is not read.

        Args:
            address: `s3://BUCKET/KEY`.
            client: of botocore, for S3; None makes one of AWS's usual configuration.

        Raises:
            InputError: another form of address.
            NotFoundError: there is no such object.
            ConfigError, StoreError: as `client_of` and `aws_errors`.
        """
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise InputError(f"{address[:200]!r} is no address of an object: write s3://BUCKET/KEY.jsonl")
        self.address = address
        self._client = client or client_of("s3")
        self._object = {"Bucket": match[1], "Key": match[2]}
        with aws_errors(address):
            head = self._client.head_object(**self._object)
        self._size = int(head["ContentLength"])
        self._version = {"IfMatch": head["ETag"]}

    @classmethod
    def below(cls, address: str, endings: tuple[str, ...], client: Any = None) -> list[S3Object]:
        """The objects below a prefix whose keys end so. Permission: s3:ListBucket besides.

        Args:
            address: `s3://BUCKET/PREFIX/`, or `s3://BUCKET/` for all.
            endings: of keys.
            client: as for one object.

        Raises:
            InputError, NotFoundError, ConfigError, StoreError: as for one object.
        """
        match = _PREFIX.fullmatch(address)
        if match is None:
            raise InputError(f"{address[:200]!r} is no address of a folder: write s3://BUCKET/PREFIX/")
        client = client or client_of("s3")
        with aws_errors(address):
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=match[1], Prefix=match[2])
            keys = [listed["Key"] for page in pages for listed in page.get("Contents", ())]
        return [cls(f"s3://{match[1]}/{key}", client) for key in keys if key.endswith(endings)]

    def size(self) -> int:
        """How many bytes it has."""
        return self._size

    def open(self) -> IO[bytes]:
        """The object's bytes, from the first on.

        Raises:
            NotFoundError, ConfigError, StoreError: it cannot be read, or has been replaced; reading may raise them too.
        """
        with aws_errors(self.address):
            answer = self._client.get_object(**self._object, **self._version)
        return io.BufferedReader(_Body(answer["Body"], self.address), _BUFFER_BYTES)


class _Body(io.RawIOBase):
    """What botocore streams, with its errors in our words."""

    def __init__(self, body: Any, address: str) -> None:
        self._body = body
        self._address = address

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fills the buffer as far as one read does (`io.RawIOBase.readinto`)."""
        view = memoryview(buffer).cast("B")
        with aws_errors(self._address):
            data = self._body.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Gives the connection back. Idempotent."""
        self._body.close()
        super().close()
