"""A bounded spool on disk: events that the service could not take yet, in order, none lost.

A SQLite file, synced at every change. What the service refuses for good is set aside in it with the reason, never
dropped. A full spool takes nothing more: the caller is told, and decides.

Source: `docs/clients.md`, "While the service is away".
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import orjson

from auditseal.core.event import Event
from auditseal.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES: Final = 64 * 1024 * 1024
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS spool (n INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, event BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS refused (n INTEGER PRIMARY KEY, stream TEXT NOT NULL, event BLOB NOT NULL, why TEXT)",
)


class Spooled(NamedTuple):
    """An event in the spool, and its number there."""

    n: int
    event: Event


class Spool:
    """The spool of one process. Safe to use from many threads."""

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> None:
        """Opens or makes it.

        Args:
            path: the file; its folder must exist.
            max_bytes: of events in it, refused ones not counted.

        Raises:
            ConfigError: another process has it, or it is no spool.
            StoreError: it cannot be opened.
        """
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._hold = self._take_hold()
        try:
            with self._errors():
                self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                for statement in _SCHEMA:
                    self._db.execute(statement)
                size, count = self._db.execute("SELECT ifnull(sum(length(event)), 0), count(*) FROM spool").fetchone()
        except BaseException:
            os.close(self._hold)
            raise
        self._size, self._count = int(size), int(count)

    def __len__(self) -> int:
        return self._count

    def put(self, event: Event) -> None:
        """Adds an event with an id at the end; on disk when this returns.

        Raises:
            StoreError: the spool is full (`retryable`), or the disk failed.
        """
        members = {name: getattr(event, name) for name in ("type", "payload", "actor", "id", "context")}
        text = orjson.dumps(members)
        with self._lock, self._errors():
            if self._size + len(text) > self._max_bytes:
                raise StoreError(
                    f"the spool {self._path} is full ({self._max_bytes} bytes): the event was not recorded",
                    retryable=True,
                )
            self._db.execute("INSERT INTO spool (stream, event) VALUES (?, ?)", (event.stream, text))
            self._size += len(text)
            self._count += 1

    def first(self, limit: int) -> list[Spooled]:
        """The oldest events, in order; all of one stream."""
        with self._lock, self._errors():
            rows = self._db.execute("SELECT n, stream, event FROM spool ORDER BY n LIMIT ?", (limit,)).fetchall()
        found = []
        for n, stream, text in rows:
            if stream != rows[0][1]:
                break
            found.append(Spooled(n, Event(stream=stream, **orjson.loads(text))))
        return found

    def remove(self, numbers: Sequence[int], refused: Sequence[tuple[int, str]] = ()) -> None:
        """Takes events out that were recorded, and sets those aside that were refused, with the reason."""
        with self._lock, self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for n, reason in refused:
                    self._db.execute(
                        "INSERT INTO refused SELECT n, stream, event, ? FROM spool WHERE n = ?", (reason, n)
                    )
                out = [(n,) for n in (*numbers, *(n for n, _ in refused))]
                self._db.executemany("DELETE FROM spool WHERE n = ?", out)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            size, count = self._db.execute("SELECT ifnull(sum(length(event)), 0), count(*) FROM spool").fetchone()
            self._size, self._count = int(size), int(count)

    def refused(self) -> list[tuple[Event, str]]:
        """The events that the service refused for good, and why."""
        with self._lock, self._errors():
            rows = self._db.execute("SELECT stream, event, why FROM refused ORDER BY n").fetchall()
        return [(Event(stream=stream, **orjson.loads(text)), reason) for stream, text, reason in rows]

    def close(self) -> None:
        """Closes the file; what is in it stays. Idempotent."""
        with self._lock:
            if self._hold >= 0:
                self._db.close()
                os.close(self._hold)
                self._hold = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_hold(self) -> int:
        """Two processes that drained one spool would change its order."""
        beside = self._path.with_name(f"{self._path.name}.lock")
        try:
            hold = os.open(beside, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreError(f"the spool {self._path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(hold)
            raise ConfigError(f"another process has the spool {self._path}: give each process its own") from None
        try:
            # Only its owner may read what waits in it, as only readers of the log may read the log.
            with closing(open(self._path, "ab", opener=_for_owner)):
                pass
        except OSError as error:
            os.close(hold)
            raise StoreError(f"the spool {self._path} cannot be opened: {error.strerror}") from error
        return hold

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", None) or type(error).__name__
            raise StoreError(f"the spool {self._path} failed ({name})") from error


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
