"""Tree nodes, checkpoints and their signatures, append-only.

Source: `docs/spec/postgresql.md`, `docs/spec/checkpoint.md`.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_APPEND_ONLY = ("tree_nodes", "checkpoints", "checkpoint_signatures")
_STATEMENTS = (
    # Levels 8, 16, 24 and so on. They follow from the entries and only spare reading them: a proof that is made with
    # them is checked against its checkpoint before it is given out.
    """
    CREATE TABLE auditseal.tree_nodes (
        stream text COLLATE "C" NOT NULL,
        level int NOT NULL CHECK (level > 0),
        place bigint NOT NULL CHECK (place >= 0),
        hash bytea NOT NULL CHECK (octet_length(hash) = 32),
        PRIMARY KEY (stream, level, place)
    )
    """,
    """
    CREATE TABLE auditseal.checkpoints (
        stream text COLLATE "C" NOT NULL,
        size bigint NOT NULL CHECK (size > 0),
        note_text text NOT NULL,
        cover text,
        PRIMARY KEY (stream, size)
    )
    """,
    # `signer` is null for a cosignature. A line may be longer than what an index holds.
    """
    CREATE TABLE auditseal.checkpoint_signatures (
        n bigint GENERATED ALWAYS AS IDENTITY,
        stream text COLLATE "C" NOT NULL,
        size bigint NOT NULL,
        line bytea NOT NULL,
        signer text COLLATE "C",
        request_id text COLLATE "C",
        signed_at text COLLATE "C"
    )
    """,
    "CREATE UNIQUE INDEX checkpoint_signatures_once ON auditseal.checkpoint_signatures (stream, size, sha256(line))",
    *(
        statement.format(table=table)
        for table in _APPEND_ONLY
        for statement in (
            """
            CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON auditseal.{table}
            FOR EACH ROW EXECUTE FUNCTION auditseal.refuse_change('{table}')
            """,
            """
            CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON auditseal.{table}
            EXECUTE FUNCTION auditseal.refuse_change('{table}')
            """,
            "GRANT SELECT ON auditseal.{table} TO auditseal_reader, auditseal_writer",
            "GRANT INSERT ON auditseal.{table} TO auditseal_writer",
        )
    ),
    # The entries under a checkpoint that is there need no signature of their own.
    """
    CREATE FUNCTION auditseal.settle(names text[], sizes bigint[]) RETURNS void LANGUAGE sql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        INSERT INTO auditseal.signed_below AS b
        SELECT c.stream, max(c.size) FROM unnest(names, sizes) n (stream, size)
        JOIN auditseal.checkpoints c ON c.stream = n.stream AND c.size = n.size
        GROUP BY c.stream ORDER BY c.stream
        ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > b.seq
    $$
    """,
    "REVOKE EXECUTE ON FUNCTION auditseal.settle FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION auditseal.settle TO auditseal_writer",
)


def upgrade() -> None:
    """Creates the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
