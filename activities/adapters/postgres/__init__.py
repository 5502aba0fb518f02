"""The application's database, behind the ports `OrderStore` and `PaymentStore`, and its read side."""

from activities.adapters.postgres.engine import EngineOptions, create_engine, database_url
from activities.adapters.postgres.orders import PostgresOrderStore
from activities.adapters.postgres.payments import PostgresPaymentStore
from activities.adapters.postgres.reader import OrderReader

__all__ = [
    "EngineOptions",
    "OrderReader",
    "PostgresOrderStore",
    "PostgresPaymentStore",
    "create_engine",
    "database_url",
]
