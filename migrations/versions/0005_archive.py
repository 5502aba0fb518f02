"""Journals moved out to an archive, and customers forgotten.

Revision ID: 0005
Revises: 0004
"""

from typing import Final

from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE: Final = (
    """
    ALTER TABLE orders
        ADD COLUMN archived_sequence integer NOT NULL DEFAULT 0
            CONSTRAINT orders_archived_sequence_check CHECK (0 <= archived_sequence),
        ADD COLUMN archived_states text[] NOT NULL DEFAULT '{}',
        ADD COLUMN archived_in text[] NOT NULL DEFAULT '{}',
        ADD COLUMN forgotten_at timestamptz
    """,
    "COMMENT ON COLUMN orders.archived_sequence IS 'Its events up to this one are in the archive, and not in events'",
    "COMMENT ON COLUMN orders.archived_states IS 'The states that its archived events led to, in order'",
    "COMMENT ON COLUMN orders.archived_in IS 'The files of the archive that hold its events, in order'",
    "COMMENT ON COLUMN orders.forgotten_at IS 'When personal data was erased from it and from its events'",
    """
    CREATE INDEX orders_to_archive ON orders (updated_at, id)
    WHERE archived_sequence < last_sequence AND state IN (
        'REJECTED', 'CANCELLED', 'EXPIRED', 'PAYMENT_DECLINED', 'REFUNDED', 'COMPLETED')
    """,
    # Against accidents: rights keep processes from it that should never do it (docs/operating.md).
    """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('orders.events_may_change', true) = lower(TG_OP) THEN
            RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
        END IF;
        RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation',
            HINT = '`orders archive` moves events out of it, `orders forget` erases personal data in it.';
    END
    $$
    """,
)

DOWNGRADE: Final = (
    """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation',
            HINT = 'To prune it by intent: ALTER TABLE ... DISABLE TRIGGER ..., as its owner.';
    END
    $$
    """,
    "DROP INDEX orders_to_archive",
    """
    ALTER TABLE orders DROP COLUMN archived_sequence, DROP COLUMN archived_states, DROP COLUMN archived_in,
        DROP COLUMN forgotten_at
    """,
)


def upgrade() -> None:
    """Changes the tables."""
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Changes them back; that orders were archived or forgotten is then not known any more."""
    for statement in DOWNGRADE:
        op.execute(statement)
