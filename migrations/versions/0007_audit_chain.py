"""The approval log: each event of the audit table carries a hash that covers the one before it of its order.

Revision ID: 0007
Revises: 0006
"""

from typing import Final

from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE: Final = (
    """
    ALTER TABLE events ADD COLUMN salt bytea, ADD COLUMN payload_digest bytea, ADD COLUMN link bytea
    """,
    "COMMENT ON COLUMN events.salt IS 'Random, of payload_digest; null in old rows, and erased with personal data'",
    "COMMENT ON COLUMN events.payload_digest IS 'SHA-256 of salt and published bytes; stays when data is erased'",
    "COMMENT ON COLUMN events.link IS 'SHA-256 of the link before and of this event; null in old rows'",
    "ALTER TABLE orders ADD COLUMN archived_link bytea",
    "COMMENT ON COLUMN orders.archived_link IS 'The link of its last archived event, which the next one follows'",
)

DOWNGRADE: Final = (
    "ALTER TABLE orders DROP COLUMN archived_link",
    "ALTER TABLE events DROP COLUMN salt, DROP COLUMN payload_digest, DROP COLUMN link",
)


def upgrade() -> None:
    """Adds the columns, which are null in the rows that there are: nobody vouches for those."""
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drops them: what was recorded until now then cannot be verified any more."""
    for statement in DOWNGRADE:
        op.execute(statement)
