"""The version of a SQLite log: reading it needs no migration tool, changing it does.

Source: `docs/spec/sqlite.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from auditseal.errors import ConfigError, NotFoundError, StoreError

if TYPE_CHECKING:
    import sqlite3

CURRENT: Final = "0002"
"""The newest migration this program knows."""


def version_of(connection: sqlite3.Connection) -> str | None:
    """The log's schema version; None where there is no log in the file."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone():
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def check_current(connection: sqlite3.Connection, path: Path) -> None:
    """Returns if this program can use the log as it is.

    Raises:
        NotFoundError: there is no log in the file.
        ConfigError: the log is of another version; the text says which program must change.
    """
    version = version_of(connection)
    if version is None:
        if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
            raise ConfigError(f"{path} is a database of another program: name a file of its own for the log")
        raise NotFoundError(f"there is no log in {path}: create it with auditseal init --log sqlite:///{path}")
    if version > CURRENT:
        raise ConfigError(
            f"the log in {path} has schema version {version}, and this auditseal knows {CURRENT}: update auditseal"
        )
    if version < CURRENT:
        raise ConfigError(
            f"the log in {path} has schema version {version}: bring it to {CURRENT} with "
            f"auditseal init --log sqlite:///{path} (take a copy first)"
        )


def migrate(path: Path) -> None:
    """Creates the log in the file, or brings an older one to the current version, in one transaction.

    Raises:
        ConfigError: the file holds something else, or a newer log.
        StoreError: the database refused.
    """
    # Alembic and SQLAlchemy take most of a second to import, and are needed once in a log's life.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    engine = create_engine("sqlite+pysqlite://", creator=lambda: _connect(path), poolclass=NullPool)
    # The driver's own transaction handling leaves DDL outside; SQLAlchemy's documented remedy is to begin by hand.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise StoreError(f"cannot create the log in {path}: {error.orig}") from error
    finally:
        engine.dispose()


def _connect(path: Path) -> sqlite3.Connection:
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
