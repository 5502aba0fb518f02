"""An operator's questions, answered by the metrics of the real processes alone: on their pages, and by Prometheus.

Prometheus is asked in the words of docs/metrics.md (`QUESTIONS`).
"""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.deployed_rules import EXPRESSIONS, QUESTIONS
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.servers.gateway_server import running_gateway
from tests.helpers.servers.one_order_proxy import OneOrderProxy
from tests.helpers.servers.prometheus import Answer, running_prometheus
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.pages import Page, Watched, new_order_id, total, value
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import PLANTED_SECRET, order_system


@pytest_asyncio.fixture(scope="module")
async def watched(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """Topics, tables, a namespace and a Prometheus; each test starts what it looks at."""
    folder = tmp_path_factory.mktemp("metrics")
    async with (
        running_prometheus(tmp_path_factory.mktemp("prometheus")) as prometheus,
        order_system(endpoints, folder, start=False, ORDER_APPROVAL_TIMEOUT_SECONDS="600") as system,
    ):
        yield Watched(system, prometheus)


def by(label: str, topic: str, answers: list[Answer]) -> dict[str, float]:
    """The values that are about a topic, by another label."""
    return {one.labels[label]: one.value for one in answers if one.labels["topic"] == topic}


LAG, BEHIND_STUCK = QUESTIONS["Which partition lags, and why?"]
AWAY, AWAY_SINCE = QUESTIONS["Which dependency is away, and since when?"]


async def test_which_partition_lags_why_by_how_much_and_which_dependency_is_away(watched: Watched) -> None:
    system, prometheus = watched.system, watched.prometheus
    async with (
        Proxy(system.endpoints.temporal_host) as temporal,
        watched.bridge(TEMPORAL_HOST=temporal.address) as page,
    ):
        samples = await page.until(
            "Temporal answers", lambda now: value(now, "orders_dependency_up", dependency="temporal") == 1
        )
        assert total(samples, "orders_bridge_partition_records") == 0
        assert value(samples, "orders_dependency_lost_timestamp_seconds", dependency="temporal") is None
        lost_at = time.time()
        await temporal.refuse()
        await watched.send(new_order_id(), EventType.ORDER_APPROVED)
        topic = system.topic_of(EventType.ORDER_APPROVED)
        samples = await page.until(
            "a record that is held, and Temporal away",
            lambda now: (
                total(now, "orders_bridge_partition_records", topic=topic, state="held") == 1
                and value(now, "orders_dependency_up", dependency="temporal") == 0
                and total(now, "orders_bridge_partition_oldest_unsettled_age_seconds", topic=topic) > 1
            ),
        )
        since = value(samples, "orders_dependency_lost_timestamp_seconds", dependency="temporal")
        assert since is not None
        assert lost_at <= since <= time.time()
        assert value(samples, "orders_dependency_up", dependency="kafka") == 1
        assert total(samples, "orders_bridge_call_duration_seconds_count", outcome="failed") >= 1
        await prometheus.until(LAG, lambda found: by("state", topic, found) == {"held": 1})
        (age,) = QUESTIONS["By how much time?"]
        await prometheus.until(age, lambda found: max(by("partition", topic, found).values(), default=0) > 1)
        await prometheus.until(AWAY, lambda found: [one.labels["dependency"] for one in found] == ["temporal"])
        await prometheus.until(
            AWAY_SINCE, lambda found: [one.value for one in found] == [pytest.approx(since, abs=0.01)]
        )
        await temporal.serve()
        await page.until(
            "the record is settled",
            lambda now: (
                value(now, "orders_bridge_records_settled_total", topic=topic, outcome="delivered") == 1
                and total(now, "orders_bridge_partition_records") == 0
                and total(now, "orders_bridge_partition_oldest_unsettled_age_seconds") == 0
                and value(now, "orders_dependency_up", dependency="temporal") == 1
                and (value(now, "orders_bridge_commit_age_seconds") or 0) < 30
            ),
        )
        (delay,) = QUESTIONS["How fast are records handed over?"]
        await prometheus.until(delay, lambda found: len(found) == 1 and found[0].value > 1)


async def test_what_is_in_flight_and_what_is_unread_while_the_bridge_holds_all_that_it_may(watched: Watched) -> None:
    """Temporal hangs, and one record is all that may be held."""
    order_id, topic = new_order_id(), watched.system.topic_of(EventType.ORDER_CANCELLED)
    async with (
        Proxy(watched.system.endpoints.temporal_host) as temporal,
        watched.bridge(TEMPORAL_HOST=temporal.address, BRIDGE_RECORDS_HELD_MAX="1") as page,
    ):
        temporal.stall()
        for _ in range(3):
            await watched.send(order_id, EventType.ORDER_CANCELLED)
        await page.until(
            "one in flight, and two that are not read",
            lambda now: (
                total(now, "orders_bridge_partition_records", topic=topic, state="held") == 1
                and total(now, "orders_bridge_partition_records", topic=topic, state="unread") == 2
                and total(now, "orders_bridge_partition_records", topic=topic, state="deferred") == 0
                and value(now, "orders_bridge_calls_in_flight") == 1
                and value(now, "orders_bridge_paused") == 1
                and value(now, "orders_bridge_stuck_lanes") == 0
            ),
        )
        await watched.prometheus.until(LAG, lambda found: by("state", topic, found) == {"held": 1, "unread": 2})
        await watched.prometheus.until_it_alarms("OrdersBridgePaused")
        temporal.flow()
        await page.until("none is left", lambda now: total(now, "orders_bridge_partition_records", topic=topic) == 0)


async def test_what_waits_behind_a_stuck_record_while_others_go_on(watched: Watched) -> None:
    """Temporal refuses one order's calls for as long as it takes, and no other's."""
    stuck, topic = new_order_id(), watched.system.topic_of(EventType.ORDER_CANCELLED)
    async with (
        OneOrderProxy(watched.system.endpoints.temporal_host) as temporal,
        watched.bridge(TEMPORAL_HOST=temporal.address, BRIDGE_STUCK_AFTER_SECONDS="1") as page,
    ):
        temporal.stuck = f"order:{stuck}".encode()
        for order_id in (stuck, stuck, stuck, new_order_id()):
            await watched.send(order_id, EventType.ORDER_CANCELLED)
        await page.until(
            "one order is stuck, and the other through",
            lambda now: (
                value(now, "orders_bridge_stuck_lanes") == 1
                and value(now, "orders_bridge_records_settled_total", topic=topic, outcome="delivered") == 1
                and total(now, "orders_bridge_partition_behind_stuck_records", topic=topic) == 2
            ),
        )
        await watched.prometheus.until(BEHIND_STUCK, lambda found: sum(by("partition", topic, found).values()) == 2)
        await watched.prometheus.until(LAG, lambda found: by("state", topic, found) == {"held": 3})
        await watched.prometheus.until_it_alarms("OrdersBridgeLaneStuck")
        temporal.stuck = None
        await page.until("none is left", lambda now: total(now, "orders_bridge_partition_records", topic=topic) == 0)


async def test_whether_records_were_lost_to_retention(watched: Watched) -> None:
    system, topic = watched.system, watched.system.topic_of(EventType.ORDER_ADDRESS_UPDATED)
    before, lost = (Outgoing(topic, b"{", b"k", partition=0) for _ in range(2))
    await system.produce([before])
    async with watched.bridge() as page:
        await system.wait_until_drained()
        assert value(await page.read(), "orders_bridge_records_lost_total") == 0
    await system.produce([lost] * 5)
    admin = AIOKafkaAdminClient(bootstrap_servers=system.endpoints.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=4)})
    finally:
        await admin.close()
    async with watched.bridge(is_read=False) as page:
        await page.until("the lost ones", lambda now: value(now, "orders_bridge_records_lost_total") == 3)
        # As after an outage that was longer than the retention: they were lost before the bridge is read at all.
        watched.prometheus.read(page.port)
        (question,) = QUESTIONS["Were records lost to Kafka's retention?"]
        await watched.prometheus.until(question, lambda found: [one.value for one in found] == [3])
        await watched.prometheus.until_it_alarms("OrdersRecordsLost")


