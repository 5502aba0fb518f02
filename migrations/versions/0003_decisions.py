"""Until when approval is awaited and who decided; what an inbound event said; and by what pages look orders up.

Revision ID: 0003
Revises: 0002
"""

from typing import Final

from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE: Final = (
    "ALTER TABLE orders ADD COLUMN approval_deadline timestamptz, ADD COLUMN decided_by text",
    "COMMENT ON COLUMN orders.approval_deadline IS 'Until when approval was awaited, as published with VALIDATED'",
    "COMMENT ON COLUMN orders.decided_by IS 'Who approved or cancelled the order, as the message said'",
    # An order without a deadline was validated by an earlier version, which may still run beside this one.
    """
    CREATE INDEX orders_awaiting_approval ON orders (coalesce(approval_deadline, updated_at), id)
    WHERE state = 'VALIDATED'
    """,
    "CREATE INDEX orders_by_state_and_creation ON orders (state, created_at, id)",
    # An id of a customer may be longer than an index takes.
    """
    CREATE INDEX orders_by_customer ON orders (left(customer_id, 64), created_at, id) WHERE customer_id IS NOT NULL
    """,
    "CREATE INDEX orders_by_payment ON orders (payment_id)",
    """
    ALTER TABLE inbound_events ADD COLUMN body_digest bytea
    CONSTRAINT inbound_events_body_digest_check CHECK (octet_length(body_digest) = 32)
    """,
    "ALTER TABLE inbound_events ADD COLUMN sequence integer",
    "COMMENT ON COLUMN inbound_events.sequence IS 'Which event of the order says so; null in old rows'",
    "COMMENT ON COLUMN inbound_events.body_digest IS 'SHA-256 of its type and body; null in old rows'",
)

DOWNGRADE: Final = (
    "ALTER TABLE inbound_events DROP COLUMN body_digest, DROP COLUMN sequence",
    "DROP INDEX orders_awaiting_approval, orders_by_state_and_creation, orders_by_customer, orders_by_payment",
    "ALTER TABLE orders DROP COLUMN approval_deadline, DROP COLUMN decided_by",
)


def upgrade() -> None:
    """Changes the tables."""
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Changes them back; who decided, and what events said, is then known by the journal alone."""
    for statement in DOWNGRADE:
        op.execute(statement)
