"""Tree nodes, checkpoints and their signatures, append-only.

Source: `docs/spec/sqlite.md`, `docs/spec/checkpoint.md`.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = ("tree_nodes", "checkpoints", "checkpoint_signatures")
_STATEMENTS = (
    # Levels 8, 16, 24 and so on. They follow from the entries and only spare reading them: a proof that is made with
    # them is checked against its checkpoint before it is given out.
    """
    CREATE TABLE tree_nodes (
        stream TEXT NOT NULL,
        level INTEGER NOT NULL,
        place INTEGER NOT NULL,
        hash BLOB NOT NULL,
        PRIMARY KEY (stream, level, place)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE checkpoints (
        stream TEXT NOT NULL,
        size INTEGER NOT NULL,
        note_text TEXT NOT NULL,
        cover TEXT,
        PRIMARY KEY (stream, size)
    ) STRICT, WITHOUT ROWID
    """,
    # `signer` is null for a cosignature.
    """
    CREATE TABLE checkpoint_signatures (
        stream TEXT NOT NULL,
        size INTEGER NOT NULL,
        line TEXT NOT NULL,
        signer TEXT,
        request_id TEXT,
        signed_at TEXT
    ) STRICT
    """,
    "CREATE UNIQUE INDEX checkpoint_signatures_once ON checkpoint_signatures (stream, size, line)",
    # INSERT OR REPLACE deletes what it replaces without firing the delete trigger.
    """
    CREATE TRIGGER tree_nodes_once BEFORE INSERT ON tree_nodes
    WHEN EXISTS (SELECT 1 FROM tree_nodes WHERE stream = NEW.stream AND level = NEW.level AND place = NEW.place)
    BEGIN SELECT RAISE(IGNORE); END
    """,
    """
    CREATE TRIGGER checkpoints_once BEFORE INSERT ON checkpoints
    WHEN EXISTS (SELECT 1 FROM checkpoints WHERE stream = NEW.stream AND size = NEW.size)
    BEGIN SELECT RAISE(IGNORE); END
    """,
    """
    CREATE TRIGGER checkpoint_signatures_first BEFORE INSERT ON checkpoint_signatures
    WHEN EXISTS (
        SELECT 1 FROM checkpoint_signatures WHERE stream = NEW.stream AND size = NEW.size AND line = NEW.line)
    BEGIN SELECT RAISE(IGNORE); END
    """,
    *(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'auditseal: {table} are append-only'); END"
        for table in _TABLES
        for verb in ("update", "delete")
    ),
)


def upgrade() -> None:
    """Creates the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
