"""The tables of a ledger: what is read of a trail stays, what is read of a log and of digests is for one run.

A ledger is bound to the trail that it was read from, and to whether digests were checked while reading: what was taken
unchecked must not count as checked later.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 2
KEPT: Final = """
CREATE TABLE bound (trail TEXT NOT NULL, digests INTEGER NOT NULL);
CREATE TABLE asked (since INTEGER NOT NULL, through INTEGER NOT NULL);
CREATE TABLE file (name TEXT PRIMARY KEY, mark TEXT NOT NULL, records INTEGER) WITHOUT ROWID;
CREATE TABLE digest (name TEXT PRIMARY KEY, mark TEXT NOT NULL, content BLOB, signature TEXT) WITHOUT ROWID;
CREATE TABLE seen (
    account TEXT, region TEXT, first INTEGER, last INTEGER, read_only INTEGER, PRIMARY KEY (account, region)
) WITHOUT ROWID;
CREATE TABLE facts (id INTEGER PRIMARY KEY, members BLOB NOT NULL UNIQUE);
CREATE TABLE call (request TEXT, event TEXT, at INTEGER, facts INTEGER);
CREATE TABLE change (event TEXT PRIMARY KEY, at INTEGER, members BLOB) WITHOUT ROWID;
"""
PASSING: Final = """
CREATE TEMP TABLE listed (name TEXT, tail TEXT, sha256 TEXT, PRIMARY KEY (tail, name)) WITHOUT ROWID;
CREATE TEMP TABLE claim (
    request TEXT, stream TEXT, seq INTEGER, entry TEXT, signer TEXT, entry_at INTEGER, signed_at INTEGER, first INTEGER
);
CREATE TEMP TABLE announced (stream TEXT, seq INTEGER, at INTEGER, PRIMARY KEY (stream, seq)) WITHOUT ROWID;
CREATE TEMP TABLE cover (stream TEXT, first INTEGER, last INTEGER, heads INTEGER, PRIMARY KEY (stream, first))
    WITHOUT ROWID;
CREATE TEMP TABLE orphan (request TEXT PRIMARY KEY, event TEXT, at INTEGER, facts INTEGER);
"""
JOINED: Final = (
    "SELECT request, 0, event, at, facts, NULL, NULL, NULL, NULL FROM call UNION ALL "
    "SELECT request, 1, stream, seq, entry, signer, entry_at, signed_at, first FROM claim WHERE request IS NOT NULL "
    "ORDER BY 1, 2"
)
BESIDE: Final = (
    "SELECT c.request FROM call c JOIN claim d ON d.request = c.request WHERE c.facts = ? AND c.at BETWEEN ? AND ? "
    "AND d.entry_at <= ? AND NOT EXISTS (SELECT 1 FROM orphan o WHERE o.request = c.request) ORDER BY c.at LIMIT 20"
)
"""Calls of one client that signed an entry which was there already; facts, from, to, latest time of the entry."""
