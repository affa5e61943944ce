"""The PostgreSQL store: entries and signatures.

Whether an attempt whose connection was lost was committed nobody knows, so the next looks every event up by its id
first: nothing is lost and nothing stands there twice.

Source: `docs/spec/postgresql.md`; the contract is `auditseal.ports.Store`.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from psycopg.errors import UniqueViolation

from auditseal.adapters.stores import rows
from auditseal.adapters.stores.postgres import schema
from auditseal.adapters.stores.postgres import statements as sql
from auditseal.adapters.stores.postgres.connection import check_durable, connect, errors_of, shown
from auditseal.adapters.stores.postgres.copying import entries_data, signatures_data
from auditseal.adapters.stores.postgres.evidence import EvidenceTables
from auditseal.adapters.stores.postgres.sessions import Sessions
from auditseal.core.chain import Head, extend
from auditseal.core.entry import Entry
from auditseal.core.event import EntryHash, StreamName
from auditseal.core.promise import CHECKPOINT_TYPE
from auditseal.core.stored_rows import entries_of
from auditseal.ports import Appended, Part, SignatureRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import psycopg

    from auditseal.core.draft import Draft
    from auditseal.core.entry import StoredEntry
    from auditseal.core.stored_rows import StoredRow
    from auditseal.ports import Clock, EntryFilter, NewSignature

_LOWEST_SEQ: Final = -(2**63)
"""What somebody put below 0 is read as well."""


class PostgresStore(Sessions, EvidenceTables):
    """A log in a PostgreSQL database (`auditseal.ports.CheckpointStore`)."""

    def __init__(self, address: str, *, read_only: bool = False) -> None:
        """Opens the log.

        Args:
            address: `postgresql://USER@HOST/DATABASE`, with whatever libpq understands.
            read_only: open it without the right to write.

        Raises:
            InputError: not such an address.
            NotFoundError: no log there.
            ConfigError: a log of another version, or a server that does not write to disk.
            StoreError: the server cannot be used.
        """
        name = shown(address)
        with errors_of(name), connect(address, read_only=True) as connection:
            schema.check_current(connection, name)
            if not read_only:
                check_durable(connection, name)
        super().__init__(address, read_only=read_only)
        self._with_head: set[str] = set()

    @staticmethod
    def create(address: str) -> bool:
        """Creates the log, or brings an older one up to date; whether it is new.

        Raises:
            InputError, ConfigError, StoreError: as construction.
        """
        name = shown(address)
        with errors_of(name):
            connection = connect(address, autocommit=False)
            try:
                return schema.migrate(connection, name)
            finally:
                connection.close()

    def append(self, drafts: Sequence[Draft], clock: Clock) -> list[Appended]:
        """Chains and stores the drafts (`Store.append`)."""
        names = list(dict.fromkeys(draft.stream for draft in drafts))

        def attempt(connection: psycopg.Connection[Any], *, again: bool) -> list[Appended]:
            self._add_heads(connection, names)
            with connection.transaction():
                heads = {row[0]: _head(row) for row in _rows(connection, sql.LOCK_HEADS, [names])}
                asked = rows.ids_by_stream(drafts, all_of_them=again)
                found = rows.by_id(_entries_by_id(connection, asked))
                entries, appended = rows.chain(drafts, found, heads.__getitem__, clock())
                _add_entries(connection, entries)
            return [_as_ours(draft, item) for draft, item in zip(drafts, appended, strict=True)] if again else appended

        return self._write(attempt, found_by_id=True)

    def announce(
        self, stream: str, draft_at: Callable[[int, int | None], Draft], clock: Clock, *, then: Sequence[Draft] = ()
    ) -> Entry:
        """Appends a checkpoint's entry (`CheckpointStore.announce`)."""
        name = StreamName(stream)
        drafts: list[Draft] = []

        def attempt(connection: psycopg.Connection[Any], **_: bool) -> Entry:
            self._add_heads(connection, [name])
            with connection.transaction():
                head = _head(_rows(connection, sql.LOCK_HEADS, [[name]])[0])
                # What an earlier attempt appended, if its answer was lost.
                asked: dict[str, list[str]] = {name: [draft.id for draft in drafts]} if drafts else {}
                found = rows.by_id(_entries_by_id(connection, asked))
                for draft in drafts:
                    if (name, draft.id) in found:
                        return _as_appended(draft, found[name, draft.id])
                before = _rows(connection, sql.LAST_OF_TYPE, [name, CHECKPOINT_TYPE])
                with self._reading_over(connection):
                    drafts.append(draft_at(head.seq + 1, before[0][0] if before else None))
                entries = extend(head, [drafts[-1], *then], clock())
                _add_entries(connection, entries)
            return entries[0]

        return self._write(attempt)

    def insert(self, entries: Sequence[Entry], signatures: Sequence[NewSignature]) -> None:
        """Stores ready entries (`Store.insert`)."""

        def attempt(connection: psycopg.Connection[Any], *, again: bool) -> None:
            with connection.transaction():
                if not (again and entries and _is_stored(connection, entries[-1])):
                    _add_entries(connection, entries)
                _add_signatures(connection, signatures)

        self._write(attempt)

    def add_signatures(self, signatures: Sequence[NewSignature]) -> None:
        """Stores signatures (`Store.add_signatures`)."""

        def attempt(connection: psycopg.Connection[Any], *, again: bool) -> None:
            # Hardly ever is one there already, and what cannot meet one costs half.
            if not again:
                with suppress(UniqueViolation):
                    _copy(connection, sql.COPY_SIGNATURES, signatures_data(signatures))
                    return
            _add_signatures(connection, signatures)

        self._write(attempt)

    def head(self, stream: str) -> Head:
        """The last entry of a stream (`Store.head`)."""
        found = self._fetch(f"{sql.HEADS} AND stream = %s", [stream])
        return _head(found[0]) if found else Head(stream=StreamName(stream))

    def entry(self, stream: str, seq: int) -> StoredEntry | None:
        """One entry (`Store.entry`)."""
        found = self._fetch(f"{sql.JOINED} WHERE e.stream = %s AND e.seq = %s {sql.IN_ORDER}", [stream, seq])
        return next(entries_of(found), None)

    def streams(self) -> list[Head]:
        """The head of every stream (`Store.streams`)."""
        return [_head(row) for row in self._fetch(f"{sql.HEADS} ORDER BY stream")]

    def walk(self, streams: Sequence[str] | None = None) -> Iterator[StoredEntry]:
        """All entries in order (`Source.walk`), of one moment: later appends are not seen."""
        where, values = _in_streams(streams)
        return entries_of(self._stream(sql.JOINED + where + sql.IN_ORDER, values))

    def stream_names(self) -> list[str]:
        """The names of all streams (`RangeSource.stream_names`)."""
        return [row[0] for row in self._fetch(sql.STREAM_NAMES)]

    def walk_from(self, first_seqs: Mapping[str, int]) -> Iterator[StoredEntry]:
        """The entries of some streams from a seq on (`RangeSource.walk_from`)."""
        query = f"{sql.JOINED} WHERE e.stream = %s AND e.seq >= %s {sql.IN_ORDER}"
        for place in sorted(first_seqs.items()):
            yield from entries_of(self._stream(query, place))

    def parts(self, streams: Sequence[str] | None, size: int) -> Iterator[Part]:
        """The entries in parts by ranges of seq (`PartedSource.parts`); what is appended meanwhile is not seen."""
        names = self.stream_names() if streams is None else list(dict.fromkeys(streams))
        ends = {name: self._fetch(sql.LAST_SEQ, [name])[0][0] for name in names}
        for name, end in ends.items():
            first = _LOWEST_SEQ
            while end is not None and first <= end:
                row = self._fetch(sql.END_OF_PART, [name, first, end, size - 1])
                last = int(row[0][0]) if row else end
                yield Part(name, first, last)
                first = last + 1

    def read_part(self, part: Part) -> Iterator[StoredEntry]:
        """The entries of a part (`PartedSource.read_part`)."""
        yield from entries_of(self._fetch(sql.PART, part))

    def rows(self, part: Part) -> Iterator[list[StoredRow]]:
        """The rows of a part (`RowSource.rows`), in one list."""
        signed = self._fetch(sql.SIGNED_IN_PART, part)
        yield self._fetch(sql.PART if signed else sql.UNSIGNED_PART, part)

    def signature_rows(self, streams: Sequence[str] | None = None) -> Iterator[SignatureRow]:
        """What is known of each signature, in order (`SignatureSource.signature_rows`)."""
        where, values = _in_streams(streams)
        return map(SignatureRow._make, self._stream(sql.SIGNATURE_ROWS + where + sql.IN_PLACE, values))

    def count(self, streams: Sequence[str] | None = None) -> int:
        """How many entries there are (`Source.count`)."""
        where, values = _in_streams(streams)
        return int(self._fetch(f"SELECT count(*) FROM auditseal.entries e {where}", values)[0][0])

    def pending(self, *, limit: int, stream: str | None = None, before: str | None = None) -> list[StoredEntry]:
        """Entries without a signature (`Store.pending`)."""
        query, values = sql.PENDING, []
        for test, value in ((" AND e.stream = %s", stream), (" AND e.time < %s", before)):
            if value is not None:
                query += test
                values.append(value)
        return list(entries_of(self._fetch(query + sql.BY_AGE, [*values, limit])))

    def count_pending(self) -> int:
        """How many entries have no signature (`Store.count_pending`)."""
        pending = int(self._fetch(sql.COUNT_PENDING)[0][0])
        if not self._read_only:
            self._write(lambda connection, **_: connection.execute(sql.NOTE_SIGNED))
        return pending

    def select(self, which: EntryFilter, *, limit: int, after: tuple[str, int] | None = None) -> list[StoredEntry]:
        """A page of entries (`Store.select`)."""
        tests, values = rows.conditions(which, "%s")
        if any("\0" in value for value in values if isinstance(value, str)):
            return []  # no text in PostgreSQL has it
        if after is not None:
            tests.append("(e.stream, e.seq) > (%s, %s)")
            values += after
        where = f"WHERE {' AND '.join(tests)}" if tests else ""
        return list(entries_of(self._fetch(sql.PAGE.format(where), [*values, limit])))

    @contextmanager
    def exclusively(self, what: str) -> Iterator[bool]:
        """A lock that ends with its process (`Exclusive.exclusively`), on a connection of its own."""
        with errors_of(self._address), connect(self._full_address) as connection:
            yield bool(_rows(connection, sql.TRY_LOCK, [what])[0][0])

    def _add_heads(self, connection: psycopg.Connection[Any], names: Sequence[StreamName]) -> None:
        """Sees to it that there is a row to lock, in a transaction of its own: rows are then locked in one order."""
        if missing := [name for name in names if name not in self._with_head]:
            connection.execute(sql.ADD_HEADS, [missing])
            self._with_head.update(missing)


