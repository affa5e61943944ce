"""The version of a PostgreSQL log: reading it needs no migration tool, changing it does.

Source: `docs/spec/postgresql.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from auditseal.errors import ConfigError, NotFoundError, StoreError

if TYPE_CHECKING:
    import psycopg

CURRENT: Final = "0003"
"""The newest migration this program knows."""
OWNER, WRITER, READER = "auditseal_owner", "auditseal_writer", "auditseal_reader"

# Roles belong to the whole server, so that another database's log may have made them, or may be making them just now.
_BOOTSTRAP: Final = f"""
    DO $$
    DECLARE
        wanted text;
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('auditseal.migrate'));
        FOREACH wanted IN ARRAY ARRAY['{OWNER}', '{WRITER}', '{READER}'] LOOP
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                BEGIN
                    EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
                EXCEPTION WHEN duplicate_object OR unique_violation THEN
                    NULL;
                END;
            END IF;
        END LOOP;
        IF NOT pg_has_role('{OWNER}', 'USAGE') THEN
            EXECUTE format('GRANT {OWNER} TO %I', current_user);
        END IF;
        IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auditseal') THEN
            CREATE SCHEMA auditseal AUTHORIZATION {OWNER};
        END IF;
    END $$
"""


def version_of(connection: psycopg.Connection[Any]) -> str | None:
    """The log's schema version; None where there is no log in the database."""
    found = connection.execute("SELECT to_regclass('auditseal.alembic_version')").fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM auditseal.alembic_version").fetchone()
    return str(row[0]) if row else None


def check_current(connection: psycopg.Connection[Any], address: str) -> None:
    """Returns if this program can use the log as it is.

    Raises:
        NotFoundError: there is no log in the database.
        ConfigError: the log is of another version; the text says which program must change.
    """
    version = version_of(connection)
    if version is None:
        raise NotFoundError(f"there is no log in {address}: create it with auditseal init --log {address}")
    if version > CURRENT:
        raise ConfigError(
            f"the log in {address} has schema version {version}, and this auditseal knows {CURRENT}: update auditseal"
        )
    if version < CURRENT:
        raise ConfigError(
            f"the log in {address} has schema version {version}: bring it to {CURRENT} with "
            f"auditseal init --log {address} (take a backup first)"
        )


def migrate(connection: psycopg.Connection[Any], address: str) -> bool:
    """Creates the log, its roles and rights, or brings an older one to the current version, in one transaction.

    Returns:
        Whether there was none before.

    Raises:
        ConfigError: a newer log.
        StoreError: the database refused.
    """
    # Alembic and SQLAlchemy take most of a second to import, and are needed once in a log's life.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import StaticPool

    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=StaticPool)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.begin() as transaction:
            connection.execute(_BOOTSTRAP)
            version = version_of(connection)
            if (version or "") > CURRENT:
                check_current(connection, address)
            connection.execute(f"SET LOCAL ROLE {OWNER}")
            config.attributes["connection"] = transaction
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise StoreError(f"cannot create the log in {address}: {str(error.orig).splitlines()[0]}") from error
    finally:
        engine.dispose()
    return version is None
