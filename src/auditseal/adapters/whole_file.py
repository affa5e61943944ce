"""Files that appear whole or not at all: a reader sees the old content or the new one, whatever happens."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from auditseal.errors import ConfigError, InputError, NotFoundError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, NoReturn


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Writes a file at once; durable (fsync) when it returns.

    Raises:
        NotFoundError: its folder does not exist.
        ConfigError: it may not be written.
        StoreError: the disk failed; the file that was there stands.
    """
    with whole_file(path, mode=mode) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file to write, which takes its name, durably (fsync), at the end of the block, and only if that is reached.

    Raises:
        NotFoundError, ConfigError, StoreError: as `write_whole`.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        refuse(error, path, "written")


def read_whole(path: Path, *, max_bytes: int) -> bytes:
    """The content of a file.

    Raises:
        NotFoundError: there is none.
        ConfigError: it may not be read.
        InputError: it is larger than `max_bytes`.
        StoreError: the disk failed.
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        refuse(error, path, "read")
    if len(content) > max_bytes:
        raise InputError(f"{path} has more than {max_bytes} bytes")
    return content


def read_text(path: Path, *, max_bytes: int) -> str:
    """The content of a file of UTF-8.

    Raises:
        NotFoundError, ConfigError, StoreError: as `read_whole`.
        InputError: it is larger than `max_bytes`, or not UTF-8.
    """
    try:
        return read_whole(path, max_bytes=max_bytes).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}") from None


def sync_folder(folder: Path) -> None:
    """Makes names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def refuse(error: OSError, path: Path, done: str) -> NoReturn:
    """Raises the error in our words.

    Raises:
        NotFoundError, ConfigError, StoreError: always.
    """
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        raise NotFoundError(f"{path} could not be {done}: there is no such file or folder") from error
    if isinstance(error, PermissionError | IsADirectoryError):
        raise ConfigError(f"{path} could not be {done}: {error.strerror}; check its owner and mode") from error
    raise StoreError(f"{path} could not be {done}: {error.strerror}") from error