async def test_what_the_dead_letters_are(watched: Watched) -> None:
    system, topic = watched.system, watched.system.topic_of(EventType.ORDER_CANCELLED)
    async with watched.bridge() as page:
        await watched.prometheus.until_it_has_read(page.port)
        await system.produce([Outgoing(topic, b"{", b"k"), Outgoing(topic, b"", b"k"), Outgoing(topic, b"{", b"k")])
        await page.until(
            "the codes",
            lambda now: (
                value(now, "orders_bridge_dead_letters_total", topic=topic, code="json_truncated") == 2
                and value(now, "orders_bridge_dead_letters_total", topic=topic, code="value_empty") == 1
                and value(now, "orders_bridge_records_settled_total", topic=topic, outcome="dead_lettered") == 3
            ),
        )
        (question,) = QUESTIONS["What are the dead letters?"]
        await watched.prometheus.until(
            question,
            lambda found: (
                {code: round(count) for code, count in by("code", topic, found).items() if count}
                == {"json_truncated": 2, "value_empty": 1}
            ),
        )
        await watched.prometheus.until_it_alarms("OrdersDeadLetters", topic=topic)


async def test_how_long_approvals_wait_what_providers_do_and_what_became_of_orders(watched: Watched) -> None:
    order_id, prometheus = new_order_id(), watched.prometheus
    async with (
        watched.bridge() as at_bridge,
        watched.worker("order-tq") as orders,
        watched.worker("shipping-tq") as shipping,
    ):
        await prometheus.until_it_has_read(orders.port)
        await watched.send(order_id, EventType.ORDER_CREATED, payment_id=f"pay-{order_id}")
        await orders.until(
            "an order that waits",
            lambda now: (
                (value(now, "orders_awaiting_approval") or 0) >= 1
                and (value(now, "orders_oldest_approval_wait_seconds") or 0) > 0
                and total(now, "orders_events_published_total", state="VALIDATED") >= 1
            ),
        )
        (oldest,) = QUESTIONS["How long does the oldest approval wait?"]
        await prometheus.until(oldest, lambda found: len(found) == 1 and found[0].value > 0)
        await watched.send(order_id, EventType.ORDER_APPROVED)
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
        (took,) = QUESTIONS["How long do approvals take?"]
        await prometheus.until(
            took, lambda found: any(one.labels["state"] == "APPROVED" and one.value > 0 for one in found)
        )
        became, _ = QUESTIONS["What becomes of orders, and what is refused?"]
        await prometheus.until(
            became, lambda found: round({one.labels["state"]: one.value for one in found}.get("COMPLETED", 0)) >= 1
        )
        for _, expression in EXPRESSIONS:
            await prometheus.ask(expression)


