"""Erases personal data of a customer's orders in the database: rows stay, and so do their numbers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.adapters.postgres.engine import single_statements, transaction
from activities.adapters.postgres.statements import Statement
from activities.personal_data import without_person
from schemas.outbound import OUTBOUND_EVENT
from schemas.states import OrderState


@dataclass(frozen=True, slots=True)
class CustomerOrder:
    """An order of a customer."""

    order_id: str
    state: OrderState
    created_at: datetime
    is_published: bool
    """Whether Kafka is known to have all its events: until then their bytes are needed."""
    archived_in: tuple[str, ...]

    @property
    def may_be_forgotten(self) -> bool:
        """Whether nothing of it is needed any more for the order itself."""
        return self.state.is_final and self.is_published


class ForgettingStore:
    """Raises `DatabaseUnavailableError` where the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def orders_of(self, customer_id: str, after: CustomerOrder | None, limit: int) -> tuple[CustomerOrder, ...]:
        """Orders that name the customer, the oldest first.

        Args:
            customer_id: as the orders name them.
            after: the last one of the page before; None for the first page.
            limit: how many at most.
        """
        values = {
            "customer_id": customer_id,
            "after_time": None if after is None else after.created_at,
            "after_id": None if after is None else after.order_id,
            "limit": limit,
        }
        async with single_statements(self._engine) as connection:
            return tuple(
                CustomerOrder(row.id, OrderState(row.state), row.created_at, row.is_published, tuple(row.archived_in))
                for row in await _ORDERS_OF.on(connection, values)
            )

    async def erase(self, order_id: str) -> int | None:
        """Erases what is about a person in one order, its events and its messages, in one transaction.

        Returns:
            How many events were written anew; None where the order is not over, or not published, and was left alone.
        """
        key = {"order_id": order_id}
        async with transaction(self._engine) as connection:
            if (await _LOCK_ENDED.on(connection, key)).one_or_none() is None:
                return None
            changed = await _erase_events(connection, order_id)
            for statement in _ERASE:
                await statement.on(connection, key)
        return changed


async def _erase_events(connection: AsyncConnection, order_id: str) -> int:
    await connection.exec_driver_sql("SELECT set_config('orders.events_may_change', 'update', true)")
    ids, payloads = [], []
    for row in await _EVENTS.on(connection, {"order_id": order_id}):
        erased = without_person(OUTBOUND_EVENT.validate_json(row.payload)).model_dump_json()
        if erased != row.payload:
            ids.append(row.id)
            payloads.append(erased)
    if ids:
        await _PUT_EVENTS.on(connection, {"ids": ids, "payloads": payloads})
    return len(ids)


# The index has the beginning of the id (`schema.CUSTOMER_KEY`).
_ORDERS_OF: Final = Statement.of(
    """
    SELECT orders.id, orders.state, orders.created_at, orders.archived_in,
        coalesce(journals.last_published_sequence = journals.last_sequence, true) AS is_published
    FROM orders LEFT JOIN journals ON journals.order_id = orders.id
    WHERE left(orders.customer_id, 64) = left(CAST(:customer_id AS text), 64)
        AND orders.customer_id = CAST(:customer_id AS text)
        AND (orders.created_at, orders.id) > (
            coalesce(CAST(:after_time AS timestamptz), '-infinity'), coalesce(CAST(:after_id AS text), ''))
    ORDER BY orders.created_at, orders.id LIMIT CAST(:limit AS integer)
    """
)
_LOCK_ENDED: Final = Statement.of(
    """
    SELECT orders.id FROM journals JOIN orders ON orders.id = journals.order_id
    WHERE journals.order_id = :order_id AND journals.last_published_sequence = journals.last_sequence
        AND orders.state IN ('REJECTED', 'CANCELLED', 'EXPIRED', 'PAYMENT_DECLINED', 'REFUNDED', 'COMPLETED')
    FOR UPDATE
    """
)
_EVENTS: Final = Statement.of("SELECT id, CAST(payload_json AS text) AS payload FROM events WHERE order_id = :order_id")
_PUT_EVENTS: Final = Statement.of(
    """
    UPDATE events SET payload_json = CAST(erased.payload AS json), salt = NULL
    FROM unnest(CAST(:ids AS bigint[]), CAST(:payloads AS text[])) AS erased (id, payload) WHERE events.id = erased.id
    """
)
_ERASE: Final = (
    Statement.of(
        """
        UPDATE orders SET customer_id = NULL, address_json = '{}', decided_by = NULL, tracking_id = NULL,
            adjustments_json = (SELECT coalesce(jsonb_agg(one || '{"description": null}'), '[]')
                FROM jsonb_array_elements(adjustments_json) AS one),
            forgotten_at = now()
        WHERE id = :order_id
        """
    ),
    # What a message said cannot be read from its digest, but can be tried out: an address has few forms.
    Statement.of("UPDATE inbound_events SET body_digest = NULL WHERE order_id = :order_id"),
    Statement.of("UPDATE sandbox_shipments SET address_json = '{}', tracking_id = NULL WHERE order_id = :order_id"),
)
