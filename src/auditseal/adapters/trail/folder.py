"""A trail on this machine: one log file, or a folder that a bucket was copied into, in whatever layout.

A copy lacks the metadata in which S3 keeps a digest's signature. It stands again in the digest that follows; for the
last one it may be put beside it, in hex, as `NAME.signature`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from auditseal.adapters.trail.inflate import MAX_FILE_BYTES, digest_order, inflate, is_digest, is_log_file
from auditseal.errors import InputError, NotFoundError, StoreError
from auditseal.service.accounting.ports import DigestFile, TrailFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNATURE_DIGITS: Final = 4096


class FolderTrail:
    """A trail of files (`auditseal.service.accounting.ports.Trail`)."""

    live = None

    def __init__(self, path: Path) -> None:
        """Looks at the path.

        Raises:
            NotFoundError: there is none.
        """
        if not path.exists():
            raise NotFoundError(f"there is no trail at {path}")
        self._path = path

    @property
    def address(self) -> str:
        """The path."""
        return str(self._path)

    def digests(self) -> Iterator[TrailFile]:
        """All digest files by chain and time (`Trail.digests`)."""
        for name in sorted(filter(is_digest, self._names()), key=digest_order):
            beside = self._beside(name)
            mark = _mark(self._path / name)
            yield TrailFile(name, f"{mark} {_mark(beside)}" if beside.is_file() else mark)

    def read_digest(self, file: TrailFile) -> DigestFile:
        """A digest, with the signature that was put beside it (`Trail.read_digest`)."""
        beside = self._beside(file.name)
        signature = None
        if beside.is_file():
            signature = _read(beside, _SIGNATURE_DIGITS).decode("ascii", "replace").strip()
        return DigestFile(name=file.name, content=self._content(file.name), signature=signature)

    def files(self) -> Iterator[TrailFile]:
        """All log files by name (`Trail.files`)."""
        if self._path.is_file():
            yield TrailFile(self._path.name, _mark(self._path))
            return
        for name in sorted(filter(is_log_file, self._names())):
            yield TrailFile(name, _mark(self._path / name))

    def read(self, file: TrailFile) -> bytes:
        """The content of a log file (`Trail.read`)."""
        return self._content(file.name)

    def close(self) -> None:
        """Nothing stays open."""

    def _beside(self, name: str) -> Path:
        return self._path / f"{name}.signature"

    def _names(self) -> Iterator[str]:
        if self._path.is_file():
            return
        try:
            for path in self._path.rglob("*.json*"):
                if path.is_file():
                    yield path.relative_to(self._path).as_posix()
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror}") from error

    def _content(self, name: str) -> bytes:
        path = self._path if self._path.is_file() else self._path / name
        return inflate(_read(path, MAX_FILE_BYTES), str(path))


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > most:
        raise InputError(f"{path} has more than {most} bytes: it is no file of CloudTrail")
    return data


def _mark(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    return f"{found.st_size}-{found.st_mtime_ns}"
