"""The tables, as statements use them.

The migrations make them, with their checks, comments and triggers; a test holds the two to each other.
"""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

metadata: Final = MetaData()


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


orders: Final = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("address_json", JSONB, nullable=False),
    Column("items_json", JSONB, nullable=False),
    Column("adjustments_json", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("amount", BigInteger, nullable=False),
    Column("is_priced", Boolean, nullable=False, server_default=text("true")),
    Column("currency", Text, nullable=False),
    Column("customer_id", Text),
    Column("payment_id", Text, nullable=False),
    Column("tracking_id", Text),
    Column("reason", Text),
    Column("address_updated_at", DateTime(timezone=True)),
    Column("last_sequence", Integer, nullable=False),
    Column("approval_deadline", DateTime(timezone=True)),
    Column("decided_by", Text),
    Column("archived_sequence", Integer, nullable=False, server_default=text("0")),
    Column("archived_states", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("archived_in", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("forgotten_at", DateTime(timezone=True)),
    Column("archived_link", LargeBinary),
    _now("created_at"),
    _now("updated_at"),
    Index("orders_by_state", "state", "updated_at"),
    Index("orders_by_state_and_creation", "state", "created_at", "id"),
    Index("orders_by_payment", "payment_id"),
)

AWAITED_UNTIL: Final = func.coalesce(orders.c.approval_deadline, orders.c.updated_at)
"""Until when an order's approval is awaited. One that an earlier version validated has no deadline in its row."""
CUSTOMER_KEY_CHARS: Final = 64
"""How much of a customer's id is in the index: an id may be longer than an index takes (2,704 bytes)."""
CUSTOMER_KEY: Final = func.left(orders.c.customer_id, literal_column(str(CUSTOMER_KEY_CHARS)))

Index(
    "orders_awaiting_approval",
    AWAITED_UNTIL,
    orders.c.id,
    postgresql_where=text("state = 'VALIDATED'"),
)
Index(
    "orders_by_customer",
    CUSTOMER_KEY,
    orders.c.created_at,
    orders.c.id,
    postgresql_where=text("customer_id IS NOT NULL"),
)

Index(
    "orders_to_archive",
    orders.c.updated_at,
    orders.c.id,
    postgresql_where=text(
        "archived_sequence < last_sequence AND state IN "
        "('REJECTED', 'CANCELLED', 'EXPIRED', 'PAYMENT_DECLINED', 'REFUNDED', 'COMPLETED')"
    ),
)

journals: Final = Table(
    "journals",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("last_sequence", Integer, nullable=False, server_default=text("0")),
    Column("last_published_sequence", Integer, nullable=False, server_default=text("0")),
    Index("journals_unpublished", "order_id", postgresql_where=text("last_published_sequence < last_sequence")),
)

events: Final = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload_json", JSON, nullable=False),
    Column("ts", DateTime(timezone=True), nullable=False),
    _now("recorded_at"),
    Column("traceparent", Text),
    Column("salt", LargeBinary),
    Column("payload_digest", LargeBinary),
    Column("link", LargeBinary),
    UniqueConstraint("order_id", "sequence", name="events_order_id_sequence_key"),
    UniqueConstraint("event_id", name="events_event_id_key"),
)

inbound_events: Final = Table(
    "inbound_events",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("event_digest", LargeBinary, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("ts", DateTime(timezone=True), nullable=False),
    Column("body_digest", LargeBinary),
    Column("sequence", Integer),
    _now("recorded_at"),
    Index("inbound_events_by_time", "order_id", "ts"),
)

payments: Final = Table(
    "payments",
    metadata,
    Column("payment_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reason", Text),
    _now("created_at"),
    _now("updated_at"),
    Index("payments_by_order", "order_id"),
)

# The embedded sandbox's own books: it plays the provider, so its memory outlives our processes and is shared by them.

sandbox_payments: Final = Table(
    "sandbox_payments",
    metadata,
    Column("payment_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reason", Text),
    _now("created_at"),
)

sandbox_ledger: Final = Table(
    "sandbox_ledger",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("payment_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    _now("ts"),
    Index("sandbox_ledger_by_payment", "payment_id"),
)

sandbox_shipments: Final = Table(
    "sandbox_shipments",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("package_id", Text, nullable=False),
    Column("tracking_id", Text),
    Column("address_json", JSONB, nullable=False),
    _now("created_at"),
)

# Who may use the API and the console. Of a secret only its digest is kept.

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    _now("created_at"),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("caller_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("api_key_id", Text, ForeignKey("api_keys.id", name="sessions_api_key_id_fkey")),
    _now("created_at"),
    _now("last_seen_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("sessions_by_caller", "caller_id", "created_at"),
    Index("sessions_by_expiry", "expires_at"),
)
