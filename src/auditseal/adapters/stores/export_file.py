"""Where an export lies: a file, or an object in a store of objects.

Source: `docs/spec/export.md`, `docs/spec/archive.md`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import IO, Protocol, cast

from auditseal.adapters.whole_file import refuse
from auditseal.errors import InputError, NotFoundError


class ExportFile(Protocol):
    """Where the lines of an export are read, as often as is needed: a file, or an object in a store of objects."""

    address: str

    def open(self) -> IO[bytes]:
        """Its bytes, from the first on.

        Raises:
            OSError, AuditSealError: it cannot be read.
        """

    def size(self) -> int:
        """How many bytes it has."""


class LocalFile:
    """A file on a disk (`ExportFile`)."""

    def __init__(self, path: Path) -> None:
        """Looks at the file.

        Raises:
            NotFoundError: there is none.
            InputError: it is not a file.
        """
        if not path.exists():
            raise NotFoundError(f"there is no file {path}")
        if not path.is_file():
            raise InputError(f"{path} is not a file")
        self._path = path
        self.address = str(path)

    def open(self) -> IO[bytes]:
        """Its bytes (`ExportFile.open`)."""
        return self._path.open("rb")

    def size(self) -> int:
        """How many bytes it has."""
        return self._path.stat().st_size


def open_on_disk(file: ExportFile) -> IO[bytes]:
    """An export as a file that has a path (`name`): itself, or a copy that goes when it is closed.

    Raises:
        AuditSealError: it cannot be read, or not copied.
    """
    try:
        opened = file.open()
        if isinstance(file, LocalFile):
            return opened
        copy = tempfile.NamedTemporaryFile(prefix="auditseal-")  # noqa: SIM115 - it is returned open
        with opened:
            shutil.copyfileobj(opened, copy)
        copy.flush()
    except OSError as error:
        refuse(error, Path(file.address), "read")
    return cast("IO[bytes]", copy)