async def test_which_provider_is_slow(watched: Watched, tmp_path: Path) -> None:
    """The payment provider takes two seconds for each charge, and the carrier moments."""
    order_id = new_order_id()
    async with running_gateway(tmp_path, api_key=PLANTED_SECRET) as gateway:
        await gateway.misbehave("POST", "payments", "delay:2")
        settings = {
            "PAYMENT_GATEWAY_URL": gateway.url,
            "CARRIER_GATEWAY_URL": gateway.url,
            "CARRIER_GATEWAY_API_KEY": PLANTED_SECRET,
        }
        async with (
            watched.bridge(),
            watched.worker("order-tq", **settings) as orders,
            watched.worker("shipping-tq", **settings) as shipping,
        ):
            for page in (orders, shipping):
                await watched.prometheus.until_it_has_read(page.port)
            await watched.send(order_id, EventType.ORDER_CREATED, payment_id=f"pay-{order_id}")
            await watched.send(order_id, EventType.ORDER_APPROVED)
            await orders.until(
                "a completed order", lambda now: total(now, "orders_events_published_total", state="COMPLETED") >= 1
            )
            (question,) = QUESTIONS["Which provider is slow?"]

            def says_so(found: list[Answer]) -> bool:
                slow = {(one.labels["gateway"], one.labels["operation"]) for one in found if one.value > 1}
                asked = {(one.labels["gateway"], one.labels["operation"]) for one in found if one.value > 0}
                return slow == {("payment", "charge")} and ("carrier", "dispatch") in asked

            await watched.prometheus.until(question, says_so)
            await watched.prometheus.until_it_alarms("OrdersProviderSlow", gateway="payment", operation="charge")


