"""What a process says of all orders, read from a real database now and then."""

from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import insert

from activities.adapters.postgres.schema import orders
from orders.processes.figures import DatabaseFigures
from schemas.states import OrderState
from stack import Endpoints
from tests.helpers.servers.databases import migrated_engine

WAITING = {
    "id": "o-1",
    "state": OrderState.VALIDATED.value,
    "address_json": {},
    "items_json": [],
    "amount": 1,
    "currency": "EUR",
    "payment_id": "p-1",
    "last_sequence": 2,
}


async def test_what_was_seen_waiting_grows_no_older_until_the_next_look(endpoints: Endpoints) -> None:
    """An event waits for milliseconds before it is published: what was seen then has not waited ever since."""
    async with migrated_engine(endpoints) as engine:
        async with engine.begin() as connection:
            await connection.execute(insert(orders).values(WAITING))
        registry = CollectorRegistry()
        figures = DatabaseFigures(engine, registry)
        await figures.refresh()
        page = generate_latest(registry)
        assert (registry.get_sample_value("orders_oldest_approval_wait_seconds") or 0) > 0
        assert generate_latest(registry) == page
