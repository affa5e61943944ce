"""The embedded default: a log in one SQLite file.

WAL with `synchronous=FULL`, so that a commit is on disk when it returns; entries and signatures are append-only by
triggers in the file itself; several threads and processes may write.

Source: https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous
"""

from auditseal.adapters.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
