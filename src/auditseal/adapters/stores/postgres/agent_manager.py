"""The existing deployment's table in its own PostgreSQL database, read as it stands and never written.

Numbers of a payload come as the text that the database holds, so that one more exact than a double is told from it.

Source: `docs/spec/agent-manager.md` §1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from auditseal.adapters.stores.agent_manager import collect_rows
from auditseal.adapters.stores.postgres.connection import connect, errors_of, shown
from auditseal.core.agent_manager.payload import parse_rows_text
from auditseal.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from auditseal.core.agent_manager.row import Row

PREFIX: Final = "agent-manager+"
TABLE: Final = "audit_events"
_LEAST: Final = frozenset({"payload", "prev_hash", "signature"})
_SLICE: Final = 1000
_COLUMNS: Final = (
    "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
    "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)


def read_table(address: str) -> tuple[str, list[Row], list[str]]:
    """(the address without its password, the rows of the table, what stands among them and is no row).

    Args:
        address: `agent-manager+postgresql://…`; the table is found by the user's search_path.

    Raises:
        InputError: no such address, or a table of another shape.
        NotFoundError: no such table.
        StoreError: it cannot be read.
    """
    url = address.removeprefix(PREFIX)
    name = PREFIX + shown(url)
    with errors_of(name), connect(url, read_only=True, autocommit=False) as connection:
        rows, unreadable = collect_rows(_members(connection, name))
    return name, rows, unreadable


def _members(connection: psycopg.Connection[Any], name: str) -> Iterator[dict[str, Any] | InputError]:
    columns = dict(connection.execute(_COLUMNS, [TABLE]).fetchall())
    if not columns:
        raise NotFoundError(
            f"{name} has no table {TABLE}: name its database, and its schema with ?options=-csearch_path=…"
        )
    if missing := _LEAST - columns.keys():
        raise InputError(f"the table {TABLE} of {name} lacks {', '.join(sorted(missing))}: it is another program's")
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(_as_text(column, type_) for column, type_ in columns.items()), sql.Identifier(TABLE)
    )
    with connection.cursor("auditseal_rows") as cursor:
        cursor.itersize = _SLICE
        cursor.execute(query)
        for record in cursor:
            members = dict(zip(columns, record, strict=True))
            try:
                payload = members["payload"]
                members["payload"] = None if payload is None else parse_rows_text(payload)
            except InputError as error:
                yield error
            else:
                yield members


def _as_text(column: str, type_: str) -> sql.Composed:
    """A column as text that depends on no setting of the server: times in UTC, as RFC 3339."""
    form = "{}::text"
    if type_ == "timestamp with time zone":
        form = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    return sql.SQL(form).format(sql.Identifier(column))
