"""The SQLite store: one connection for writing, taken by one thread at a time, and one for each reader.

Source: `docs/spec/sqlite.md`; the contract is `auditseal.ports.Store`.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from auditseal.adapters.stores.rows import by_id, chain, conditions, ids_by_stream, signature_row
from auditseal.adapters.stores.sqlite import schema
from auditseal.adapters.stores.sqlite.connection import SCHEME, errors_of, open_for_reading, open_for_writing, path_of
from auditseal.adapters.stores.sqlite.evidence import EvidenceTables
from auditseal.adapters.stores.sqlite.reading import IN_ORDER, JOINED, entries_of, entries_of_part, rows_of_part
from auditseal.core.chain import Head, extend
from auditseal.core.event import EntryHash, StreamName
from auditseal.core.promise import CHECKPOINT_TYPE
from auditseal.errors import StoreError
from auditseal.ports import Part, SignatureRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from auditseal.core.draft import Draft
    from auditseal.core.entry import Entry, StoredEntry
    from auditseal.core.stored_rows import StoredRow
    from auditseal.ports import Appended, Clock, EntryFilter, NewSignature

_INSERT_ENTRY: Final = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_SIGNATURE: Final = "INSERT OR IGNORE INTO signatures VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_HEAD: Final = "SELECT seq, hash, time FROM entries WHERE stream = ? ORDER BY seq DESC LIMIT 1"
# Backwards from the head, so that it reads no more than the entries since.
_LAST_OF_TYPE: Final = "SELECT seq FROM entries WHERE stream = ? AND +type = ? ORDER BY seq DESC LIMIT 1"
_SIGNATURE_ROWS: Final = (
    "SELECT e.stream, e.seq, e.id, e.time, e.type, s.signer, s.request_id, s.signed_at FROM entries e "
    "LEFT JOIN signatures s ON s.stream = e.stream AND s.seq = e.seq "
)
_IN_PLACE: Final = " ORDER BY e.stream, e.seq"
_UNSIGNED: Final = (
    "e.seq >= ifnull((SELECT seq FROM signed_below b WHERE b.stream = e.stream), 0) AND NOT EXISTS "
    "(SELECT 1 FROM signatures s WHERE s.stream = e.stream AND s.seq = e.seq)"
)
_BY_AGE: Final = "ORDER BY e.time, e.stream, e.seq"
_END_OF_PART: Final = "SELECT seq FROM entries WHERE stream = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT 1 OFFSET ?"
_LOWEST_SEQ: Final = -(2**63)
"""What somebody put below 0 is read as well."""
# SQLite's default limit on parameters in one statement is 32,766; ids are looked up in slices.
_LOOKUP_SLICE: Final = 500


class SqliteStore(EvidenceTables):
    """A log in a SQLite file (`auditseal.ports.CheckpointStore`)."""

    def __init__(self, address: str, *, read_only: bool = False) -> None:
        """Opens the log.

        Args:
            address: `sqlite:///PATH`.
            read_only: open it without the right to write.

        Raises:
            InputError: not such an address.
            NotFoundError: no log there.
            ConfigError: a log of another version, or another program's database.
            StoreError: the file cannot be used.
        """
        self._path = path_of(address)
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._idle_readers: list[sqlite3.Connection] = []
        self._closed = False
        if read_only:
            self._idle_readers.append(open_for_reading(self._path))
        else:
            self._writer = open_for_writing(self._path)

    @staticmethod
    def create(address: str) -> None:
        """Creates the log, or brings an older one up to date.

        Raises:
            InputError, ConfigError, StoreError: as construction.
        """
        path = path_of(address)
        if not path.parent.is_dir():
            raise StoreError(f"the folder {path.parent} does not exist: create it first")
        if path.exists():
            with errors_of(path):
                _refuse_foreign(path)
        with errors_of(path):
            schema.migrate(path)

    @property
    def address(self) -> str:
        """`sqlite:///PATH`."""
        return f"{SCHEME}{self._path}"

    def append(self, drafts: Sequence[Draft], clock: Clock) -> list[Appended]:
        """Chains and stores the drafts (`Store.append`)."""
        with self._transaction() as connection:
            found = _entries_by_id(connection, drafts)
            entries, appended = chain(drafts, found, lambda stream: _head(connection, stream), clock())
            connection.executemany(_INSERT_ENTRY, entries)
            return appended

    def announce(
        self, stream: str, draft_at: Callable[[int, int | None], Draft], clock: Clock, *, then: Sequence[Draft] = ()
    ) -> Entry:
        """Appends a checkpoint's entry (`CheckpointStore.announce`)."""
        with self._transaction() as connection:
            head = _head(connection, StreamName(stream))
            before = connection.execute(_LAST_OF_TYPE, (stream, CHECKPOINT_TYPE)).fetchone()
            announced = draft_at(head.seq + 1, None if before is None else before[0])
            entries = extend(head, [announced, *then], clock())
            connection.executemany(_INSERT_ENTRY, entries)
            return entries[0]

    def insert(self, entries: Sequence[Entry], signatures: Sequence[NewSignature]) -> None:
        """Stores ready entries (`Store.insert`)."""
        with self._transaction() as connection:
            connection.executemany(_INSERT_ENTRY, entries)
            connection.executemany(_INSERT_SIGNATURE, map(signature_row, signatures))

    def add_signatures(self, signatures: Sequence[NewSignature]) -> None:
        """Stores signatures (`Store.add_signatures`)."""
        with self._transaction() as connection:
            connection.executemany(_INSERT_SIGNATURE, map(signature_row, signatures))

    def head(self, stream: str) -> Head:
        """The last entry of a stream (`Store.head`)."""
        with self._reader() as connection:
            return _head(connection, StreamName(stream))

    def entry(self, stream: str, seq: int) -> StoredEntry | None:
        """One entry (`Store.entry`)."""
        with self._reader() as connection:
            rows = connection.execute(JOINED + "WHERE e.stream = ? AND e.seq = ?" + IN_ORDER, (stream, seq))
            return next(entries_of(rows), None)

    def streams(self) -> list[Head]:
        """The head of every stream (`Store.streams`)."""
        with self._reader() as connection:
            return [_head(connection, StreamName(name)) for name in _stream_names(connection)]

    def walk(self, streams: Sequence[str] | None = None) -> Iterator[StoredEntry]:
        """All entries in order (`Source.walk`), of one moment: later appends are not seen."""
        where, values = _in_streams(streams)
        with self._reader() as connection:
            yield from entries_of(connection.execute(JOINED + where + IN_ORDER, values))

    def stream_names(self) -> list[str]:
        """The names of all streams (`RangeSource.stream_names`)."""
        with self._reader() as connection:
            return _stream_names(connection)

    def walk_from(self, first_seqs: Mapping[str, int]) -> Iterator[StoredEntry]:
        """The entries of some streams from a seq on (`RangeSource.walk_from`)."""
        with self._reader() as connection:
            for stream, first in sorted(first_seqs.items()):
                query = JOINED + "WHERE e.stream = ? AND e.seq >= ?" + IN_ORDER
                yield from entries_of(connection.execute(query, (stream, first)))

    def parts(self, streams: Sequence[str] | None, size: int) -> Iterator[Part]:
        """The entries in parts by ranges of seq (`PartedSource.parts`); what is appended meanwhile is not seen."""
        with self._reader() as connection:
            names = _stream_names(connection) if streams is None else streams
            ends = {name: _head(connection, StreamName(name)).seq for name in dict.fromkeys(names)}
        for name, end in ends.items():
            first = _LOWEST_SEQ
            while first <= end:
                with self._reader() as connection:
                    row = connection.execute(_END_OF_PART, (name, first, end, size - 1)).fetchone()
                last = end if row is None else int(row[0])
                yield Part(name, first, last)
                first = last + 1

    def read_part(self, part: Part) -> Iterator[StoredEntry]:
        """The entries of a part (`PartedSource.read_part`)."""
        with self._reader() as connection:
            yield from entries_of_part(connection, part)

    def rows(self, part: Part) -> Iterator[list[StoredRow]]:
        """The rows of a part (`RowSource.rows`)."""
        with self._reader() as connection:
            yield from rows_of_part(connection, part)

    def signature_rows(self, streams: Sequence[str] | None = None) -> Iterator[SignatureRow]:
        """What is known of each signature, in order (`SignatureSource.signature_rows`)."""
        where, values = _in_streams(streams)
        with self._reader() as connection:
            yield from map(SignatureRow._make, connection.execute(_SIGNATURE_ROWS + where + _IN_PLACE, values))

    def count(self, streams: Sequence[str] | None = None) -> int:
        """How many entries there are (`Source.count`)."""
        where, values = _in_streams(streams)
        with self._reader() as connection:
            return int(connection.execute("SELECT count(*) FROM entries e " + where, values).fetchone()[0])

    def pending(self, *, limit: int, stream: str | None = None, before: str | None = None) -> list[StoredEntry]:
        """Entries without a signature (`Store.pending`)."""
        tests, values = [_UNSIGNED], []
        if stream is not None:
            tests.append("e.stream = ?")
            values.append(stream)
        if before is not None:
            tests.append("e.time < ?")
            values.append(before)
        oldest = f"SELECT e.rowid FROM entries e WHERE {' AND '.join(tests)} {_BY_AGE} LIMIT ?"
        query = f"{JOINED} WHERE e.rowid IN ({oldest}) {_BY_AGE}"
        with self._reader() as connection:
            return list(entries_of(connection.execute(query, [*values, limit])))

    def count_pending(self) -> int:
        """How many entries have no signature (`Store.count_pending`)."""
        with self._reader() as connection:
            pending = int(connection.execute(f"SELECT count(*) FROM entries e WHERE {_UNSIGNED}").fetchone()[0])
        if self._writer is not None:
            self._note_signed()
        return pending

    def select(self, which: EntryFilter, *, limit: int, after: tuple[str, int] | None = None) -> list[StoredEntry]:
        """A page of entries (`Store.select`)."""
        tests, values = conditions(which, "?")
        if after is not None:
            tests.append("(e.stream, e.seq) > (?, ?)")
            values += after
        places = "SELECT e.rowid FROM entries e WHERE " + " AND ".join(tests or ["1"])
        query = f"{JOINED} WHERE e.rowid IN ({places} ORDER BY e.stream, e.seq LIMIT ?) {IN_ORDER}"
        with self._reader() as connection:
            return list(entries_of(connection.execute(query, [*values, limit])))

    @contextmanager
    def exclusively(self, what: str) -> Iterator[bool]:
        """A lock that ends with its process (`Exclusive.exclusively`), on a file beside the log's."""
        path = self._path.with_name(f"{self._path.name}.{what}.lock")
        try:
            lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise StoreError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(lock)

    def close(self) -> None:
        """Closes the file. Idempotent."""
        with self._lock:
            self._closed = True
            while self._idle_readers:
                self._idle_readers.pop().close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, errors_of(self._path):
            connection = self._writer
            if connection is None:
                raise StoreError(f"{self._path} is closed, or open for reading only")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle_readers.pop()
        except IndexError:
            connection = open_for_reading(self._path)
        healthy = False
        try:
            with errors_of(self._path):
                yield connection
            healthy = True
        finally:
            if healthy and not self._closed:
                self._idle_readers.append(connection)
            else:
                connection.close()

    def _note_signed(self) -> None:
        """Moves `signed_below` up to the first entry without a signature of each stream."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO signed_below SELECT stream, "
                f"ifnull((SELECT min(e.seq) FROM entries e WHERE e.stream = n.stream AND {_UNSIGNED}), n.last + 1) "
                "FROM (SELECT stream, max(seq) AS last FROM entries GROUP BY stream) n"
            )


def _refuse_foreign(path: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(path)
    try:
        version = schema.version_of(connection)
        has_tables = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        if (version is None and has_tables) or (version or "") > schema.CURRENT:
            schema.check_current(connection, path)
    finally:
        connection.close()


def _head(connection: sqlite3.Connection, stream: StreamName) -> Head:
    row = connection.execute(_HEAD, (stream,)).fetchone()
    return Head(stream=stream) if row is None else Head(stream=stream, seq=row[0], hash=EntryHash(row[1]), time=row[2])


def _stream_names(connection: sqlite3.Connection) -> list[str]:
    """By skipping through the index: one look-up a stream, not one an entry."""
    names: list[str] = []
    (name,) = connection.execute("SELECT min(stream) FROM entries").fetchone()
    while name is not None:
        names.append(name)
        (name,) = connection.execute("SELECT min(stream) FROM entries WHERE stream > ?", (name,)).fetchone()
    return names


def _entries_by_id(connection: sqlite3.Connection, drafts: Sequence[Draft]) -> dict[tuple[str, str], StoredEntry]:
    """The entries that stand in the drafts' streams under ids that callers gave."""
    found: dict[tuple[str, str], StoredEntry] = {}
    for stream, ids in ids_by_stream(drafts).items():
        for start in range(0, len(ids), _LOOKUP_SLICE):
            part = ids[start : start + _LOOKUP_SLICE]
            marks = ",".join("?" * len(part))
            known = f"SELECT e.rowid FROM entries e INDEXED BY entries_id WHERE e.stream = ? AND e.id IN ({marks})"
            rowids = [row[0] for row in connection.execute(known, [stream, *part])]
            for rowid in rowids:
                found |= by_id(entries_of(connection.execute(JOINED + "WHERE e.rowid = ?", [rowid])))
    return found


def _in_streams(streams: Sequence[str] | None) -> tuple[str, list[Any]]:
    if streams is None:
        return "", []
    return f"WHERE e.stream IN ({','.join('?' * len(streams))})", list(streams)
