"""The ledger in a SQLite file: appended without an index, joined by one external sort.

Facts that calls share are kept once. The file may be temporary, or stay to resume from; it holds nothing that is
secret, and nothing that could not be read anew.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from auditseal.core.claim import Claim
from auditseal.core.cloudtrail import Call, Facts, Seen
from auditseal.core.cloudtrail_changes import Change
from auditseal.core.trail_digest import ListedFile
from auditseal.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from auditseal.core.cloudtrail import TrailPart
    from auditseal.service.accounting.ports import TrailFile

_VERSION: Final = 1
_CACHE_KIB: Final = 32 * 1024
_MOST_INTERNED: Final = 50_000
_SCHEMA: Final = """
CREATE TABLE file (name TEXT PRIMARY KEY, mark TEXT NOT NULL, records INTEGER, read_only INTEGER) WITHOUT ROWID;
CREATE TABLE seen (account TEXT, region TEXT, first INTEGER, last INTEGER, PRIMARY KEY (account, region)) WITHOUT ROWID;
CREATE TABLE listed (name TEXT, tail TEXT, sha256 TEXT, PRIMARY KEY (tail, name)) WITHOUT ROWID;
CREATE TABLE facts (id INTEGER PRIMARY KEY, members BLOB NOT NULL UNIQUE);
CREATE TABLE call (request TEXT, event TEXT, at INTEGER, facts INTEGER);
CREATE TABLE change (event TEXT PRIMARY KEY, at INTEGER, members BLOB) WITHOUT ROWID;
CREATE TABLE stream (name TEXT PRIMARY KEY, last_seq INTEGER) WITHOUT ROWID;
CREATE TABLE claim (
    request TEXT, stream TEXT, seq INTEGER, entry TEXT, signer TEXT, entry_at INTEGER, signed_at INTEGER
);
"""
_JOINED: Final = (
    "SELECT request, 0, event, at, facts, NULL, NULL, NULL FROM call UNION ALL "
    "SELECT request, 1, stream, seq, entry, signer, entry_at, signed_at FROM claim WHERE request IS NOT NULL "
    "ORDER BY 1, 2"
)


class SqliteLedger:
    """A ledger in a file (`auditseal.service.accounting.ports.Ledger`). For one thread."""

    def __init__(self, path: Path | None = None) -> None:
        """Opens or makes the ledger.

        Args:
            path: the file to resume from; None takes a temporary one.

        Raises:
            ConfigError: the file is something else.
            StoreError: it cannot be made or read.
        """
        self._temporary: Path | None = None
        if path is None:
            handle, name = tempfile.mkstemp(prefix="auditseal-ledger-", suffix=".db")
            os.close(handle)
            path = self._temporary = Path(name)
        self._path = path
        self._ids: dict[Facts, int] = {}
        self._facts: dict[int, Facts] = {}
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._prepare()
        except sqlite3.Error as error:
            raise StoreError(f"the ledger {path} cannot be used: {error}") from error

    def _prepare(self) -> None:
        db = self._db
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute("PRAGMA temp_store = FILE")
        if self._temporary is not None:
            db.execute("PRAGMA synchronous = OFF")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if version != _VERSION and tables:
            raise ConfigError(f"{self._path} is no ledger of this auditseal: name another file, or remove it")
        if not tables:
            db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        db.create_function("tail", 1, _tail, deterministic=True)
        db.execute("CREATE TEMP TABLE orphan (request TEXT PRIMARY KEY, event TEXT, at INTEGER, facts INTEGER)")

    def has_file(self, file: TrailFile) -> bool:
        """Whether this file was taken (`Ledger.has_file`)."""
        query = "SELECT 1 FROM file WHERE name = ? AND mark = ?"
        return self._db.execute(query, (file.name, file.mark)).fetchone() is not None

    def add_file(self, file: TrailFile, part: TrailPart) -> None:
        """Takes the facts of a log file (`Ledger.add_file`)."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            values = (file.name, file.mark, part.records, part.read_only)
            db.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)", values)
            rows = [(call.request_id, call.event_id, call.at, self._id_of(call.facts)) for call in part.calls]
            db.executemany("INSERT INTO call VALUES (?, ?, ?, ?)", rows)
            db.executemany(
                "INSERT OR IGNORE INTO change VALUES (?, ?, ?)",
                [(change.event_id, change.at, orjson.dumps(tuple(change))) for change in part.changes],
            )
            db.executemany(
                "INSERT INTO seen VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET first = min(first, excluded.first), last = max(last, excluded.last)",
                part.seen,
            )
            db.execute("COMMIT")
        except BaseException:
            self._ids.clear()  # what was interned in this transaction is gone with it
            db.execute("ROLLBACK")
            raise

    def add_listed(self, files: Iterable[ListedFile]) -> None:
        """Takes the log files of verified digests (`Ledger.add_listed`)."""
        rows = [(file.name, _tail(file.name), file.sha256) for file in files]
        self._in_one("INSERT OR REPLACE INTO listed VALUES (?, ?, ?)", rows)

    def listed(self, name: str) -> ListedFile | None:
        """What a verified digest says of a file (`Ledger.listed`)."""
        for known, sha256 in self._db.execute("SELECT name, sha256 FROM listed WHERE tail = ?", (_tail(name),)):
            if known == name or known.endswith(f"/{name}"):
                return ListedFile(known, sha256)
        return None

    def count_listed(self) -> int:
        """How many files verified digests list (`Ledger.count_listed`)."""
        return int(self._db.execute("SELECT count(*) FROM listed").fetchone()[0])

    def missing_files(self) -> Iterator[str]:
        """The listed files that were not taken (`Ledger.missing_files`)."""
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS taken (tail TEXT PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("INSERT OR IGNORE INTO taken SELECT tail(name) FROM file")
        query = "SELECT name FROM listed WHERE tail NOT IN (SELECT tail FROM taken) ORDER BY name"
        for (name,) in self._db.execute(query):
            yield name

    def last_seq(self, stream: str) -> int:
        """The last entry whose claims were taken (`Ledger.last_seq`)."""
        row = self._db.execute("SELECT last_seq FROM stream WHERE name = ?", (stream,)).fetchone()
        return row[0] if row else -1

    def add_claims(self, claims: Sequence[Claim], last_seqs: dict[str, int]) -> None:
        """Takes claims (`Ledger.add_claims`)."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT INTO claim VALUES (?, ?, ?, ?, ?, ?, ?)", claims)
            self._db.executemany("INSERT OR REPLACE INTO stream VALUES (?, ?)", last_seqs.items())
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def joined(self) -> Iterator[tuple[list[Call], list[Claim]]]:
        """Calls and claims by request id (`Ledger.joined`)."""
        facts = self._facts
        current = None
        calls: list[Call] = []
        claims: list[Claim] = []
        for request, is_claim, one, two, three, four, five, six in self._db.execute(_JOINED):
            if request != current:
                if current is not None:
                    yield calls, claims
                current, calls, claims = request, [], []
            if is_claim:
                claims.append(Claim(request, one, two, three, four, five, six))
            elif not calls or all(call.event_id != one for call in calls):
                calls.append(Call(request, one, two, facts.get(three) or self._facts_of(three)))
        if current is not None:
            yield calls, claims

    def unjoinable(self) -> Iterator[Claim]:
        """The claims without a request id (`Ledger.unjoinable`)."""
        yield from map(Claim._make, self._db.execute("SELECT DISTINCT * FROM claim WHERE request IS NULL"))

    def add_orphans(self, calls: Iterable[Call]) -> None:
        """Remembers calls without a claim (`Ledger.add_orphans`)."""
        rows = ((call.request_id, call.event_id, call.at, self._id_of(call.facts)) for call in calls)
        self._in_one("INSERT OR IGNORE INTO orphan VALUES (?, ?, ?, ?)", rows)

    def orphans(self, *, beside_s: int) -> Iterator[tuple[Call, bool]]:
        """Each orphan, and whether a call of the same client follows that is none (`Ledger.orphans`)."""
        if not self._db.execute("SELECT 1 FROM orphan LIMIT 1").fetchone():
            return
        self._db.execute("CREATE INDEX IF NOT EXISTS call_of_client ON call (facts, at)")
        beside = (
            "SELECT 1 FROM call c WHERE c.facts = ? AND c.at BETWEEN ? AND ? "
            "AND NOT EXISTS (SELECT 1 FROM orphan o WHERE o.request = c.request) LIMIT 1"
        )
        for request, event, at, facts in self._db.execute("SELECT * FROM orphan ORDER BY at, request"):
            found = self._db.execute(beside, (facts, at, at + beside_s)).fetchone()
            yield Call(request, event, at, self._facts_of(facts)), found is not None

    def changes(self) -> Iterator[Change]:
        """Changes in order of time (`Ledger.changes`)."""
        for (members,) in self._db.execute("SELECT members FROM change ORDER BY at, event"):
            yield Change._make(orjson.loads(members))

    def seen(self) -> list[Seen]:
        """What the trail saw (`Ledger.seen`)."""
        return [Seen._make(row) for row in self._db.execute("SELECT * FROM seen ORDER BY account, region")]

    def totals(self) -> tuple[int, int, int]:
        """(files, records, read-only calls to KMS) (`Ledger.totals`)."""
        query = "SELECT count(*), ifnull(sum(records), 0), ifnull(sum(read_only), 0) FROM file"
        files, records, read_only = self._db.execute(query).fetchone()
        return files, records, read_only

    def places(self) -> Iterator[tuple[str, int, int]]:
        """(stream, seq, time) of every claim (`Ledger.places`)."""
        query = "SELECT stream, seq, ifnull(signed_at, entry_at) FROM claim ORDER BY stream, seq"
        yield from self._db.execute(query)

    def close(self) -> None:
        """Releases the file (`Ledger.close`)."""
        self._db.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    def _in_one(self, statement: str, rows: Iterable[Any]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(statement, rows)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

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
            row = self._db.execute("SELECT members FROM facts WHERE id = ?", (number,)).fetchone()
            if len(self._facts) >= _MOST_INTERNED:
                self._facts.clear()
            found = self._facts[number] = Facts._make(orjson.loads(row[0]))
        return found


def _tail(name: str) -> str:
    """The file's own name, which CloudTrail makes unique by time and a random part."""
    return name.rsplit("/", 1)[-1]
