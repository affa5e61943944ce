"""Entries and signatures, append-only; heads; who may do what; the view for the existing deployment's verifier.

Source: `docs/spec/postgresql.md`.
"""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = (
    """
    CREATE TABLE auditseal.entries (
        stream text COLLATE "C" NOT NULL,
        seq bigint NOT NULL CHECK (seq >= 0),
        id text COLLATE "C" NOT NULL,
        time text COLLATE "C" NOT NULL,
        type text COLLATE "C" NOT NULL,
        actor text COLLATE "C",
        body bytea NOT NULL,
        prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) IN (0, 32)),
        hash bytea NOT NULL CHECK (octet_length(hash) = 32)
    ) PARTITION BY RANGE (time)
    """,
    """
    CREATE TABLE auditseal.signatures (
        stream text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        entry_hash bytea NOT NULL,
        signer text COLLATE "C" NOT NULL,
        algorithm text COLLATE "C" NOT NULL,
        signature bytea NOT NULL,
        request_id text COLLATE "C",
        signed_at text COLLATE "C"
    )
    """,
    "CREATE UNIQUE INDEX signatures_place ON auditseal.signatures (stream, seq, signer)",
    # What a writer locks to chain: it follows from the entries, and proves nothing. Only the trigger below moves it.
    """
    CREATE TABLE auditseal.heads (
        stream text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL, hash bytea NOT NULL, time text COLLATE "C" NOT NULL
    ) WITH (fillfactor = 50)
    """,
    # Bookkeeping, not evidence: below `seq` no signature is due. It only spares a walk through the whole log.
    'CREATE TABLE auditseal.signed_below (stream text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL)',
)

# The functions act with the owner's rights, so that a writer needs none but INSERT and SELECT.
_OWNERS = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"

_FUNCTIONS = (
    """
    CREATE FUNCTION auditseal.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'auditseal: % are append-only', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
    END $$
    """,
    f"""
    CREATE FUNCTION auditseal.add_heads(names text[]) RETURNS void LANGUAGE sql {_OWNERS} AS $$
        INSERT INTO auditseal.heads SELECT DISTINCT n COLLATE "C", -1, ''::bytea, '' FROM unnest(names) n
        ORDER BY 1 ON CONFLICT DO NOTHING
    $$
    """,
    f"""
    CREATE FUNCTION auditseal.lock_heads(names text[])
    RETURNS TABLE (stream text, seq bigint, hash bytea, "time" text) LANGUAGE sql {_OWNERS} AS $$
        SELECT h.stream, h.seq, h.hash, h.time FROM auditseal.heads h
        WHERE h.stream = ANY (names) ORDER BY h.stream FOR NO KEY UPDATE
    $$
    """,
    # One statement's new entries, whoever inserted them: each must follow the one before it, the first of a stream its
    # head. A place, a link or an id that partitions would let in twice is refused here as well.
    f"""
    CREATE FUNCTION auditseal.follow_heads() RETURNS trigger LANGUAGE plpgsql {_OWNERS}
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    DECLARE
        names text[] := (SELECT array_agg(DISTINCT stream) FROM added);
    BEGIN
        PERFORM auditseal.add_heads(names);
        PERFORM auditseal.lock_heads(names);
        IF EXISTS (
            SELECT FROM (
                SELECT n.seq, n.prev_hash,
                    coalesce(lag(n.seq) OVER chain, h.seq) AS last_seq,
                    coalesce(lag(n.hash) OVER chain, h.hash) AS last_hash
                FROM added n JOIN auditseal.heads h ON h.stream = n.stream
                WINDOW chain AS (PARTITION BY n.stream ORDER BY n.seq)
            ) linked
            WHERE seq <> last_seq + 1 OR prev_hash <> last_hash
        ) OR (
            (SELECT count(*) FROM pg_inherits WHERE inhparent = 'auditseal.entries'::regclass) > 1 AND EXISTS (
                SELECT FROM added n JOIN auditseal.entries e ON e.stream = n.stream AND e.id = n.id
                WHERE e.seq <> n.seq)
        ) THEN
            RAISE EXCEPTION 'auditseal: an entry must follow the last one of its stream'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        UPDATE auditseal.heads h SET seq = l.seq, hash = l.hash, time = l.time
        FROM (SELECT DISTINCT ON (stream) * FROM added ORDER BY stream, seq DESC) l WHERE h.stream = l.stream;
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE FUNCTION auditseal.note_signed() RETURNS void LANGUAGE sql {_OWNERS} AS $$
        INSERT INTO auditseal.signed_below AS b
        SELECT h.stream, coalesce((
            SELECT min(e.seq) FROM auditseal.entries e
            WHERE e.stream = h.stream AND e.seq >= coalesce(s.seq, 0) AND NOT EXISTS (
                SELECT FROM auditseal.signatures g WHERE g.stream = e.stream AND g.seq = e.seq)), h.seq + 1)
        FROM auditseal.heads h LEFT JOIN auditseal.signed_below s ON s.stream = h.stream
        WHERE h.seq >= coalesce(s.seq, 0)
        ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > b.seq
    $$
    """,
    # `since` and `until` as bodies have their times; null leaves the end open.
    """
    CREATE FUNCTION auditseal.add_partition(name text, since text, until text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF since IS NULL AND until IS NULL THEN
            EXECUTE format('CREATE TABLE auditseal.%I PARTITION OF auditseal.entries DEFAULT', name);
        ELSE
            EXECUTE format('CREATE TABLE auditseal.%I PARTITION OF auditseal.entries FOR VALUES FROM (%s) TO (%s)',
                name, coalesce(quote_literal(since), 'MINVALUE'), coalesce(quote_literal(until), 'MAXVALUE'));
        END IF;
        EXECUTE format('CREATE UNIQUE INDEX %I ON auditseal.%I (stream, seq)', name || '_place', name);
        EXECUTE format('CREATE UNIQUE INDEX %I ON auditseal.%I (stream, prev_hash)', name || '_link', name);
        EXECUTE format('CREATE UNIQUE INDEX %I ON auditseal.%I (stream, id)', name || '_id', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON auditseal.%I '
            'EXECUTE FUNCTION auditseal.refuse_change(''entries'')', name);
    END $$
    """,
    "SELECT auditseal.add_partition('entries_default', NULL, NULL)",
)

