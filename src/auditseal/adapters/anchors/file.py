"""An anchor that is a file: one checkpoint a line, appended.

As good as the place where it lies: a disk of the auditor's, a medium that is written once. Its times are not believed,
since whoever appends sets them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import orjson

from auditseal.adapters.anchors.noted import checked_note, of_origin
from auditseal.adapters.whole_file import read_whole, refuse
from auditseal.errors import InputError, NotFoundError, StoreError
from auditseal.ports import Anchored

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 1024 * 1024 * 1024


class FileAnchor:
    """A file of checkpoints (`auditseal.ports.Anchor`)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def address(self) -> str:
        """`file:PATH`."""
        return f"file:{self._path}"

    def publish(self, note: bytes) -> Anchored:
        """Appends a checkpoint (`Anchor.publish`)."""
        checked_note(note)
        for number, line in self._lines():
            if line["note"] == note.decode():
                return Anchored(note=note, time=None, where=f"{self._path}:{number}")
        append_line(self._path, {"note": note.decode()})
        return Anchored(note=note, time=None, where=str(self._path))

    def find(self, origin: str) -> list[Anchored]:
        """The checkpoints of an origin (`Anchor.find`)."""
        found = [
            Anchored(note=str(line["note"]).encode(), time=None, where=f"{self._path}:{number}")
            for number, line in self._lines()
        ]
        return of_origin(found, origin)

    def close(self) -> None:
        """Nothing stays open."""

    def _lines(self) -> list[tuple[int, dict[str, Any]]]:
        try:
            return read_lines(self._path, {"note"})
        except NotFoundError:
            if not self._path.parent.is_dir():
                raise
            return []


def read_lines(path: Path, members: set[str]) -> list[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file's lines, with the lines' numbers.

    Raises:
        NotFoundError, ConfigError, StoreError: the file cannot be read.
        StoreError: a line is not an object with these members, all text.
    """
    found = []
    for number, line in enumerate(read_whole(path, max_bytes=MAX_BYTES).splitlines(), 1):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            value = None
        if type(value) is not dict or set(value) != members or not all(type(each) is str for each in value.values()):
            raise StoreError(f"{path}:{number} is damaged: not an anchored checkpoint")
        found.append((number, value))
    return found


def append_line(path: Path, members: dict[str, str]) -> None:
    """Appends a JSON object as a line; durable when it returns.

    Raises:
        NotFoundError, ConfigError, StoreError: it cannot be written.
        InputError: a member is not text that JSON can carry.
    """
    try:
        line = orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError as error:
        raise InputError("the checkpoint is not text") from error
    try:
        with path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        refuse(error, path, "written")
