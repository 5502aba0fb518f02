"""Inbound events by id and type; adjustments of an order's amount, and whether it has one.

An event id that comes again on a message of another type is refused visibly: both have a row.

Revision ID: 0002
Revises: 0001
"""

from typing import Final

from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE: Final = (
    "ALTER TABLE inbound_events DROP CONSTRAINT inbound_events_pkey",
    "ALTER TABLE inbound_events ADD PRIMARY KEY (order_id, event_digest, type)",
    "ALTER TABLE orders ADD COLUMN adjustments_json jsonb NOT NULL DEFAULT '[]'::jsonb",
    "ALTER TABLE orders ADD COLUMN is_priced boolean NOT NULL DEFAULT true",
    "COMMENT ON COLUMN orders.amount IS 'Total, adjustments included, in minor units of currency, such as cents'",
    "COMMENT ON COLUMN orders.adjustments_json IS 'What was added to the sum of the items, or taken off it'",
    "COMMENT ON COLUMN orders.is_priced IS 'Whether the order said what it costs; else amount is 0'",
)

DOWNGRADE: Final = (
    "COMMENT ON COLUMN orders.amount IS 'Total, in minor units of currency, such as cents'",
    "ALTER TABLE orders DROP COLUMN adjustments_json, DROP COLUMN is_priced",
    "ALTER TABLE inbound_events DROP CONSTRAINT inbound_events_pkey",
    # Of an id on messages of several types only the first can be kept.
    """
    DELETE FROM inbound_events WHERE reason = 'event_id_reused'
    """,
    "ALTER TABLE inbound_events ADD PRIMARY KEY (order_id, event_digest)",
)


def upgrade() -> None:
    """Changes the tables."""
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Changes them back; refusals of reused event ids are forgotten."""
    for statement in DOWNGRADE:
        op.execute(statement)
