"""Connecting to PostgreSQL, and every psycopg error in our words.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html, libpq-connect.html
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from auditseal.errors import ConfigError, ConflictError, InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES: Final = ("postgresql://", "postgres://")
_LOCK_TIMEOUT_MS: Final = 30_000
_POOL_SIZE: Final = 10
_POOL_TIMEOUT_S: Final = 30.0
# A server that vanished is noticed within half a minute, whatever the system's own defaults are.
_CONNECTION: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "auditseal",
    "client_encoding": "utf8",
}


def shown(address: str) -> str:
    """The address without a password.

    Raises:
        InputError: no `postgresql://` address.
    """
    if not address.startswith(SCHEMES):
        raise InputError("this is no address such as postgresql://user@host/database")
    try:
        conninfo_to_dict(address)
        parts = urlsplit(address)
    except (psycopg.ProgrammingError, ValueError) as error:
        raise InputError("the address is no postgresql:// URL that PostgreSQL understands") from error
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    query = "&".join(item for item in parts.query.split("&") if not item.startswith(("password=", "sslpassword=")))
    return f"{parts.scheme}://{name}{'@' if name else ''}{host}{parts.path}{'?' if query else ''}{query}"


def connect(address: str, *, read_only: bool = False, autocommit: bool = True) -> psycopg.Connection[Any]:
    """One connection, outside any pool.

    Raises:
        InputError: an option of the address has no such value.
        StoreError: no connection, which may pass.
    """
    try:
        return psycopg.connect(address, autocommit=autocommit, **_options(address, read_only=read_only))
    except psycopg.OperationalError as error:
        raise _no_connection(shown(address), error) from error
    except psycopg.ProgrammingError as error:
        raise InputError(f"{shown(address)} cannot be used: {error}") from error


def open_pool(address: str, *, read_only: bool) -> ConnectionPool[psycopg.Connection[Any]]:
    """Connections that threads share; none is made before it is needed."""
    return ConnectionPool(
        address,
        min_size=0,
        max_size=_POOL_SIZE,
        timeout=_POOL_TIMEOUT_S,
        kwargs={"autocommit": True, **_options(address, read_only=read_only)},
        reconnect_timeout=1.0,
        name="auditseal",
        open=True,
    )


def _options(address: str, *, read_only: bool) -> dict[str, Any]:
    given = conninfo_to_dict(address)
    own = f"-c lock_timeout={_LOCK_TIMEOUT_MS} -c default_transaction_isolation=read\\ committed"
    if read_only:
        own += " -c default_transaction_read_only=on"
    options = {name: value for name, value in _CONNECTION.items() if name not in given}
    options["options"] = f"{given.get('options', '')} {own}".strip()
    return options


def check_durable(connection: psycopg.Connection[Any], address: str) -> None:
    """Refuses a server that acknowledges what is not on disk.

    Raises:
        ConfigError: fsync or synchronous_commit is off.
    """
    row = connection.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')").fetchone()
    if row is None or row[0] != "on" or row[1] == "off":
        raise ConfigError(
            f"{address} runs with fsync or synchronous_commit off: what it acknowledges may be lost; switch both on"
        )


_LOST: Final = "is not to be reached, or closed the connection; try again"
_BUSY: Final = "is locked by another writer; try again"
_RIGHTS: Final = "does not let this user do that: grant it auditseal_writer to append, or auditseal_reader to read"
_FULL: Final = "has no room: the disk is full. Nothing was changed"
_CAUSES: Final = {
    "08": (_LOST, True),
    "57P": (_LOST, True),
    "40": (_BUSY, True),
    "55P03": (_BUSY, True),
    "53300": ("has no connection left; try again, or raise its max_connections", True),
    "531": (_FULL, False),
    "25006": ("is read-only: name the primary, not a standby", False),
    "42501": (_RIGHTS, False),
    "57014": ("cancelled the statement, which took too long; try again", True),
    "XX001": ("is damaged: keep it as it is and restore a copy", False),
    "XX002": ("is damaged: keep it as it is and restore a copy", False),
}


@contextmanager
def errors_of(address: str) -> Iterator[None]:
    """Turns psycopg's errors into StoreError, and a broken chain rule into ConflictError."""
    try:
        yield
    except psycopg.IntegrityError as error:
        raise ConflictError(f"{address} refused an entry that does not follow its stream's last one") from error
    except PoolTimeout as error:
        raise StoreError(f"{address} {_LOST}", retryable=True) from error
    except psycopg.DataError as error:
        raise InputError(f"{address} cannot hold a text of this entry: U+0000 or half a surrogate pair") from error
    except psycopg.Error as error:
        state = error.sqlstate
        if state is None and isinstance(error, psycopg.OperationalError):
            state = "08000"
        cause, retryable = next(
            (known for code, known in _CAUSES.items() if (state or "").startswith(code)), (f"failed ({state})", False)
        )
        raise StoreError(f"{address} {cause}", retryable=retryable) from error


def _no_connection(address: str, error: psycopg.OperationalError) -> StoreError | InputError:
    """Libpq names host, user and database, never the password; its last line that is no question is the cause."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.endswith("?")] or ["no answer"]
    cause = said[-1].removeprefix("connection failed: ").removeprefix("connection is bad: ")
    if cause.startswith("invalid "):
        return InputError(f"{address} cannot be used: {cause}")
    return StoreError(f"cannot connect to {address}: {cause}", retryable=True)
