"""The ledger in a SQLite file: appended without an index, joined by one external sort.

Facts that calls share are kept once. The file may be temporary, or stay to resume from; it holds nothing that is
secret. Whoever can write to it can forge what a trail said: keep it where the reconciliation runs, and nowhere else.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson

from auditseal.adapters.trail.ledger_schema import BESIDE, JOINED, KEPT, PASSING, VERSION
from auditseal.core.claim import Claim
from auditseal.core.cloudtrail import Call, Facts, Seen
from auditseal.core.cloudtrail_changes import Change
from auditseal.core.trail_digest import ListedFile
from auditseal.errors import ConfigError, StoreError
from auditseal.service.accounting.ports import DigestFile, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from auditseal.core.cloudtrail import TrailPart
    from auditseal.service.accounting.ports import Cover, TrailFile

_CACHE_KIB: Final = 8 * 1024
"""Of pages, and again of what is being sorted, before it goes to disk."""
_MOST_INTERNED: Final = 50_000
_BATCH: Final = 5000


class SqliteLedger:
    """A ledger in a file (`auditseal.service.accounting.ports.Ledger`). For one thread, and one process at a time."""

    def __init__(self, path: Path | None = None) -> None:
        """Opens or makes the ledger.

        Args:
            path: the file to resume from; None takes a temporary one.

        Raises:
            ConfigError: the file is something else.
            StoreError: it cannot be made or read, or another process uses it.
        """
        self._path = path or "in a temporary file"
        self._ids: dict[Facts, int] = {}
        self._facts: dict[int, Facts] = {}
        with self._errors():
            self._db = sqlite3.connect(path or "", isolation_level=None)  # SQLite removes a nameless file itself
            self._prepare()

    def _prepare(self) -> None:
        db = self._db
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute("PRAGMA temp_store = FILE")
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        db.execute("COMMIT")
        if version != VERSION and tables:
            raise ConfigError(f"{self._path} is no ledger of this auditseal: name another file, or remove it")
        if not tables:
            db.executescript(f"BEGIN; {KEPT} PRAGMA user_version = {VERSION}; COMMIT;")
        db.create_function("tail", 1, _tail, deterministic=True)
        db.executescript(PASSING)

    def bind(self, trail: str, *, digests: bool) -> None:
        """Binds a new ledger, or holds it to what it was bound to (`Ledger.bind`)."""
        with self._transaction():
            row = self._db.execute("SELECT trail, digests FROM bound").fetchone()
            if row is None:
                self._db.execute("INSERT INTO bound VALUES (?, ?)", (trail, digests))
            elif row[0] != trail:
                raise ConfigError(f"the ledger {self._path} is of the trail {row[0]}: name another for {trail}")
            elif bool(row[1]) != digests:
                raise ConfigError(
                    f"the ledger {self._path} was read {'with' if row[1] else 'without'} checking digests: "
                    "name another, since what it took stays"
                )

    def asked(self) -> tuple[int, int] | None:
        """What was asked for before (`Ledger.asked`)."""
        rows = self._rows("SELECT since, through FROM asked")
        return rows[0] if rows else None

    def note_asked(self, since: int, through: int) -> None:
        """Remembers what was asked for (`Ledger.note_asked`)."""
        with self._transaction():
            self._db.execute("DELETE FROM asked")
            self._db.execute("INSERT INTO asked VALUES (?, ?)", (since, through))

    def has_file(self, file: TrailFile) -> bool:
        """Whether this file was taken (`Ledger.has_file`)."""
        return bool(self._rows("SELECT 1 FROM file WHERE name = ? AND mark = ?", (file.name, file.mark)))

    def add_file(self, file: TrailFile, part: TrailPart) -> None:
        """Takes the facts of a log file (`Ledger.add_file`)."""
        db = self._db
        with self._transaction():
            db.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?)", (file.name, file.mark, part.records))
            rows = [(call.request_id, call.event_id, call.at, self._id_of(call.facts)) for call in part.calls]
            db.executemany("INSERT INTO call VALUES (?, ?, ?, ?)", rows)
            db.executemany(
                "INSERT OR IGNORE INTO change VALUES (?, ?, ?)",
                [(change.event_id, change.at, orjson.dumps(tuple(change))) for change in part.changes],
            )
            db.executemany(
                "INSERT INTO seen VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET first = min(first, excluded.first), "
                "last = max(last, excluded.last), read_only = read_only + excluded.read_only",
                part.seen,
            )

    def digest(self, file: TrailFile) -> DigestFile | None:
        """A digest that was kept (`Ledger.digest`)."""
        query = "SELECT content, signature FROM digest WHERE name = ? AND mark = ?"
        for content, signature in self._rows(query, (file.name, file.mark)):
            try:
                return DigestFile(name=file.name, content=zlib.decompress(content), signature=signature)
            except zlib.error as error:
                raise StoreError(f"the ledger {self._path} is damaged: remove it, to read the trail anew") from error
        return None

    def keep_digest(self, file: TrailFile, digest: DigestFile) -> None:
        """Keeps a digest (`Ledger.keep_digest`)."""
        row = (file.name, file.mark, zlib.compress(digest.content, 1), digest.signature)
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?)", row)

    def add_listed(self, files: Iterable[ListedFile]) -> None:
        """Takes the log files of verified digests (`Ledger.add_listed`)."""
        rows = [(file.name, _tail(file.name), file.sha256) for file in files]
        self._insert("INSERT OR REPLACE INTO listed VALUES (?, ?, ?)", rows)

    def listed(self, name: str) -> ListedFile | None:
        """What a verified digest says of a file (`Ledger.listed`)."""
        for known, sha256 in self._rows("SELECT name, sha256 FROM listed WHERE tail = ?", (_tail(name),)):
            if known == name or known.endswith(f"/{name}") or name.endswith(f"/{known}"):
                return ListedFile(known, sha256)
        return None

    def missing_files(self) -> Iterator[str]:
        """The listed files that were not taken (`Ledger.missing_files`)."""
        with self._errors():
            self._db.execute("CREATE TEMP TABLE IF NOT EXISTS taken (tail TEXT PRIMARY KEY) WITHOUT ROWID")
            self._db.execute("INSERT OR IGNORE INTO taken SELECT tail(name) FROM file")
        query = "SELECT name FROM listed WHERE tail NOT IN (SELECT tail FROM taken) ORDER BY name"
        for (name,) in self._each(query):
            yield name

    def add_claims(self, claims: Iterable[Claim]) -> None:
        """Takes claims (`Ledger.add_claims`)."""
        self._insert("INSERT INTO claim VALUES (?, ?, ?, ?, ?, ?, ?, ?)", claims)

    def add_announced(self, places: Iterable[tuple[str, int, int]]) -> None:
        """Takes the times of entries that announce checkpoints (`Ledger.add_announced`)."""
        self._insert("INSERT OR IGNORE INTO announced VALUES (?, ?, ?)", places)

    def add_covers(self, covers: Iterable[Cover]) -> None:
        """Takes what is covered through the stream of heads (`Ledger.add_covers`)."""
        self._insert("INSERT OR IGNORE INTO cover VALUES (?, ?, ?, ?)", covers)

    def date_checkpoints(self) -> None:
        """Gives claims of checkpoints the times of their entries (`Ledger.date_checkpoints`)."""
        with self._transaction():
            self._db.execute(
                "UPDATE claim SET entry_at = ifnull((SELECT a.at FROM announced a WHERE a.stream = claim.stream "
                "AND a.seq = claim.seq), entry_at) WHERE first IS NOT NULL"
            )

    def joined(self) -> Iterator[tuple[list[Call], list[Claim]]]:
        """Calls and claims by request id (`Ledger.joined`)."""
        facts = self._facts
        current = None
        calls: list[Call] = []
        claims: list[Claim] = []
        for request, is_claim, one, two, three, four, five, six, seven in self._each(JOINED):
            if request != current:
                if current is not None:
                    yield calls, claims
                current, calls, claims = request, [], []
            if is_claim:
                claims.append(Claim(request, one, two, three, four, five, six, seven))
            elif not calls or all(call.event_id != one for call in calls):
                calls.append(Call(request, one, two, facts.get(three) or self._facts_of(three)))
        if current is not None:
            yield calls, claims

    def unjoinable(self) -> Iterator[Claim]:
        """The claims without a request id (`Ledger.unjoinable`)."""
        yield from map(Claim._make, self._each("SELECT * FROM claim WHERE request IS NULL"))

    def add_orphans(self, calls: Iterable[Call]) -> None:
        """Remembers calls without a claim (`Ledger.add_orphans`)."""
        rows = ((call.request_id, call.event_id, call.at, self._id_of(call.facts)) for call in calls)
        self._insert("INSERT OR IGNORE INTO orphan VALUES (?, ?, ?, ?)", rows)

    def orphans(self, *, beside_s: int) -> Iterator[tuple[Call, list[str]]]:
        """Each orphan, and the calls that may be its retry (`Ledger.orphans`)."""
        if not self._rows("SELECT 1 FROM orphan LIMIT 1"):
            return
        with self._errors():
            self._db.execute("CREATE INDEX IF NOT EXISTS call_of_client ON call (facts, at)")
            self._db.execute("CREATE INDEX IF NOT EXISTS temp.claim_of_call ON claim (request)")
        for request, event, at, facts in self._each("SELECT * FROM orphan ORDER BY at, request"):
            beside = [row[0] for row in self._rows(BESIDE, (facts, at, at + beside_s, at))]
            yield Call(request, event, at, self._facts_of(facts)), beside

    def changes(self) -> Iterator[Change]:
        """Changes in order of time (`Ledger.changes`)."""
        for (members,) in self._each("SELECT members FROM change ORDER BY at, event"):
            yield Change._make(orjson.loads(members))

    def facts(self) -> Iterator[Facts]:
        """What the calls share (`Ledger.facts`)."""
        for (members,) in self._each("SELECT members FROM facts"):
            yield Facts._make(orjson.loads(members))

    def seen(self) -> list[Seen]:
        """What the trail saw (`Ledger.seen`)."""
        return [Seen._make(row) for row in self._rows("SELECT * FROM seen ORDER BY account, region")]

    def totals(self) -> tuple[int, int]:
        """(files, records) (`Ledger.totals`)."""
        ((files, records),) = self._rows("SELECT count(*), ifnull(sum(records), 0) FROM file")
        return files, records

    def spans(self) -> Iterator[Span]:
        """What each claim is over (`Ledger.spans`)."""
        query = (
            "SELECT stream, ifnull(first, seq) AS begin, seq, first IS NOT NULL, signer, ifnull(signed_at, entry_at) "
            "FROM claim ORDER BY stream, begin, seq"
        )
        yield from map(Span._make, self._each(query))

    def covers(self) -> Iterator[Cover]:
        """What is covered through the stream of heads (`Ledger.covers`)."""
        yield from self._each("SELECT * FROM cover ORDER BY stream, first")

    def close(self) -> None:
        """Releases the file (`Ledger.close`)."""
        self._db.close()

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._errors():
            return self._db.execute(query, values).fetchall()

    def _each(self, query: str) -> Iterator[Any]:
        with self._errors():
            cursor = self._db.execute(query)
        while True:
            with self._errors():
                rows = cursor.fetchmany(_BATCH)
            if not rows:
                return
            yield from rows

    def _insert(self, statement: str, rows: Iterable[Any]) -> None:
        remaining = iter(rows)
        while part := list(islice(remaining, _BATCH)):
            with self._transaction():
                self._db.executemany(statement, part)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._ids.clear()  # what was interned in this transaction is gone with it
                if self._db.in_transaction:  # not after a full disk, which SQLite rolls back itself
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            busy = "locked" in str(error)
            why = "another process uses it" if busy else str(error)
            raise StoreError(f"the ledger {self._path} cannot be used: {why}", retryable=busy) from error

    def _id_of(self, facts: Facts) -> int:
        known = self._ids.get(facts)
        if known is not None:
            return known
        members = orjson.dumps(tuple(facts))
        row = self._db.execute("SELECT id FROM facts WHERE members = ?", (members,)).fetchone()
        if row is None:
            row = self._db.execute("INSERT INTO facts (members) VALUES (?) RETURNING id", (members,)).fetchone()
        if len(self._ids) >= _MOST_INTERNED:
            self._ids.clear()
        self._ids[facts] = row[0]
        return int(row[0])

    def _facts_of(self, number: int) -> Facts:
        found = self._facts.get(number)
        if found is None:
            ((members,),) = self._rows("SELECT members FROM facts WHERE id = ?", (number,))
            if len(self._facts) >= _MOST_INTERNED:
                self._facts.clear()
            found = self._facts[number] = Facts._make(orjson.loads(members))
        return found


def _tail(name: str) -> str:
    """The file's own name, which CloudTrail makes unique by time and a random part."""
    return name.rsplit("/", 1)[-1]
