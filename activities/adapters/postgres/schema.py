"""The tables, as statements use them.

The migrations make them, with their checks, comments and triggers; a test holds the two to each other.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
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
    _now("created_at"),
    _now("updated_at"),
    Index("orders_by_state", "state", "updated_at"),
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
