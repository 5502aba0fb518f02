"""What an order leaves behind, whoever runs it: the rows of our own tables, and the events of ``order.events``.

Both peers use this one file, so that they differ in their engines alone. Each function is one step: it may run twice,
so every row is keyed and every event's id is derived from its order and its number.
"""

import hashlib
import json
import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

EVENTS = "order.events"
SOURCE = "urn:peer"
APPROVAL = timedelta(seconds=30)
NAMESPACE = uuid.UUID("7d0c1c0e-6c0f-5d0e-9f43-8f2f5f4f1f2a")

_EVENT = """
INSERT INTO events (order_id, sequence, event_id, type, payload_json, ts)
VALUES ($1, $2, $3, 'order.state_changed', $4, $5) ON CONFLICT DO NOTHING
"""
_STATE = """
UPDATE orders SET state = $2, last_sequence = $3, tracking_id = coalesce($4, tracking_id), updated_at = now()
WHERE id = $1 AND last_sequence < $3
"""
_JOURNAL = """
INSERT INTO journals (order_id, last_sequence) VALUES ($1, $2)
ON CONFLICT (order_id) DO UPDATE SET last_sequence = greatest(journals.last_sequence, excluded.last_sequence)
"""
_PUBLISHED = "UPDATE journals SET last_published_sequence = greatest(last_published_sequence, $2) WHERE order_id = $1"
_INBOUND = """
INSERT INTO inbound_events (order_id, event_digest, type, event_id, outcome, ts)
VALUES ($1, $2, $3, $4, 'applied', $5) ON CONFLICT DO NOTHING
"""
_ORDER = """
INSERT INTO orders (id, state, address_json, items_json, amount, currency, customer_id, payment_id, last_sequence)
VALUES ($1, 'RECEIVED', $2, $3, $4, $5, $6, $7, 0) ON CONFLICT DO NOTHING
"""


