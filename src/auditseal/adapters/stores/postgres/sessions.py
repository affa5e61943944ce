"""Sessions of a PostgreSQL store: short transactions over a pool, walks over connections of their own.

An attempt that meets a lost connection or a lock is made again, and told so.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from auditseal.adapters.stores.postgres.connection import connect, errors_of, open_pool, shown
from auditseal.errors import ConflictError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

T = TypeVar("T")

_GIVE_UP_S: Final = 20.0
"""How long a write is tried again while the server restarts."""
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5
_SLICE: Final = 500
"""How many rows of a walk are fetched at a time."""


class Sessions:
    """The connections to one log."""

    def __init__(self, address: str, *, read_only: bool) -> None:
        self._address = shown(address)
        self._full_address = address
        self._read_only = read_only
        self._closed = False
        self._here = threading.local()
        self._pool = open_pool(address, read_only=read_only)

    @property
    def address(self) -> str:
        """`postgresql://…` without a password."""
        return self._address

    def close(self) -> None:
        """Closes the connections. Idempotent."""
        self._closed = True
        self._pool.close()

    def _write(self, attempt: Callable[..., T], *, found_by_id: bool = False) -> T:
        """As `_persist`, where this store may write."""
        if self._closed or self._read_only:
            raise StoreError(f"{self._address} is closed, or open for reading only")
        return self._persist(attempt, found_by_id=found_by_id)

    def _persist(self, attempt: Callable[..., T], *, found_by_id: bool = False) -> T:
        """The attempt's outcome; made again while its failure may pass, told by `again` that it was made before.

        Args:
            attempt: given a connection.
            found_by_id: whether a conflict may be with what an earlier call stored, whose answer was lost: then the
                attempt is made again as well, once, and finds it.
        """
        give_up_at = time.monotonic() + _GIVE_UP_S
        pause_s, again = 0.0, False
        while True:
            try:
                with errors_of(self._address), self._pool.connection() as connection:
                    return attempt(connection, again=again)
            except ConflictError:
                if again or not found_by_id:
                    raise
            except StoreError as error:
                if self._closed or not error.retryable or time.monotonic() + pause_s > give_up_at:
                    raise
                time.sleep(pause_s)
                pause_s = min(max(pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
                self._pool.check()
            again = True

    def _fetch(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        def attempt(connection: psycopg.Connection[Any], **_: bool) -> list[Any]:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(query, values).fetchall()

        if self._closed:
            raise StoreError(f"{self._address} is closed")
        held = getattr(self._here, "connection", None)
        return self._persist(attempt) if held is None else attempt(held)

    @contextmanager
    def _reading_over(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """What this thread fetches meanwhile comes over this connection.

        A thread that holds a lock must not wait for another connection of the pool: all of them may be waiting for it.
        """
        self._here.connection = connection
        try:
            yield
        finally:
            del self._here.connection

    def _stream(self, query: str, values: Sequence[Any]) -> Iterator[Any]:
        """The rows of a query in constant memory, over a connection that nobody waits for."""
        with (
            errors_of(self._address),
            connect(self._full_address, read_only=True, autocommit=False) as connection,
            connection.cursor("auditseal_walk", binary=True) as cursor,
        ):
            cursor.itersize = _SLICE
            cursor.execute(query, values)
            yield from cursor
