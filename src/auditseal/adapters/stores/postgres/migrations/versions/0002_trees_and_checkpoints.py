"""Tree nodes, checkpoints and their signatures, append-only, and who may add to them.

Source: `docs/spec/postgresql.md`, `docs/spec/checkpoint.md`.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = ("tree_nodes", "checkpoints", "checkpoint_signatures")
_STATEMENTS = (
    # Levels 8, 16, 24 and so on. They follow from the entries and only spare reading them: a proof that is made with
    # them is checked against its checkpoint before it is given out.
    """
    CREATE TABLE auditseal.tree_nodes (
        stream text COLLATE "C" NOT NULL,
        level smallint NOT NULL CHECK (level > 0),
        place bigint NOT NULL CHECK (place >= 0),
        hash bytea NOT NULL CHECK (octet_length(hash) = 32),
        PRIMARY KEY (stream, level, place)
    )
    """,
    """
    CREATE TABLE auditseal.checkpoints (
        stream text COLLATE "C" NOT NULL,
        size bigint NOT NULL CHECK (size > 0),
        note_text text COLLATE "C" NOT NULL,
        cover text COLLATE "C",
        PRIMARY KEY (stream, size)
    )
    """,
    # `number` keeps the order of the lines; `signer` is null for a cosignature.
    """
    CREATE TABLE auditseal.checkpoint_signatures (
        stream text COLLATE "C" NOT NULL,
        size bigint NOT NULL,
        number bigint GENERATED ALWAYS AS IDENTITY,
        line text COLLATE "C" NOT NULL,
        signer text COLLATE "C",
        request_id text COLLATE "C",
        signed_at text COLLATE "C"
    )
    """,
    # A line may be longer than an index takes.
    """
    CREATE FUNCTION auditseal.line_hash(line text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
        SELECT pg_catalog.sha256(pg_catalog.convert_to(line, 'UTF8'))
    $$
    """,
    """
    CREATE UNIQUE INDEX checkpoint_signatures_once
    ON auditseal.checkpoint_signatures (stream, size, auditseal.line_hash(line))
    """,
    # Below the largest checkpoint of a stream no entry needs a signature of its own. Nothing else moves the mark.
    """
    CREATE FUNCTION auditseal.settle(names text[]) RETURNS void LANGUAGE sql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        INSERT INTO auditseal.signed_below AS b
        SELECT c.stream, max(c.size) FROM auditseal.checkpoints c WHERE c.stream = ANY (names)
        GROUP BY c.stream ORDER BY c.stream
        ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > b.seq
    $$
    """,
    *(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON auditseal.{table} "
        f"FOR EACH ROW EXECUTE FUNCTION auditseal.refuse_change('{table}')"
        for table in _TABLES
    ),
    *(
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON auditseal.{table} "
        f"EXECUTE FUNCTION auditseal.refuse_change('{table}')"
        for table in _TABLES
    ),
    *(f"GRANT SELECT ON auditseal.{table} TO auditseal_reader, auditseal_writer" for table in _TABLES),
    *(f"GRANT INSERT ON auditseal.{table} TO auditseal_writer" for table in _TABLES),
    "REVOKE EXECUTE ON FUNCTION auditseal.settle FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION auditseal.settle TO auditseal_writer",
)


def upgrade() -> None:
    """Creates the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
