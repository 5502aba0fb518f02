"""What Alembic runs around the revisions; `migrations.runner` hands it the connection."""

from alembic import context
from sqlalchemy import Connection

connection: Connection | None = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("migrations run by `orders migrate` (migrations.runner gives the connection)")

context.configure(connection=connection, transaction_per_migration=False)
context.run_migrations()
