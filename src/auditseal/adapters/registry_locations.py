"""Where verifiers get their signers.json: a file, an object in S3, a work tree of git, an https address.

`PATH`, `s3://BUCKET/KEY`, `git+PATH`, `https://…`. All but the last can be published to: a file and an object appear
whole or not at all; a bucket must keep versions; in a work tree the file is committed, and pushing is left to people.
"""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from auditseal.adapters.registry_file import load_registry, save_registry, update_registry
from auditseal.core.registry import MAX_REGISTRY_BYTES, Registry
from auditseal.errors import ConfigError, InputError, StoreError

if TYPE_CHECKING:
    from auditseal.service.rotate.ports import Location

TIMEOUT_S: Final = 10.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class RegistryAtPath:
    """The registry that is changed (`auditseal.service.rotate.ports.RegistryFile`)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Registry:
        """As it is (`RegistryFile.load`)."""
        return load_registry(self.path)

    def update(self, change: Callable[[Registry], Registry]) -> Registry:
        """Changes it (`RegistryFile.update`)."""
        return update_registry(self.path, change)


class FileLocation:
    """A file (`auditseal.service.rotate.ports.Location`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def fetch(self) -> Registry:
        """What stands there (`Location.fetch`)."""
        return load_registry(self._path)

    def publish(self, registry: Registry) -> None:
        """Replaces the file (`Location.publish`)."""
        save_registry(self._path, _public(registry))


class GitLocation:
    """A file in a work tree of git, committed when it is published."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"git+{path}"

    def fetch(self) -> Registry:
        """What is committed there, not what may lie there uncommitted (`Location.fetch`)."""
        data = self._git("show", f"HEAD:./{self._path.name}")
        return Registry.parse(data)

    def publish(self, registry: Registry) -> None:
        """Replaces the file and commits it alone (`Location.publish`)."""
        save_registry(self._path, _public(registry))
        self._git("add", "--", self._path.name)
        if self._git("status", "--porcelain", "--", self._path.name):
            self._git("commit", "--quiet", "-m", "Publish the accepted signers", "--", self._path.name)

    def _git(self, *arguments: str) -> bytes:
        command = ["git", "-C", str(self._path.parent), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT_S * 3)  # noqa: S603 - fixed
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StoreError(f"{self.name}: git could not be run [{type(error).__name__}]") from error
        if done.returncode:
            why = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise StoreError(f"{self.name}: git {arguments[0]} failed: {why[-1][:200] if why else 'no reason given'}")
        return done.stdout


class HttpsLocation:
    """An https address, which is only read."""

    def __init__(self, url: str) -> None:
        """Takes the address.

        Raises:
            InputError: not https, nor http to this machine.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise InputError("a registry is fetched by https://, or by http:// from this machine")
        self._url = url
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def fetch(self) -> Registry:
        """What is served there (`Location.fetch`)."""
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url, headers={"User-Agent": "auditseal", "Cache-Control": "no-cache"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - likewise
                data = answer.read(MAX_REGISTRY_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            raise StoreError(f"{self.name} answered {error.code}", retryable=True) from error
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.name} cannot be reached [{type(error).__name__}]", retryable=True) from error
        return _parsed(data, self.name)

    def publish(self, registry: Registry) -> None:
        """Refuses: put the file there by other means (`Location.publish`)."""
        del registry
        raise ConfigError(f"{self.name} can only be read: publish to what serves it")


class S3Location:
    """An object in a bucket that keeps versions."""

    def __init__(self, address: str, client: Any = None) -> None:
        """Prepares; nothing is sent yet.

        Args:
            address: `s3://BUCKET/KEY`.
            client: of botocore, for S3; None makes one of AWS's usual configuration.

        Raises:
            InputError: another form.
            ConfigError: AWS's configuration is incomplete.
        """
        from auditseal.adapters.trail.aws import client_of
        from auditseal.adapters.trail.s3 import parse_address

        self._bucket, self._key = parse_address(address)
        if not self._key:
            raise InputError(f"{address} names no object: write s3://BUCKET/KEY")
        self.name = address
        self._client = client or client_of("s3")

    def fetch(self) -> Registry:
        """What stands there (`Location.fetch`)."""
        from auditseal.adapters.trail.aws import aws_errors

        with aws_errors(self.name):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key)
            data = answer["Body"].read(MAX_REGISTRY_BYTES + 1)
        return _parsed(data, self.name)

    def publish(self, registry: Registry) -> None:
        """Puts a new version of the object (`Location.publish`).

        Raises:
            ConfigError: the bucket keeps no versions.
        """
        from auditseal.adapters.trail.aws import aws_errors

        with aws_errors(self.name):
            if self._client.get_bucket_versioning(Bucket=self._bucket).get("Status") != "Enabled":
                raise ConfigError(f"{self.name}: the bucket keeps no versions, and a registry must not be lost: enable")
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key,
                Body=_public(registry).to_json_bytes(),
                ContentType="application/json",
            )


def open_location(address: str) -> Location:
    """The location of an address.

    Raises:
        InputError: no such form.
        ConfigError: AWS's configuration is incomplete.
    """
    if address.startswith(("https://", "http://")):
        return HttpsLocation(address)
    if address.startswith("s3://"):
        return S3Location(address)
    if address.startswith("git+"):
        return GitLocation(Path(address.removeprefix("git+")))
    if "://" in address:
        raise InputError(f"{address[:60]!r} is no place for a registry: write PATH, s3://…, git+PATH or https://…")
    return FileLocation(Path(address))


def _parsed(data: bytes, name: str) -> Registry:
    if len(data) > MAX_REGISTRY_BYTES:
        raise InputError(f"{name} serves more than {MAX_REGISTRY_BYTES} bytes: it is no signers.json")
    try:
        return Registry.parse(data)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _public(registry: Registry) -> Registry:
    """The registry, if it may be read by everybody.

    Raises:
        ConfigError: it holds a secret.
    """
    if registry.has_secrets:
        raise ConfigError("the registry holds a MAC's secret, and must not be published: keep the key in KMS")
    return registry
