"""The trace that an event belongs to, so that its repeats carry it too.

Revision ID: 0006
Revises: 0005
"""

from typing import Final

from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE: Final = (
    "ALTER TABLE events ADD COLUMN traceparent text",
    "COMMENT ON COLUMN events.traceparent IS 'Its trace (W3C Trace Context), as it is published; else null'",
)

DOWNGRADE: Final = ("ALTER TABLE events DROP COLUMN traceparent",)


def upgrade() -> None:
    """Adds the column."""
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drops it; events that are published again then carry no trace."""
    for statement in DOWNGRADE:
        op.execute(statement)
