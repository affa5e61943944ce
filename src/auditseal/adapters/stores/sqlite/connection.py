"""Opening a SQLite log, and every sqlite3 error in our words.

Source: https://sqlite.org/rescode.html, https://sqlite.org/uri.html
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from auditseal.adapters.stores.sqlite import schema
from auditseal.errors import ConflictError, InputError, NotFoundError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEME: Final = "sqlite:///"
_BUSY_TIMEOUT_MS: Final = 30_000


def path_of(address: str) -> Path:
    """The file of a `sqlite:///PATH` address; a fourth slash makes the path absolute.

    Raises:
        InputError: another form.
    """
    rest = address.removeprefix(SCHEME)
    if rest == address or not rest or rest == ":memory:":
        raise InputError(f"{address!r} is not an address such as sqlite:///audit.db or sqlite:////var/lib/audit.db")
    return Path(rest)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection that waits for other writers and whose commits are on disk when they return.

    Raises:
        NotFoundError: no such file, or no log in it.
        ConfigError: not a log this program can use.
        StoreError: the file cannot be opened or written.
    """
    _check_file(path)
    with errors_of(path):
        connection = sqlite3.connect(
            _uri(path, "rw"), uri=True, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            schema.check_current(connection, path)
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, from a place that may be read-only.

    Raises:
        NotFoundError, ConfigError, StoreError: as `open_for_writing`.
    """
    _check_file(path)
    with errors_of(path):
        # Reading a WAL database creates files beside it; where that is impossible nobody writes either.
        fixed = not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()
        connection = sqlite3.connect(
            _uri(path, "ro") + ("&immutable=1" if fixed else ""),
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            schema.check_current(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_file(path: Path) -> None:
    if not path.exists():
        raise NotFoundError(f"there is no log at {path}: create it with auditseal init --log {SCHEME}{path}")
    if not path.is_file():
        raise InputError(f"{path} is not a file: name the log's file, such as {SCHEME}{path}/audit.db")


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?mode={mode}"


_CAUSES: Final = {
    "SQLITE_BUSY": ("is locked by another program; try again", True),
    "SQLITE_LOCKED": ("is locked by another program; try again", True),
    "SQLITE_FULL": ("has no room: the disk is full. Nothing was changed", False),
    "SQLITE_READONLY": ("cannot be written: check the owner and mode of the file and its folder", False),
    "SQLITE_CANTOPEN": ("cannot be opened: check the owner and mode of the file and its folder", False),
    "SQLITE_PERM": ("cannot be opened: check the owner and mode of the file and its folder", False),
    "SQLITE_CORRUPT": ("is damaged: keep the file as it is and restore a copy", False),
    "SQLITE_NOTADB": ("is not a SQLite database", False),
    "SQLITE_IOERR": ("cannot be read or written: the disk reports an error, and may be full", False),
    "SQLITE_INTERRUPT": ("was interrupted", True),
}


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turns sqlite3's errors into StoreError, and a broken chain rule into ConflictError."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ConflictError(f"{path} refused an entry that does not follow its stream's last one") from error
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None) or "unknown"
        cause, retryable = next(
            (known for code, known in _CAUSES.items() if name.startswith(code)), (f"failed ({name})", False)
        )
        raise StoreError(f"{path} {cause}", retryable=retryable) from error