async def test_how_long_orders_that_expire_have_waited_and_whether_expiry_waits(watched: Watched) -> None:
    order_id, later_id, system = new_order_id(), new_order_id(), watched.system
    async with watched.worker("order-tq") as orders:
        await watched.prometheus.until_it_has_read(orders.port)
        async with watched.bridge(ORDER_APPROVAL_TIMEOUT_SECONDS="2") as page:
            await watched.send(order_id, EventType.ORDER_CREATED, payment_id=f"pay-{order_id}")
            await orders.until(
                "an expired order",
                lambda now: (
                    total(now, "orders_approval_wait_seconds_count", state="EXPIRED") == 1
                    and total(now, "orders_approval_wait_seconds_sum", state="EXPIRED") >= 2
                    and value(now, "orders_expiry_questions_total", outcome="nothing") == 1
                ),
            )
            await watched.send(later_id, EventType.ORDER_CREATED, payment_id=f"pay-{later_id}")
            topic = system.topic_of(EventType.ORDER_CREATED)
            await page.until(
                "both orders handed over",
                lambda now: value(now, "orders_bridge_records_settled_total", topic=topic, outcome="delivered") == 2,
            )
        # No bridge runs: what is sent now is not handed over when the order's time is over.
        await watched.send(later_id, EventType.ORDER_APPROVED)
        await orders.until(
            "an expiry that waits", lambda now: total(now, "orders_expiry_questions_total", outcome="something") >= 1
        )
        asked, _ = QUESTIONS["Does expiry wait for what is in Kafka?"]
        await watched.prometheus.until(
            asked, lambda found: any(one.labels["outcome"] == "something" and one.value > 0 for one in found)
        )
        await watched.prometheus.until_it_alarms("OrdersExpiriesWait")
        async with watched.bridge():
            await orders.until(
                "the order goes on", lambda now: total(now, "orders_approval_wait_seconds_count", state="APPROVED") >= 1
            )


async def test_whether_published_events_lag_behind_recorded_ones(watched: Watched) -> None:
    """The way out is shut: the topic of the events is none."""
    order_id = new_order_id()
    nowhere = {"KAFKA_TOPIC_ORDER_EVENTS": f"nowhere-{watched.system.tag}"}
    async with watched.bridge(), watched.worker("order-tq", **nowhere) as orders:
        await watched.send(order_id, EventType.ORDER_CREATED, payment_id=f"pay-{order_id}")
        await orders.until(
            "events that are not published",
            lambda now: (
                (value(now, "orders_unpublished") or 0) >= 1
                and (value(now, "orders_oldest_unpublished_event_age_seconds") or 0) > 1
                and total(now, "orders_event_publish_duration_seconds_count", outcome="unavailable") >= 1
            ),
        )
        age, orders_behind = QUESTIONS["Do published events lag behind recorded ones?"]
        await watched.prometheus.until(age, lambda found: len(found) == 1 and found[0].value > 1)
        await watched.prometheus.until(orders_behind, lambda found: len(found) == 1 and found[0].value >= 1)


async def test_what_the_api_is_asked_and_how_long_it_takes(watched: Watched) -> None:
    port, health, system = free_port(), free_port(), watched.system
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
    watched.prometheus.read(health)
    await watched.prometheus.until_it_has_read(health)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        await client.get(f"/orders/{new_order_id()}/status")
    (question,) = QUESTIONS["How long do requests to the API take?"]
    await watched.prometheus.until(
        question, lambda found: any(one.labels["route"] == route and one.value > 0 for one in found)
    )
    watched.prometheus.leave(health)
    await process.terminate()
