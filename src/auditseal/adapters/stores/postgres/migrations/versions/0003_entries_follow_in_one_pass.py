"""The check that new entries follow, in one pass over a statement's rows; what it refuses stays the same.

Source: `docs/spec/postgresql.md`.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

# As `follow_heads` of revision 0001 says. Here the rows are sorted once, a head is looked up once for each stream and
# not for each row, and the plans of all statements are kept from one call to the next.
_FOLLOW_HEADS = """
    CREATE OR REPLACE FUNCTION auditseal.follow_heads() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    DECLARE
        names text[] := (SELECT array_agg(DISTINCT stream) FROM added);
        is_broken boolean;
        last_streams text[];
        last_seqs bigint[];
        last_hashes bytea[];
        last_times text[];
    BEGIN
        INSERT INTO auditseal.heads SELECT n COLLATE "C", -1, ''::bytea, '' FROM unnest(names) n
        ORDER BY 1 ON CONFLICT DO NOTHING;
        PERFORM FROM auditseal.heads h WHERE h.stream = ANY (names) ORDER BY h.stream FOR NO KEY UPDATE;
        SELECT
            bool_or(CASE
                WHEN l.seq_before IS NULL THEN NOT EXISTS (
                    SELECT FROM auditseal.heads h
                    WHERE h.stream = l.stream AND h.seq = l.seq - 1 AND h.hash = l.prev_hash)
                ELSE l.seq <> l.seq_before + 1 OR l.prev_hash <> l.hash_before
            END),
            array_agg(l.stream) FILTER (WHERE l.is_last),
            array_agg(l.seq) FILTER (WHERE l.is_last),
            array_agg(l.hash) FILTER (WHERE l.is_last),
            array_agg(l.time) FILTER (WHERE l.is_last)
        INTO is_broken, last_streams, last_seqs, last_hashes, last_times
        FROM (
            SELECT n.stream, n.seq, n.prev_hash, n.hash, n.time,
                lag(n.seq) OVER chain AS seq_before,
                lag(n.hash) OVER chain AS hash_before,
                lead(n.seq) OVER chain IS NULL AS is_last
            FROM added n WINDOW chain AS (PARTITION BY n.stream ORDER BY n.seq)
        ) l;
        IF is_broken OR (
            (SELECT count(*) FROM pg_inherits WHERE inhparent = 'auditseal.entries'::regclass) > 1 AND EXISTS (
                SELECT FROM added n JOIN auditseal.entries e ON e.stream = n.stream AND e.id = n.id
                WHERE e.seq <> n.seq)
        ) THEN
            RAISE EXCEPTION 'auditseal: an entry must follow the last one of its stream'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        UPDATE auditseal.heads h SET seq = l.seq, hash = l.hash, time = l.time
        FROM unnest(last_streams, last_seqs, last_hashes, last_times) AS l (stream, seq, hash, time)
        WHERE h.stream = l.stream;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    """Replaces the function of the trigger on entries; its owner and rights stay."""
    op.execute(_FOLLOW_HEADS)
