"""What somebody with full access to the database can do to a log, and what verification must say to it.

Each case goes through SQLite itself: the triggers and unique indexes of the schema are taken away first, as whoever
owns the file can. No case has the signing key. The tests run the same cases.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.report import Code

if TYPE_CHECKING:
    from pathlib import Path

LEAST_ENTRIES: Final = 100
"""How many entries the stream must have that the cases are applied to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering:
    """One way to tamper.

    Attributes:
        what: for people; `{stream}` stands for the stream's name.
        do: does it, given a connection and the stream.
        codes: exactly the codes that verification must find, the most telling one first.
        seq: the entry that the first code must name; None where none is meant.
    """

    what: str
    do: Callable[[sqlite3.Connection, str], None]
    codes: tuple[Code, ...]
    seq: int | None


def copy_and_tamper(log: Path, copy: Path, tampering: Tampering, stream: str) -> None:
    """Copies a log and tampers with the copy."""
    with closing(sqlite3.connect(log)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        _disarm(target)
        with target:
            tampering.do(target, stream)


def _disarm(database: sqlite3.Connection) -> None:
    rows = database.execute("SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'index') AND sql NOT NULL")
    for kind, name in rows.fetchall():
        database.execute(f"DROP {kind} {name}")


def _rewrite(change: Callable[[bytes], bytes], first: int, last: int) -> Callable[[sqlite3.Connection, str], None]:
    """Changes bodies and chains them anew from `first` on, leaving the signatures."""

    def do(database: sqlite3.Connection, stream: str) -> None:
        rows = database.execute(
            "SELECT seq, body, prev_hash FROM entries WHERE stream = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (stream, first, last),
        ).fetchall()
        tip = rows[0][2]
        for seq, body, _ in rows:
            new = change(body) if seq == first else body
            hash_ = hashlib.sha256(new + tip).digest()
            database.execute(
                "UPDATE entries SET body = ?, prev_hash = ?, hash = ? WHERE stream = ? AND seq = ?",
                (new, tip, hash_, stream, seq),
            )
            database.execute("UPDATE signatures SET entry_hash = ? WHERE stream = ? AND seq = ?", (hash_, stream, seq))
            tip = hash_

    return do


def _statement(*statements: str) -> Callable[[sqlite3.Connection, str], None]:
    def do(database: sqlite3.Connection, stream: str) -> None:
        for statement in statements:
            database.execute(statement, {"stream": stream})

    return do


def _change_payload(body: bytes) -> bytes:
    return re.sub(rb'"agent_id":"a-', b'"agent_id":"b-', body, count=1)


def _set_back(body: bytes) -> bytes:
    return re.sub(rb'"time":"2\d', b'"time":"19', body, count=1)


def _space_out(body: bytes) -> bytes:
    return body.replace(b'":"', b'": "', 1)


def _fork(database: sqlite3.Connection, stream: str) -> None:
    """A second entry after #52, whole but for its signature."""
    tip, body = database.execute(
        "SELECT prev_hash, body FROM entries WHERE stream = ? AND seq = 53", (stream,)
    ).fetchone()
    other = _change_payload(body)
    database.execute(
        "INSERT INTO entries SELECT stream, seq, id, time, type, actor, ?, prev_hash, ? FROM entries "
        "WHERE stream = ? AND seq = 53",
        (other, hashlib.sha256(other + tip).digest(), stream),
    )


def _to_the_end(change: Callable[[bytes], bytes], first: int) -> Callable[[sqlite3.Connection, str], None]:
    def do(database: sqlite3.Connection, stream: str) -> None:
        (last,) = database.execute("SELECT max(seq) FROM entries WHERE stream = ?", (stream,)).fetchone()
        _rewrite(change, first, last)(database, stream)

    return do


_AT: Final = "WHERE stream = :stream AND seq"

TAMPERINGS: Final = (
    Tampering(
        what="payload of {stream} #41 changed",
        do=_statement(
            f"UPDATE entries SET body = cast(replace(cast(body AS TEXT), 'agent_id', 'agent_ID') AS BLOB) {_AT} = 41"
        ),
        codes=(Code.HASH_MISMATCH,),
        seq=41,
    ),
    Tampering(
        what="actor of {stream} #42 changed in its column",
        do=_statement(f"UPDATE entries SET actor = 'user:mallory' {_AT} = 42"),
        codes=(Code.COLUMN_MISMATCH,),
        seq=42,
    ),
    Tampering(
        what="{stream} #43 rewritten with its hash",
        do=_rewrite(_change_payload, 43, 43),
        codes=(Code.BAD_SIGNATURE, Code.BROKEN_LINK),
        seq=43,
    ),
    Tampering(
        what="{stream} rewritten from #44 to the end",
        do=_to_the_end(_change_payload, 44),
        codes=(Code.BAD_SIGNATURE,),
        seq=44,
    ),
    Tampering(
        what="time of {stream} #45 set back, rewritten from there",
        do=_to_the_end(_set_back, 45),
        codes=(Code.TIME_RUNS_BACK, Code.BAD_SIGNATURE, Code.COLUMN_MISMATCH),
        seq=45,
    ),
    Tampering(
        what="prev_hash of {stream} #46 overwritten",
        do=_statement(f"UPDATE entries SET prev_hash = zeroblob(32) {_AT} = 46"),
        codes=(Code.BROKEN_LINK, Code.HASH_MISMATCH),
        seq=46,
    ),
    Tampering(
        what="{stream} #47 reformatted, rewritten from there",
        do=_to_the_end(_space_out, 47),
        codes=(Code.NOT_CANONICAL, Code.BAD_SIGNATURE),
        seq=47,
    ),
    Tampering(
        what="signature of {stream} #48 put in place of #49's",
        do=_statement(f"UPDATE signatures SET signature = (SELECT signature FROM signatures {_AT} = 48) {_AT} = 49"),
        codes=(Code.BAD_SIGNATURE,),
        seq=49,
    ),
    Tampering(
        what="junk appended to the signature of {stream} #50",
        do=_statement(f"UPDATE signatures SET signature = cast(signature || x'00' AS BLOB) {_AT} = 50"),
        codes=(Code.MALFORMED_SIGNATURE,),
        seq=50,
    ),
    Tampering(
        what="signature of {stream} #51 removed",
        do=_statement(f"DELETE FROM signatures {_AT} = 51"),
        codes=(Code.UNSIGNED,),
        seq=51,
    ),
    Tampering(
        what="signer of {stream} #52 renamed",
        do=_statement(f"UPDATE signatures SET signer = 'nobody' {_AT} = 52"),
        codes=(Code.UNKNOWN_SIGNER,),
        seq=52,
    ),
    Tampering(
        what="a second {stream} #53 slipped in",
        do=_fork,
        codes=(Code.FORK, Code.UNSIGNED),
        seq=53,
    ),
    Tampering(
        what="{stream} #54 stored twice",
        do=_statement(f"INSERT INTO entries SELECT * FROM entries {_AT} = 54"),
        codes=(Code.DUPLICATE_SEQ,),
        seq=54,
    ),
    Tampering(
        what="{stream} #60 deleted",
        do=_statement(f"DELETE FROM entries {_AT} = 60", f"DELETE FROM signatures {_AT} = 60"),
        codes=(Code.MISSING_ENTRY,),
        seq=60,
    ),
    Tampering(
        what="the first 10 of {stream} deleted",
        do=_statement(f"DELETE FROM entries {_AT} < 10", f"DELETE FROM signatures {_AT} < 10"),
        codes=(Code.MISSING_ENTRY,),
        seq=0,
    ),
    Tampering(
        what="all of {stream} deleted",
        do=_statement(f"DELETE FROM entries {_AT} >= 0", f"DELETE FROM signatures {_AT} >= 0"),
        codes=(Code.NOTHING_TO_CHECK,),
        seq=None,
    ),
)

CUT_OFF: Final = Tampering(
    what="the end of {stream} cut off after #89",
    do=_statement(f"DELETE FROM entries {_AT} >= 90", f"DELETE FROM signatures {_AT} >= 90"),
    codes=(Code.ROLLED_BACK,),
    seq=90,
)
"""What no chain shows, since what is left is one: a verifier must remember, or an anchor tell, that there was more."""
