"""From an address to what can be read or written there.

Source: `docs/cli.md`, "Addresses".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from auditseal.errors import ConfigError, InputError
from auditseal.wiring.exports import S3, is_export, open_export

if TYPE_CHECKING:
    from auditseal.adapters.stores.postgres.store import PostgresStore
    from auditseal.config import Settings
    from auditseal.core.agent_manager.row import Row
    from auditseal.ports import Source, Store

SQLITE: Final = "sqlite:///"
AGENT_MANAGER: Final = "agent-manager+"
POSTGRES: Final = ("postgresql://", "postgres://")
_FORMS: Final = (
    "sqlite:///PATH or postgresql://USER@HOST/DATABASE for a log, "
    "PATH.jsonl, PATH.parquet, a folder of them or the same under s3:// for an export"
)


def log_address(settings: Settings) -> str:
    """The address of the log that is configured.

    Raises:
        ConfigError: none is.
    """
    if settings.log is None:
        raise ConfigError("no log is named: give its ADDRESS, such as sqlite:///audit.db, with --log or AUDITSEAL_LOG")
    return settings.log


def is_service(address: str) -> bool:
    """Whether an address is that of a service, which is called and not opened."""
    return address.startswith(("https://", "http://"))


def open_store(address: str, *, read_only: bool = False) -> Store:
    """The log at an address.

    Raises:
        InputError: no address of a log.
        NotFoundError, ConfigError, StoreError: no log there, one of another version, or it cannot be used.
    """
    if address.startswith(SQLITE):
        from auditseal.adapters.stores.sqlite.store import SqliteStore

        return SqliteStore(address, read_only=read_only)
    if address.startswith(POSTGRES):
        return _postgres_store()(address, read_only=read_only)
    if address.startswith(AGENT_MANAGER):
        raise InputError("an agent-manager+… address is a table of the existing deployment: verify it, or adopt it")
    if is_export(address):
        raise InputError(f"{address} is an export, and this needs a log: auditseal import it into one first")
    if address.endswith(".json") and "://" not in address:
        raise InputError(
            f"{address} is no log: if it holds rows of an Agent Manager, verify it with --format agent-manager"
        )
    if is_service(address):
        raise InputError(f"{_shown(address)} is a service, and this needs the log itself: run it where the log is")
    raise InputError(f"{_shown(address)} is no address of a log: write {_FORMS}")


def create_store(address: str) -> bool:
    """Creates the log at an address, or brings an older one up to date; whether it is new.

    Raises:
        InputError, ConfigError, StoreError: as `open_store`.
    """
    if address.startswith(POSTGRES):
        return _postgres_store().create(address)
    if not address.startswith(SQLITE):
        open_store(address)
        return False
    from auditseal.adapters.stores.sqlite.connection import path_of
    from auditseal.adapters.stores.sqlite.store import SqliteStore

    is_new = not path_of(address).exists()
    SqliteStore.create(address)
    return is_new


def read_agent_manager(address: str) -> tuple[str, list[Row], list[str]]:
    """The existing deployment's rows: (where they are, without a password; the rows; what among them is none).

    Args:
        address: `agent-manager+postgresql://…`, or the path of a JSON file of rows.

    Raises:
        InputError, NotFoundError, ConfigError, StoreError: they cannot be read.
    """
    if address.startswith(AGENT_MANAGER):
        _postgres_store()
        from auditseal.adapters.stores.postgres.agent_manager import read_table

        return read_table(address)
    from auditseal.adapters.stores.agent_manager import read_rows

    return address, *read_rows(Path(address))


def _postgres_store() -> type[PostgresStore]:
    try:
        from auditseal.adapters.stores.postgres.store import PostgresStore
    except ImportError as error:
        raise ConfigError("PostgreSQL needs the extra `postgres`: pip install 'auditseal[postgres]'") from error
    return PostgresStore


def open_source(address: str) -> Source:
    """What can be read at an address: a log, opened read-only, or an export.

    Raises:
        InputError: no such form of address.
        NotFoundError, ConfigError, StoreError: as `open_store`.
    """
    if is_export(address):
        return open_export(address)
    return open_store(address, read_only=True)


def local_folder(address: str) -> Path:
    """Where a development key and its signers.json lie: `.auditseal` beside a log's file, else in this folder."""
    if address.startswith(SQLITE):
        return Path(address.removeprefix(SQLITE)).parent / ".auditseal"
    if is_export(address) and not address.startswith(S3):
        return Path(address).parent / ".auditseal"
    return Path(".auditseal")


def _shown(address: str) -> str:
    """An address that is not understood, without what may be a password."""
    return repr(address.rpartition("@")[2][:80])
