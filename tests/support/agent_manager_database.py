"""The existing deployment's table in a real database, and its verifier made anew from the description of its rule."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import psycopg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from support.agent_manager import canonical

TABLE = """
    CREATE TABLE audit_events (
      id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
      actor_id TEXT, event_type TEXT NOT NULL, payload JSONB,
      signature TEXT,
      signer_kid TEXT, prev_hash TEXT,
      created_at timestamptz NOT NULL DEFAULT now())
"""
SISTER = """
    CREATE TABLE audit_events (
      id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
      actor_id TEXT, event_type TEXT NOT NULL, payload JSONB, hash TEXT,
      signature TEXT, signer_id TEXT, prev_hash TEXT,
      ts timestamptz NOT NULL DEFAULT now())
"""


def fill_table(address: str, rows: list[dict[str, Any]], *, sister: bool = False) -> None:
    """Makes the table, in the shape of either deployment, with rows of `support.agent_manager.make_rows`."""
    with psycopg.connect(address) as connection:
        connection.execute(SISTER if sister else TABLE)
        for row in rows:
            members = dict(row, payload=json.dumps(row["payload"]))
            if sister:
                digest = hashlib.sha256(canonical(row["payload"]) + bytes.fromhex(row["prev_hash"] or ""))
                members |= {"hash": digest.hexdigest(), "signer_id": members.pop("signer_kid")}
                members["ts"] = members.pop("created_at")
            names = ", ".join(members)
            marks = ", ".join(f"%({name})s" for name in members)
            connection.execute(f"INSERT INTO audit_events ({names}) VALUES ({marks})", members)


def verify_recent(connection: psycopg.Connection, keys: dict[str, Ed25519PublicKey], limit: int = 200) -> int:
    """How many rows its verifier accepts; fails at the first that it does not.

    The rule: the newest rows by created_at, oldest first; each row's hash is SHA-256 over its canonical payload and the
    bytes of its prev_hash; a column `hash`, where there is one, agrees; each row names the hash of the one before it;
    its signature, base64, is over the hash.
    """
    cursor = connection.execute(f"SELECT * FROM audit_events ORDER BY created_at DESC LIMIT {limit}")
    names = [column.name for column in cursor.description]
    rows = [dict(zip(names, record, strict=True)) for record in reversed(cursor.fetchall())]
    before = None
    for row in rows:
        digest = hashlib.sha256(canonical(row["payload"]) + bytes.fromhex(row["prev_hash"] or "")).digest()
        assert row.get("hash") in {None, digest.hex()}, "the row's hash is another"
        assert before is None or row["prev_hash"] == before, "the row does not follow the one before it"
        try:
            keys[row["signer_kid"]].verify(base64.b64decode(row["signature"], validate=True), digest)
        except InvalidSignature:
            raise AssertionError("the row's signature does not verify") from None
        before = digest.hex()
    return len(rows)
