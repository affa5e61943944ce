"""A log in PostgreSQL: many writers on many machines, streams that scale out by name.

Entries and signatures are append-only by triggers and by rights in the database itself; a stream's head is one row,
locked for the chain step alone.

Source: `docs/spec/postgresql.md`.
"""

from auditseal.adapters.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
