"""What a witness last cosigned, in a SQLite file of its own.

Source: `auditseal.ports.WitnessStore`; https://sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from auditseal.core.checkpoint import Checkpoint
from auditseal.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUSY_TIMEOUT_MS: Final = 30_000
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS cosigned "
    "(origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL) STRICT, WITHOUT ROWID"
)
# A witness never goes back, whatever program writes here.
_GROWS: Final = (
    "CREATE TRIGGER IF NOT EXISTS cosigned_grows BEFORE UPDATE ON cosigned WHEN NEW.size < OLD.size "
    "OR NEW.origin <> OLD.origin OR (NEW.size = OLD.size AND NEW.root <> OLD.root) "
    "BEGIN SELECT RAISE(ABORT, 'auditseal: a witness never goes back'); END"
)
_STAYS: Final = (
    "CREATE TRIGGER IF NOT EXISTS cosigned_stays BEFORE DELETE ON cosigned "
    "BEGIN SELECT RAISE(ABORT, 'auditseal: a witness never forgets'); END"
)


class SqliteWitnessStore:
    """The state of one witness (`auditseal.ports.WitnessStore`)."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or creates it.

        Raises:
            StoreError: it cannot be used.
        """
        self._path = path
        self._lock = threading.Lock()
        with self._errors():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            for statement in (_TABLE, _GROWS, _STAYS):
                self._connection.execute(statement)

    def last(self, origin: str) -> Checkpoint | None:
        """What was last cosigned; see `WitnessStore.last`."""
        with self._lock, self._errors():
            row = self._connection.execute("SELECT size, root FROM cosigned WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else Checkpoint(origin=origin, size=row[0], root=row[1])

    def advance(self, origin: str, before: Checkpoint | None, after: Checkpoint) -> bool:
        """Compares and stores in one statement; see `WitnessStore.advance`."""
        with self._lock, self._errors():
            if before is None:
                changed = self._connection.execute(
                    "INSERT INTO cosigned VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (origin, after.size, after.root)
                )
            else:
                changed = self._connection.execute(
                    "UPDATE cosigned SET size = ?, root = ? WHERE origin = ? AND size = ? AND root = ?",
                    (after.size, after.root, origin, before.size, before.root),
                )
            return changed.rowcount == 1

    def close(self) -> None:
        """Closes the file. Idempotent."""
        self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", None) or type(error).__name__
            retryable = name in ("SQLITE_BUSY", "SQLITE_LOCKED")
            raise StoreError(f"the witness's state {self._path} failed ({name})", retryable=retryable) from error
