"""Alembic's entry point: runs the migrations on the connection it is given, in the log's own schema."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True, version_table_schema="auditseal")
with context.begin_transaction():
    context.run_migrations()
