"""Orders, their journals, the audit table, inbound events, payments, and the sandbox's own books.

Revision ID: 0001
Revises: nothing
"""

from typing import Final

from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

# The words are written out, not imported: a revision says what it did then, whatever the enums say later.
UPGRADE: Final = (
    """
    CREATE TABLE orders (
        id text PRIMARY KEY,
        state text NOT NULL CONSTRAINT orders_state_check CHECK (state IN (
            'RECEIVED', 'VALIDATED', 'REJECTED', 'APPROVED', 'CANCELLED', 'EXPIRED', 'PAID', 'PAYMENT_DECLINED',
            'PACKAGE_PREPARED', 'CARRIER_DISPATCHED', 'SHIPPING_FAILED', 'REFUNDED', 'SHIPPED', 'COMPLETED')),
        address_json jsonb NOT NULL,
        items_json jsonb NOT NULL,
        amount bigint NOT NULL CONSTRAINT orders_amount_check CHECK (amount >= 0),
        currency text NOT NULL CONSTRAINT orders_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
        customer_id text,
        payment_id text NOT NULL,
        tracking_id text,
        reason text,
        address_updated_at timestamptz,
        last_sequence integer NOT NULL CONSTRAINT orders_last_sequence_check CHECK (last_sequence >= 0),
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX orders_by_state ON orders (state, updated_at)",
    "COMMENT ON TABLE orders IS 'What each accepted order is now; events says how it came to that'",
    "COMMENT ON COLUMN orders.amount IS 'Total, in minor units of currency, such as cents'",
    "COMMENT ON COLUMN orders.reason IS 'Why the order took the branch that its state shows'",
    "COMMENT ON COLUMN orders.address_updated_at IS 'Event time of the last address update that was applied'",
    "COMMENT ON COLUMN orders.last_sequence IS 'The event that this row is up to; 0 before the first'",
    """
    CREATE TABLE journals (
        order_id text PRIMARY KEY,
        last_sequence integer NOT NULL DEFAULT 0,
        last_published_sequence integer NOT NULL DEFAULT 0,
        CONSTRAINT journals_sequences_check CHECK (0 <= last_published_sequence
            AND last_published_sequence <= last_sequence)
    )
    """,
    """
    CREATE INDEX journals_unpublished ON journals (order_id) WHERE last_published_sequence < last_sequence
    """,
    "COMMENT ON TABLE journals IS 'One row for each order id ever seen, locked by whoever writes its events'",
    "COMMENT ON COLUMN journals.last_sequence IS 'The last row in events'",
    "COMMENT ON COLUMN journals.last_published_sequence IS 'Kafka has acknowledged all up to this one, at least'",
    """
    CREATE TABLE events (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        order_id text NOT NULL,
        sequence integer NOT NULL CONSTRAINT events_sequence_check CHECK (sequence >= 1),
        event_id text NOT NULL CONSTRAINT events_event_id_key UNIQUE,
        type text NOT NULL CONSTRAINT events_type_check CHECK (type IN (
            'order.state_changed', 'order.address_changed', 'order.event_rejected')),
        payload_json json NOT NULL,
        ts timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT events_order_id_sequence_key UNIQUE (order_id, sequence)
    )
    """,
    "COMMENT ON TABLE events IS 'The audit table: every event on order.events, append-only'",
    "COMMENT ON COLUMN events.id IS 'Not an order of commits: read one order by sequence'",
    "COMMENT ON COLUMN events.payload_json IS 'The published bytes, exactly: json keeps them, jsonb would not'",
    "COMMENT ON COLUMN events.ts IS 'When it happened, as published'",
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation',
            HINT = 'To prune it by intent: ALTER TABLE ... DISABLE TRIGGER ..., as its owner.';
    END
    $$
    """,
    """
    CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TABLE inbound_events (
        order_id text NOT NULL,
        event_digest bytea NOT NULL CONSTRAINT inbound_events_digest_check CHECK (octet_length(event_digest) = 32),
        event_id text NOT NULL,
        type text NOT NULL,
        outcome text NOT NULL CONSTRAINT inbound_events_outcome_check CHECK (outcome IN ('applied', 'rejected')),
        reason text,
        ts timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (order_id, event_digest)
    )
    """,
    "CREATE INDEX inbound_events_by_time ON inbound_events (order_id, ts)",
    "COMMENT ON TABLE inbound_events IS 'What became of each inbound event, once; a duplicate changes nothing here'",
    "COMMENT ON COLUMN inbound_events.event_digest IS 'SHA-256 of event_id, which may be longer than an index takes'",
    "COMMENT ON COLUMN inbound_events.ts IS 'When it was decided'",
    """
    CREATE TABLE payments (
        payment_id text PRIMARY KEY,
        order_id text NOT NULL,
        status text NOT NULL CONSTRAINT payments_status_check CHECK (status IN (
            'pending', 'charged', 'declined', 'refunded', 'voided')),
        amount bigint NOT NULL CONSTRAINT payments_amount_check CHECK (amount >= 0),
        currency text NOT NULL CONSTRAINT payments_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
        reason text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX payments_by_order ON payments (order_id)",
    "COMMENT ON TABLE payments IS 'One row for each payment id, ever: the first order to claim it keeps it'",
    "COMMENT ON COLUMN payments.status IS 'pending: claimed, and what the provider says is not known yet'",
    """
    CREATE TABLE sandbox_payments (
        payment_id text PRIMARY KEY,
        status text NOT NULL CONSTRAINT sandbox_payments_status_check CHECK (status IN (
            'charged', 'declined', 'refunded', 'voided')),
        amount bigint NOT NULL,
        currency text NOT NULL,
        reason text,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "COMMENT ON TABLE sandbox_payments IS 'The embedded payment provider: what it knows of each payment'",
    """
    CREATE TABLE sandbox_ledger (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        payment_id text NOT NULL,
        kind text NOT NULL CONSTRAINT sandbox_ledger_kind_check CHECK (kind IN ('charge', 'refund')),
        amount bigint NOT NULL,
        currency text NOT NULL,
        ts timestamptz NOT NULL DEFAULT now()
    )
    """,
    # Not unique by payment and kind: the ledger tells what was moved, so it must be able to show a mistake.
    "CREATE INDEX sandbox_ledger_by_payment ON sandbox_ledger (payment_id)",
    "COMMENT ON TABLE sandbox_ledger IS 'The embedded payment provider: each movement of money, were it real'",
    """
    CREATE TABLE sandbox_shipments (
        order_id text PRIMARY KEY,
        package_id text NOT NULL,
        tracking_id text,
        address_json jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "COMMENT ON TABLE sandbox_shipments IS 'The embedded carrier: packages, and the tracking ids of those dispatched'",
)

DOWNGRADE: Final = (
    "DROP TABLE orders, journals, events, inbound_events, payments, "
    "sandbox_payments, sandbox_ledger, sandbox_shipments",
    "DROP FUNCTION refuse_change",
)


def upgrade() -> None:
    """Makes the tables."""
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drops the tables, with everything in them."""
    for statement in DOWNGRADE:
        op.execute(statement)