def _rows(connection: psycopg.Connection[Any], query: str, values: Sequence[Any]) -> list[Any]:
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(query, values).fetchall()


def _head(row: Any) -> Head:
    return Head(stream=StreamName(row[0]), seq=row[1], hash=EntryHash(row[2]), time=row[3])


def _entries_by_id(connection: psycopg.Connection[Any], asked: dict[str, list[str]]) -> Iterator[StoredEntry]:
    for stream, ids in asked.items():
        query = f"{sql.JOINED} WHERE e.stream = %s AND e.id = ANY (%s) {sql.IN_ORDER}"
        yield from entries_of(_rows(connection, query, [stream, ids]))


def _is_stored(connection: psycopg.Connection[Any], entry: Entry) -> bool:
    query = "SELECT 1 FROM auditseal.entries WHERE stream = %s AND seq = %s AND hash = %s"
    return bool(_rows(connection, query, [entry.stream, entry.seq, entry.hash]))


def _add_entries(connection: psycopg.Connection[Any], entries: Sequence[Entry]) -> None:
    if entries:
        _copy(connection, sql.COPY_ENTRIES, entries_data(entries))


def _copy(connection: psycopg.Connection[Any], into: str, data: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        copy.write(data)


def _add_signatures(connection: psycopg.Connection[Any], signatures: Sequence[NewSignature]) -> None:
    if signatures:
        columns = [list(column) for column in zip(*map(rows.signature_row, signatures), strict=True)]
        connection.execute(sql.ADD_SIGNATURES, columns, binary=True)


def _as_ours(draft: Draft, item: Appended) -> Appended:
    """An entry under an id that was made for this draft is one of an attempt before this one: new, not found."""
    stored = item.found
    return item if stored is None or not draft.id_is_new else Appended(_as_appended(draft, stored))


def _as_appended(draft: Draft, stored: StoredEntry) -> Entry:
    """The entry that was made from a draft, from how it is read."""
    return Entry(
        stream=draft.stream,
        seq=stored.seq,
        id=draft.id,
        time=(stored.columns and stored.columns.time) or "",
        type=draft.type,
        actor=draft.actor,
        body=stored.body,
        prev_hash=EntryHash(stored.prev_hash),
        hash=EntryHash(stored.hash),
    )


def _in_streams(streams: Sequence[str] | None) -> tuple[str, list[Any]]:
    return ("", []) if streams is None else ("WHERE e.stream = ANY (%s)", [list(streams)])
