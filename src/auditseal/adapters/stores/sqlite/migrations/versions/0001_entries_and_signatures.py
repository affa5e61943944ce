"""Entries and signatures, append-only.

Source: `docs/spec/sqlite.md`.
"""

from alembic import op

revision = "0001"
down_revision = None

_STATEMENTS = (
    """
    CREATE TABLE entries (
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        id TEXT NOT NULL,
        time TEXT NOT NULL,
        type TEXT NOT NULL,
        actor TEXT,
        body BLOB NOT NULL,
        prev_hash BLOB NOT NULL,
        hash BLOB NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX entries_place ON entries (stream, seq)",
    "CREATE UNIQUE INDEX entries_link ON entries (stream, prev_hash)",
    "CREATE UNIQUE INDEX entries_id ON entries (stream, id)",
    """
    CREATE TABLE signatures (
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        entry_hash BLOB NOT NULL,
        signer TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        signature BLOB NOT NULL,
        request_id TEXT,
        signed_at TEXT
    ) STRICT
    """,
    "CREATE UNIQUE INDEX signatures_place ON signatures (stream, seq, signer)",
    # Bookkeeping, not evidence: below `seq` no signature is due. It only spares a walk through the whole log.
    "CREATE TABLE signed_below (stream TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT",
    # The database itself refuses an entry that does not follow its stream's last one, by whichever program. Place and
    # id must be free beforehand, since INSERT OR REPLACE deletes what it replaces without firing the delete trigger.
    """
    CREATE TRIGGER entries_follow BEFORE INSERT ON entries
    WHEN (NEW.seq = 0 AND (length(NEW.prev_hash) <> 0 OR EXISTS (SELECT 1 FROM entries WHERE stream = NEW.stream)))
      OR (NEW.seq <> 0 AND NOT EXISTS (
            SELECT 1 FROM entries
            WHERE stream = NEW.stream AND seq = NEW.seq - 1 AND hash = NEW.prev_hash))
      OR EXISTS (SELECT 1 FROM entries WHERE stream = NEW.stream AND seq = NEW.seq)
      OR EXISTS (SELECT 1 FROM entries WHERE stream = NEW.stream AND id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'auditseal: an entry must follow the last one of its stream'); END
    """,
    """
    CREATE TRIGGER signatures_once BEFORE INSERT ON signatures
    WHEN EXISTS (
        SELECT 1 FROM signatures WHERE stream = NEW.stream AND seq = NEW.seq AND signer = NEW.signer)
    BEGIN SELECT RAISE(IGNORE); END
    """,
    *(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'auditseal: {table} are append-only'); END"
        for table in ("entries", "signatures")
        for verb in ("update", "delete")
    ),
)


def upgrade() -> None:
    """Creates the schema."""
    for statement in _STATEMENTS:
        op.execute(statement)