_TRIGGERS = (
    """
    CREATE TRIGGER entries_follow AFTER INSERT ON auditseal.entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION auditseal.follow_heads()
    """,
    *(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON auditseal.{table} "
        f"FOR EACH ROW EXECUTE FUNCTION auditseal.refuse_change('{table}')"
        for table in ("entries", "signatures")
    ),
    *(
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON auditseal.{table} "
        f"EXECUTE FUNCTION auditseal.refuse_change('{table}')"
        for table in ("entries", "signatures", "heads")
    ),
    """
    CREATE TRIGGER heads_only_grow BEFORE UPDATE ON auditseal.heads FOR EACH ROW
    WHEN (NEW.stream <> OLD.stream OR NEW.seq <= OLD.seq) EXECUTE FUNCTION auditseal.refuse_change('heads')
    """,
    """
    CREATE TRIGGER heads_stay BEFORE DELETE ON auditseal.heads
    FOR EACH ROW EXECUTE FUNCTION auditseal.refuse_change('heads')
    """,
)

# One stream as the existing Agent Manager's table shows its chain. Its verifier orders by created_at, and entries of
# one transaction share their time: created_at is moved on by as many microseconds as keep the order, and no more.
_VIEW = """
    CREATE VIEW auditseal.audit_events AS
    SELECT
        e.id::uuid AS id,
        e.actor AS actor_id,
        e.type AS event_type,
        convert_from(e.body, 'UTF8')::json AS payload,
        translate(encode(s.signature, 'base64'), E'\\n', '') AS signature,
        s.signer AS signer_kid,
        encode(e.prev_hash, 'hex') AS prev_hash,
        encode(e.hash, 'hex') AS hash,
        timestamptz 'epoch' + interval '1 microsecond' * (
            e.seq + max(round(extract(epoch FROM e.time::timestamptz) * 1000000) - e.seq)
                OVER (PARTITION BY e.stream ORDER BY e.seq)
        )::double precision AS created_at
    FROM auditseal.entries e
    LEFT JOIN LATERAL (
        SELECT signature, signer FROM auditseal.signatures
        WHERE stream = e.stream AND seq = e.seq AND entry_hash = e.hash
        ORDER BY signed_at, signer LIMIT 1
    ) s ON true
    WHERE e.stream = coalesce(nullif(current_setting('auditseal.stream', true), ''), 'default')
"""

_READABLE = "entries, auditseal.signatures, auditseal.heads, auditseal.signed_below, auditseal.audit_events"
_RIGHTS = (
    "GRANT USAGE ON SCHEMA auditseal TO auditseal_reader, auditseal_writer",
    f"GRANT SELECT ON auditseal.{_READABLE}, auditseal.alembic_version TO auditseal_reader, auditseal_writer",
    "GRANT INSERT ON auditseal.entries, auditseal.signatures TO auditseal_writer",
    "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA auditseal FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION auditseal.add_heads, auditseal.lock_heads, auditseal.note_signed TO auditseal_writer",
)


def upgrade() -> None:
    """Creates the schema."""
    for statement in (*_TABLES, *_FUNCTIONS, *_TRIGGERS, _VIEW, *_RIGHTS):
        op.execute(statement)
