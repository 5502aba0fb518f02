"""An operator's questions, answered by the metrics of the real processes alone."""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from prometheus_client.parser import text_string_to_metric_families

from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import OrderSystem, order_system

pytestmark = pytest.mark.timeout(300)

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True, slots=True)
class Page:
    """A process's page of metrics."""

    port: int
    system: OrderSystem

    async def read(self) -> Samples:
        """Each sample by its name and labels."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    async def until(self, what: str, condition: Callable[[Samples], bool]) -> Samples:
        """Reads the page until the condition holds."""
        seen: list[Samples] = [{}]

        async def holds() -> bool:
            try:
                seen[0] = await self.read()
            except httpx.TransportError:
                return False  # The process has only just begun.
            return condition(seen[0])

        await self.system.wait_until(holds, 60, lambda: f"{what}, not {_of_ours(seen[0])}")
        return seen[0]


def _of_ours(samples: Samples) -> dict[str, float]:
    return {
        f"{name}{dict(labels)}": value
        for (name, labels), value in samples.items()
        if name.startswith("orders_") and "_bucket" not in name
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """A sample's value; None where it is not there."""
    return samples.get((name, tuple(sorted(labels.items()))))


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of all samples of a name that have these labels."""
    return sum(found for (one, its), found in samples.items() if one == name and labels.items() <= dict(its).items())


@pytest_asyncio.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    """Topics, tables and a namespace; each test starts what it looks at."""
    folder = tmp_path_factory.mktemp("metrics")
    async with order_system(endpoints, folder, start=False, ORDER_APPROVAL_TIMEOUT_SECONDS="600") as opened:
        yield opened


@asynccontextmanager
async def bridge(system: OrderSystem, **settings: Any) -> AsyncIterator[Page]:
    port = free_port()
    process = system.start_bridge(BRIDGE_HEALTH_PORT=str(port), BRIDGE_PROBE_INTERVAL_SECONDS="1", **settings)
    page = Page(port, system)
    try:
        await page.until("all partitions", lambda samples: value(samples, "orders_bridge_assigned_partitions") == 16)
        yield page
    finally:
        await process.terminate()


@asynccontextmanager
async def worker(system: OrderSystem, task_queue: str, **settings: str) -> AsyncIterator[Page]:
    port = free_port()
    process = system.start_worker(task_queue, WORKER_HEALTH_PORT=str(port), **settings)
    page = Page(port, system)
    try:
        await page.until("the figures", lambda samples: value(samples, "orders_database_up") is not None)
        yield page
    finally:
        await process.terminate()


async def send(system: OrderSystem, order_id: str, event_type: EventType, **body: Any) -> None:
    message = message_of(event_type, {"order_id": order_id, **body})
    await system.produce([Outgoing(system.topic_of(event_type), message.value, message.key, message.headers)])


def new_order_id() -> str:
    return f"metrics-{secrets.token_hex(6)}"


async def test_which_partition_lags_why_by_how_much_and_which_dependency_is_away(system: OrderSystem) -> None:
    async with (
        Proxy(system.endpoints.temporal_host) as temporal,
        bridge(system, TEMPORAL_HOST=temporal.address) as page,
    ):
        samples = await page.until(
            "Temporal answers", lambda now: value(now, "orders_bridge_dependency_up", dependency="temporal") == 1
        )
        assert total(samples, "orders_bridge_partition_records") == 0
        assert value(samples, "orders_bridge_dependency_lost_timestamp_seconds", dependency="temporal") is None
        lost_at = time.time()
        await temporal.refuse()
        order_id = new_order_id()
        await send(system, order_id, EventType.ORDER_APPROVED)
        topic = system.topic_of(EventType.ORDER_APPROVED)
        samples = await page.until(
            "a record that is held, and Temporal away",
            lambda now: (
                total(now, "orders_bridge_partition_records", topic=topic, state="held") == 1
                and value(now, "orders_bridge_dependency_up", dependency="temporal") == 0
                and total(now, "orders_bridge_partition_oldest_unsettled_age_seconds", topic=topic) > 1
            ),
        )
        since = value(samples, "orders_bridge_dependency_lost_timestamp_seconds", dependency="temporal")
        assert since is not None
        assert lost_at <= since <= time.time()
        assert value(samples, "orders_bridge_dependency_up", dependency="kafka") == 1
        assert total(samples, "orders_bridge_call_duration_seconds_count", outcome="failed") >= 1
        await temporal.serve()
        await page.until(
            "the record is settled",
            lambda now: (
                value(now, "orders_bridge_records_settled_total", topic=topic, outcome="delivered") == 1
                and total(now, "orders_bridge_partition_records") == 0
                and total(now, "orders_bridge_partition_oldest_unsettled_age_seconds") == 0
                and value(now, "orders_bridge_dependency_up", dependency="temporal") == 1
                and (value(now, "orders_bridge_commit_age_seconds") or 0) < 30
            ),
        )


async def test_whether_records_were_lost_to_retention(system: OrderSystem) -> None:
    topic, servers = system.topic_of(EventType.ORDER_ADDRESS_UPDATED), system.endpoints.kafka_bootstrap_servers
    before, lost = (Outgoing(topic, b"{", b"k", partition=0) for _ in range(2))
    await system.produce([before])
    async with bridge(system) as page:
        await system.wait_until_drained()
        assert value(await page.read(), "orders_bridge_records_lost_total") == 0
    await system.produce([lost] * 5)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=4)})
    finally:
        await admin.close()
    async with bridge(system) as page:
        await page.until("the lost ones", lambda now: value(now, "orders_bridge_records_lost_total") == 3)


async def test_what_the_dead_letters_are(system: OrderSystem) -> None:
    topic = system.topic_of(EventType.ORDER_CANCELLED)
    async with bridge(system) as page:
        await system.produce([Outgoing(topic, b"{", b"k"), Outgoing(topic, b"", b"k"), Outgoing(topic, b"{", b"k")])
        await page.until(
            "the codes",
            lambda now: (
                value(now, "orders_bridge_dead_letters_total", topic=topic, code="json_truncated") == 2
                and value(now, "orders_bridge_dead_letters_total", topic=topic, code="value_empty") == 1
                and value(now, "orders_bridge_records_settled_total", topic=topic, outcome="dead_lettered") == 3
            ),
        )


async def test_how_long_approvals_wait_what_providers_do_and_what_became_of_orders(system: OrderSystem) -> None:
    order_id = new_order_id()
    async with (
        bridge(system) as at_bridge,
        worker(system, "order-tq") as orders,
        worker(system, "shipping-tq") as shipping,
    ):
        await send(system, order_id, EventType.ORDER_CREATED, payment_id=f"pay-{order_id}")
        await orders.until(
            "an order that waits",
            lambda now: (
                (value(now, "orders_awaiting_approval") or 0) >= 1
                and (value(now, "orders_oldest_approval_wait_seconds") or 0) > 0
                and total(now, "orders_events_published_total", state="VALIDATED") >= 1
            ),
        )
        await send(system, order_id, EventType.ORDER_APPROVED)
        samples = await orders.until(
            "a completed order", lambda now: total(now, "orders_events_published_total", state="COMPLETED") >= 1
        )
        assert total(samples, "orders_approval_wait_seconds_count", state="APPROVED") >= 1
        assert total(samples, "orders_approval_wait_seconds_sum", state="APPROVED") > 0
        charge = {"gateway": "payment", "operation": "charge"}
        assert total(samples, "orders_gateway_request_duration_seconds_count", outcome="charged", **charge) >= 1
        assert total(samples, "orders_event_publish_duration_seconds_count", outcome="acknowledged") >= 1
        assert total(samples, "orders_database_connections") >= 1
        of_carrier = {"gateway": "carrier", "outcome": "answered"}
        shipped = await shipping.read()
        for operation in ("prepare", "dispatch"):
            name = "orders_gateway_request_duration_seconds_count"
            assert total(shipped, name, operation=operation, **of_carrier) >= 1
        for page in (at_bridge, orders, shipping):
            now = await page.read()
            assert any(name.startswith("temporal_") for name, _ in now), "the SDK's own are on the same page"
            assert value(now, "process_start_time_seconds") is not None


async def test_how_long_orders_that_expire_have_waited_and_whether_expiry_waits(system: OrderSystem) -> None:
    order_id, later_id = new_order_id(), new_order_id()
    async with worker(system, "order-tq") as orders:
        async with bridge(system, ORDER_APPROVAL_TIMEOUT_SECONDS="2") as page:
            await send(system, order_id, EventType.ORDER_CREATED, payment_id=f"pay-{order_id}")
            await orders.until(
                "an expired order",
                lambda now: (
                    total(now, "orders_approval_wait_seconds_count", state="EXPIRED") == 1
                    and total(now, "orders_approval_wait_seconds_sum", state="EXPIRED") >= 2
                    and value(now, "orders_expiry_questions_total", outcome="nothing") == 1
                ),
            )
            await send(system, later_id, EventType.ORDER_CREATED, payment_id=f"pay-{later_id}")
            topic = system.topic_of(EventType.ORDER_CREATED)
            await page.until(
                "both orders handed over",
                lambda now: value(now, "orders_bridge_records_settled_total", topic=topic, outcome="delivered") == 2,
            )
        # No bridge runs: what is sent now is not handed over when the order's time is over.
        await send(system, later_id, EventType.ORDER_APPROVED)
        await orders.until(
            "an expiry that waits", lambda now: total(now, "orders_expiry_questions_total", outcome="something") >= 1
        )
        async with bridge(system):
            await orders.until(
                "the order goes on", lambda now: total(now, "orders_approval_wait_seconds_count", state="APPROVED") >= 1
            )


async def test_whether_published_events_lag_behind_recorded_ones(system: OrderSystem) -> None:
    """The way out is shut: the topic of the events is none."""
    order_id = new_order_id()
    nowhere = {"KAFKA_TOPIC_ORDER_EVENTS": f"nowhere-{system.tag}"}
    async with bridge(system), worker(system, "order-tq", **nowhere) as orders:
        await send(system, order_id, EventType.ORDER_CREATED, payment_id=f"pay-{order_id}")
        await orders.until(
            "events that are not published",
            lambda now: (
                (value(now, "orders_unpublished") or 0) >= 1
                and (value(now, "orders_oldest_unpublished_event_age_seconds") or 0) > 1
                and total(now, "orders_event_publish_duration_seconds_count", outcome="unavailable") >= 1
            ),
        )


async def test_whether_the_database_is_away_and_since_when(system: OrderSystem) -> None:
    endpoints = system.endpoints
    async with Proxy(f"{endpoints.db_host}:{endpoints.db_port}") as postgres:
        host, _, port = postgres.address.partition(":")
        async with worker(system, "order-tq", DB_HOST=host, DB_PORT=port) as orders:
            await orders.until("the database answers", lambda now: value(now, "orders_database_up") == 1)
            lost_at = time.time()
            await postgres.refuse()
            samples = await orders.until("it is away", lambda now: value(now, "orders_database_up") == 0)
            since = value(samples, "orders_database_lost_timestamp_seconds")
            assert since is not None
            assert lost_at <= since <= time.time()
            assert value(samples, "orders_awaiting_approval") is None, "what is not known is not said"
            await postgres.serve()
            await orders.until("it is back", lambda now: value(now, "orders_database_up") == 1)


async def test_what_the_api_is_asked_and_how_long_it_takes(system: OrderSystem) -> None:
    port, health = free_port(), free_port()
    process = system.start("api", "api", expect_end=False, API_PORT=str(port), API_HEALTH_PORT=str(health))
    await process.wait_until_logged('"api.started"')
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        assert (await client.get(f"/orders/{new_order_id()}/status")).status_code == 404
        assert (await client.get("/nowhere/at/all")).status_code == 404
        assert (await client.request("BREW", "/")).status_code in {404, 405}
    page = Page(health, system)
    route = "/orders/{order_id}/status"
    samples = await page.until(
        "the request",
        lambda now: value(now, "orders_http_requests_total", method="GET", route=route, status="404") == 1,
    )
    assert value(samples, "orders_http_request_duration_seconds_count", method="GET", route=route) == 1
    assert total(samples, "orders_http_requests_total", method="BREW") == 0
    assert total(samples, "orders_http_requests_total", method="other") == 1
    assert value(samples, "orders_http_requests_in_progress") == 0
    routes = {dict(labels)["route"] for name, labels in samples if name == "orders_http_requests_total"}
    assert not any("nowhere" in one for one in routes)
    await process.terminate()
