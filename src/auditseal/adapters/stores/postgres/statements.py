"""The SQL of the PostgreSQL store. Values are always parameters.

Source: `docs/spec/postgresql.md`.
"""

from __future__ import annotations

from typing import Final

from auditseal.core.stored_rows import ENTRY_COLUMNS, SIGNATURE_COLUMNS

_ENTRY: Final = ", ".join(f"e.{name}" for name in ENTRY_COLUMNS)
_SIGNATURE: Final = ", ".join(f"s.{name}" for name in SIGNATURE_COLUMNS)
_IDENTITY: Final = "e.tableoid::text || e.ctid::text"
_AS_SIGNED: Final = (
    f"SELECT {_ENTRY}, {_SIGNATURE}, {_IDENTITY} FROM {{}} "
    "LEFT JOIN auditseal.signatures s ON s.stream = e.stream AND s.seq = e.seq "
)
JOINED: Final = _AS_SIGNED.format("auditseal.entries e")
IN_ORDER: Final = f" ORDER BY e.stream, e.seq, {_IDENTITY}, s.signed_at, s.signer"
PAGE: Final = (
    _AS_SIGNED.format("(SELECT *, tableoid, ctid FROM auditseal.entries e {} ORDER BY stream, seq LIMIT %s) e")
    + IN_ORDER
)
"""With the tests on `e` in place of `{}`."""

SIGNATURE_ROWS: Final = (
    "SELECT e.stream, e.seq, e.id, e.time, e.type, s.signer, s.request_id, s.signed_at FROM auditseal.entries e "
    "LEFT JOIN auditseal.signatures s ON s.stream = e.stream AND s.seq = e.seq "
)
IN_PLACE: Final = " ORDER BY e.stream, e.seq"
_UNSIGNED: Final = (
    "FROM auditseal.heads h LEFT JOIN auditseal.signed_below b ON b.stream = h.stream "
    "JOIN auditseal.entries e ON e.stream = h.stream AND e.seq >= coalesce(b.seq, 0) "
    "WHERE NOT EXISTS (SELECT FROM auditseal.signatures s WHERE s.stream = e.stream AND s.seq = e.seq)"
)
PENDING: Final = f"SELECT {_ENTRY}, {'NULL, ' * len(SIGNATURE_COLUMNS)} {_IDENTITY} {_UNSIGNED}"
BY_AGE: Final = " ORDER BY e.time, e.stream, e.seq LIMIT %s"
COUNT_PENDING: Final = (
    "SELECT coalesce(sum(h.seq + 1 - coalesce(b.seq, 0) - (SELECT count(DISTINCT s.seq) FROM auditseal.signatures s "
    "WHERE s.stream = h.stream AND s.seq BETWEEN coalesce(b.seq, 0) AND h.seq)), 0) "
    "FROM auditseal.heads h LEFT JOIN auditseal.signed_below b ON b.stream = h.stream WHERE h.seq >= coalesce(b.seq, 0)"
)
"""Entries have no gap, so that counting the signed ones is enough: few of them are beyond `signed_below`."""
NOTE_SIGNED: Final = "SELECT auditseal.note_signed()"

ADD_HEADS: Final = "SELECT auditseal.add_heads(%s::text[])"
LOCK_HEADS: Final = "SELECT stream, seq, hash, time FROM auditseal.lock_heads(%s::text[])"
HEADS: Final = "SELECT stream, seq, hash, time FROM auditseal.heads WHERE seq >= 0"
TRY_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('auditseal.' || %s::text, 0))"
COPY_ENTRIES: Final = f"COPY auditseal.entries ({', '.join(ENTRY_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_NEW_SIGNATURE: Final = (
    "auditseal.signatures (stream, seq, entry_hash, signer, algorithm, signature, request_id, signed_at)"
)
COPY_SIGNATURES: Final = f"COPY {_NEW_SIGNATURE} FROM STDIN (FORMAT BINARY)"
ADD_SIGNATURES: Final = (
    f"INSERT INTO {_NEW_SIGNATURE} "
    "SELECT * FROM unnest(%s::text[], %s::int8[], %s::bytea[], %s::text[], %s::text[], %s::bytea[], %s::text[], "
    "%s::text[]) ON CONFLICT DO NOTHING"
)
_IN_PART: Final = " WHERE e.stream = %s AND e.seq BETWEEN %s AND %s"
SIGNED_IN_PART: Final = f"SELECT FROM auditseal.signatures e{_IN_PART} LIMIT 1"
PART: Final = JOINED + _IN_PART + IN_ORDER
UNSIGNED_PART: Final = (
    f"SELECT {_ENTRY}, {'NULL, ' * len(SIGNATURE_COLUMNS)}{_IDENTITY} FROM auditseal.entries e{_IN_PART} "
    f"ORDER BY e.seq, {_IDENTITY}"
)
"""What `PART` gives where none is signed, without looking for signatures one by one."""

# Backwards from the head, so that it reads no more than the entries since.
LAST_OF_TYPE: Final = "SELECT seq FROM auditseal.entries WHERE stream = %s AND type = %s ORDER BY seq DESC LIMIT 1"

# By skipping through the index: one look-up a stream, not one an entry.
STREAM_NAMES: Final = (
    "WITH RECURSIVE names AS ((SELECT stream FROM auditseal.entries ORDER BY stream LIMIT 1) UNION ALL "
    "SELECT (SELECT e.stream FROM auditseal.entries e WHERE e.stream > names.stream ORDER BY e.stream LIMIT 1) "
    "FROM names WHERE names.stream IS NOT NULL) SELECT stream FROM names WHERE stream IS NOT NULL"
)
LAST_SEQ: Final = "SELECT max(seq) FROM auditseal.entries WHERE stream = %s"
END_OF_PART: Final = (
    "SELECT seq FROM auditseal.entries WHERE stream = %s AND seq BETWEEN %s AND %s ORDER BY seq LIMIT 1 OFFSET %s"
)