class Books:
    """Connections to Postgres and Kafka, made once in the loop that uses them."""

    def __init__(self, pool: asyncpg.Pool, producer: AIOKafkaProducer) -> None:
        self._pool = pool
        self._producer = producer

    @classmethod
    async def open(cls) -> "Books":
        """Connects to the servers that the environment names."""
        pool = await asyncpg.create_pool(
            host=os.environ["DB_HOST"],
            port=int(os.environ["DB_PORT"]),
            user=os.environ["DB_USER"],
            password=os.environ["DB_PASSWORD"],
            database=os.environ["DB_NAME"],
            min_size=2,
            max_size=10,
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], acks="all", enable_idempotence=True
        )
        await producer.start()
        return cls(pool, producer)

    async def receive(self, order: dict[str, Any]) -> None:
        """Keeps the order, and says that it was received."""
        async with self._pool.acquire() as connection:
            await connection.execute(
                _ORDER,
                order["order_id"],
                json.dumps(order["shipping_address"]),
                json.dumps(order["items"]),
                amount_of(order),
                order["currency"],
                order["customer_id"],
                order["payment_id"],
            )
        await self.change(order, 1, None, "RECEIVED", inbound="order.created")

    async def validate(self, order: dict[str, Any]) -> bool:
        """Whether the order may go on."""
        valid = 0 < amount_of(order) <= 10**12
        if valid:
            deadline = (datetime.now(UTC) + APPROVAL).isoformat()
            await self.change(order, 2, "RECEIVED", "VALIDATED", approval_deadline=deadline)
        return valid

    async def approve(self, order: dict[str, Any], approval: dict[str, Any]) -> None:
        """Records who has approved."""
        cause = {"type": "order.approved", "by": approval.get("approved_by"), "note": approval.get("note")}
        await self.change(order, 3, "VALIDATED", "APPROVED", inbound="order.approved", cause=cause)

    async def charge(self, order: dict[str, Any]) -> None:
        """Charges the payment at the provider, whose books are tables as well, and says that it was paid."""
        payment = (order["payment_id"], amount_of(order), order["currency"])
        async with self._pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO payments (payment_id, order_id, status, amount, currency) "
                "VALUES ($1, $4, 'pending', $2, $3) ON CONFLICT DO NOTHING",
                *payment,
                order["order_id"],
            )
            async with connection.transaction():
                is_first = await connection.fetchval(
                    "INSERT INTO sandbox_payments (payment_id, status, amount, currency) "
                    "VALUES ($1, 'charged', $2, $3) ON CONFLICT DO NOTHING RETURNING true",
                    *payment,
                )
                if is_first:
                    await connection.execute(
                        "INSERT INTO sandbox_ledger (payment_id, kind, amount, currency) VALUES ($1, 'charge', $2, $3)",
                        *payment,
                    )
            await connection.execute(
                "UPDATE payments SET status = 'charged', updated_at = now() WHERE payment_id = $1", payment[0]
            )
        await self.change(order, 4, "APPROVED", "PAID")

    async def prepare(self, order: dict[str, Any]) -> None:
        """Has the carrier prepare the package."""
        order_id, package_id = order["order_id"], f"package-{order['order_id']}"
        async with self._pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO sandbox_shipments (order_id, package_id, address_json) VALUES ($1, $2, $3) "
                "ON CONFLICT DO NOTHING",
                order_id,
                package_id,
                json.dumps(order["shipping_address"]),
            )
        await self.change(order, 5, "PAID", "PACKAGE_PREPARED")

    async def dispatch(self, order: dict[str, Any]) -> str:
        """Has the carrier take the package."""
        tracking_id = f"track-{order['order_id']}"
        async with self._pool.acquire() as connection:
            await connection.execute(
                "UPDATE sandbox_shipments SET tracking_id = coalesce(tracking_id, $2) WHERE order_id = $1",
                order["order_id"],
                tracking_id,
            )
        await self.change(order, 6, "PACKAGE_PREPARED", "CARRIER_DISPATCHED", tracking_id=tracking_id)
        return tracking_id

    async def mark_shipped(self, order: dict[str, Any], tracking_id: str) -> None:
        """Marks the order as shipped."""
        await self.change(order, 7, "CARRIER_DISPATCHED", "SHIPPED", tracking_id=tracking_id)

    async def complete(self, order: dict[str, Any], tracking_id: str) -> None:
        """Ends the order."""
        await self.change(order, 8, "SHIPPED", "COMPLETED", tracking_id=tracking_id)

    async def change(
        self,
        order: dict[str, Any],
        sequence: int,
        previous: str | None,
        state: str,
        *,
        inbound: str | None = None,
        cause: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Records a transition in one transaction, then publishes it and awaits the acknowledgement."""
        order_id, at = order["order_id"], datetime.now(UTC)
        event_id = str(uuid.uuid5(NAMESPACE, f"{order_id}:{sequence}"))
        body = {
            "order_id": order_id,
            "sequence": sequence,
            "previous_state": previous,
            "state": state,
            "occurred_at": at.isoformat(),
            "cause": {"event_id": f"{inbound}:{order_id}", "type": inbound, **(cause or {})} if inbound else None,
            "reason": None,
            "payment_id": order["payment_id"],
            "amount": amount_of(order),
            "adjustments": [],
            "currency": order["currency"],
            "tracking_id": None,
            "approval_deadline": None,
            **more,
        }
        payload = json.dumps(body)
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                await connection.execute(_EVENT, order_id, sequence, event_id, payload, at)
                await connection.execute(_STATE, order_id, state, sequence, more.get("tracking_id"))
                await connection.execute(_JOURNAL, order_id, sequence)
                if inbound:
                    inbound_id = f"{inbound}:{order_id}"
                    digest = hashlib.sha256(inbound_id.encode()).digest()
                    await connection.execute(_INBOUND, order_id, digest, inbound, inbound_id, at)
            await self._publish(order_id, sequence, event_id, payload, at)
            await connection.execute(_PUBLISHED, order_id, sequence)

    async def _publish(self, order_id: str, sequence: int, event_id: str, payload: str, at: datetime) -> None:
        headers = {
            "ce_specversion": "1.0",
            "ce_id": event_id,
            "ce_source": SOURCE,
            "ce_type": "order.state_changed",
            "ce_subject": order_id,
            "ce_time": at.isoformat(),
            "ce_sequence": str(sequence),
            "content-type": "application/json",
        }
        encoded = [(name, value.encode()) for name, value in headers.items()]
        await self._producer.send_and_wait(EVENTS, payload.encode(), order_id.encode(), headers=encoded)


def amount_of(order: dict[str, Any]) -> int:
    """The order's total, in minor units."""
    return sum(item["quantity"] * item["unit_amount"] for item in order["items"])
