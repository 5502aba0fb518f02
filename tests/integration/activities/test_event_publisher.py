"""The publisher on real Kafka, through a proxy that fails: what is told, and that it goes on afterwards."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.cluster import ClusterMetadata
from aiokafka.producer.sender import Sender

from activities import journal
from activities.adapters.kafka import KafkaEventPublisher
from activities.ports import KafkaUnavailableError, StoredEvent
from schemas.event_types import EventType
from schemas.order import Address
from schemas.outbound import Cause, OrderAddressChanged, OrderStateChanged, outbound_event_id
from schemas.states import OrderState
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import delete_topics, read_topic
from tests.helpers.servers.kafka_topics import topics_made
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.waiting import assert_eventually, in_time

ATTEMPT_SECONDS = 4.0
"""What an activity's attempt has."""
NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
async def topic(endpoints: Endpoints) -> AsyncIterator[str]:
    name = f"order.events.{secrets.token_hex(4)}"
    async with topics_made(endpoints.kafka_bootstrap_servers, {name: 3}):
        yield name


@pytest.fixture
async def proxy(endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """In front of the broker, also for what the broker itself says of its address."""
    async with Proxy(endpoints.kafka_bootstrap_servers.split(",")[0]) as one:
        advertised = ClusterMetadata.broker_metadata
        host, _, port = one.address.rpartition(":")

        def through_the_proxy(self: ClusterMetadata, broker_id: Any) -> Any:
            broker = advertised(self, broker_id)
            return broker and broker._replace(host=host, port=int(port))

        with monkeypatch.context() as patch:
            patch.setattr(ClusterMetadata, "broker_metadata", through_the_proxy)
            yield one


@pytest.fixture
async def publisher(proxy: Proxy, topic: str) -> AsyncIterator[KafkaEventPublisher]:
    one = KafkaEventPublisher(bootstrap_servers=proxy.address, topic=topic, source="/orders")
    yield one
    proxy.flow()
    await one.close()


def events(order_id: str, first: int, last: int) -> tuple[StoredEvent, ...]:
    return tuple(
        journal.stored(
            OrderStateChanged(order_id=order_id, sequence=sequence, state=OrderState.RECEIVED, occurred_at=NOON)
        )
        for sequence in range(first, last + 1)
    )


async def sequences(endpoints: Endpoints, topic: str, order_id: str) -> list[int]:
    records = await read_topic(endpoints.kafka_bootstrap_servers, topic)
    bodies = [json.loads(record.value or b"") for record in records]
    return [body["sequence"] for body in bodies if body["order_id"] == order_id]


async def test_an_event_carries_its_order_as_key_and_the_headers_of_cloudevents(
    publisher: KafkaEventPublisher, endpoints: Endpoints, topic: str
) -> None:
    (event,) = events("o-1", 1, 1)

    await publisher.publish((event,))

    (record,) = await read_topic(endpoints.kafka_bootstrap_servers, topic)
    assert record.key == b"o-1"
    assert record.value == event.payload_json.encode()
    assert {name: record.header(name) for name, _ in record.headers} == {
        "ce_specversion": "1.0",
        "ce_id": outbound_event_id("o-1", 1),
        "ce_source": "/orders",
        "ce_type": "order.state_changed",
        "ce_subject": "o-1",
        "ce_time": "2026-01-31T12:00:00.123456+00:00",
        "ce_sequence": "0000000001",
        "content-type": "application/json",
    }


async def test_a_missing_topic_is_named_in_time(proxy: Proxy) -> None:
    publisher = KafkaEventPublisher(bootstrap_servers=proxy.address, topic="order.nowhere", source="/orders")

    with in_time(ATTEMPT_SECONDS), pytest.raises(KafkaUnavailableError, match=r"no topic order\.nowhere"):
        await publisher.publish(events("o-1", 1, 1))

    await publisher.close()


async def test_a_broker_that_is_down_is_told_in_time_and_used_once_it_is_back(
    publisher: KafkaEventPublisher, proxy: Proxy, endpoints: Endpoints, topic: str
) -> None:
    await proxy.refuse()
    with in_time(ATTEMPT_SECONDS), pytest.raises(KafkaUnavailableError):
        await publisher.publish(events("o-1", 1, 1))

    await proxy.serve()
    await publisher.publish(events("o-1", 1, 2))

    assert await sequences(endpoints, topic, "o-1") == [1, 2]


async def test_a_broker_that_goes_away_between_two_events_is_used_once_it_is_back(
    publisher: KafkaEventPublisher, proxy: Proxy, endpoints: Endpoints, topic: str
) -> None:
    await publisher.publish(events("o-1", 1, 1))
    await proxy.refuse()
    with pytest.raises(KafkaUnavailableError):
        await publisher.publish(events("o-1", 2, 2))

    await proxy.serve()
    await publisher.publish(events("o-1", 2, 2))

    assert list(dict.fromkeys(await sequences(endpoints, topic, "o-1"))) == [1, 2]


async def test_a_broker_that_hangs_is_told_in_time_and_everything_goes_on_in_order(
    publisher: KafkaEventPublisher, proxy: Proxy, endpoints: Endpoints, topic: str
) -> None:
    orders = [f"o-{number}" for number in range(30)]
    await asyncio.gather(*(publisher.publish(events(order, 1, 1)) for order in orders))
    proxy.stall()
    with in_time(ATTEMPT_SECONDS):
        outcomes = await asyncio.gather(
            *(publisher.publish(events(order, 2, 3)) for order in orders), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [KafkaUnavailableError] * len(orders)

    proxy.flow()
    await asyncio.gather(*(publisher.publish(events(order, 2, 4)) for order in orders))

    for order in orders:
        published = await sequences(endpoints, topic, order)
        assert list(dict.fromkeys(published)) == [1, 2, 3, 4], published


async def test_callers_do_not_queue_up_behind_a_broker_that_hangs_from_the_start(
    publisher: KafkaEventPublisher, proxy: Proxy
) -> None:
    proxy.stall()

    with in_time(ATTEMPT_SECONDS):
        outcomes = await asyncio.gather(
            *(publisher.publish(events(f"o-{number}", 1, 1)) for number in range(20)), return_exceptions=True
        )

    assert {type(outcome) for outcome in outcomes} == {KafkaUnavailableError}


async def test_connections_that_break_under_load_lose_nothing_and_keep_the_order(
    publisher: KafkaEventPublisher, proxy: Proxy, endpoints: Endpoints, topic: str
) -> None:
    async def publish_all(order: str) -> None:
        for sequence in range(1, 31):
            while True:
                try:
                    await publisher.publish(events(order, sequence, sequence))
                    break
                except KafkaUnavailableError:
                    await asyncio.sleep(0.05)

    orders = [f"o-{number}" for number in range(10)]
    work = asyncio.gather(*(publish_all(order) for order in orders))
    for _ in range(5):
        await asyncio.wait([work], timeout=0.1)
        await proxy.drop()
    await work

    for order in orders:
        published = await sequences(endpoints, topic, order)
        assert list(dict.fromkeys(published)) == list(range(1, 31)), published


async def test_a_producer_that_fails_by_a_defect_is_replaced(
    publisher: KafkaEventPublisher, endpoints: Endpoints, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka's producer raises whatever ended its sender again, for each event and for ever."""
    await publisher.publish(events("o-1", 1, 1))

    async def fail(*_: Any) -> None:
        raise RuntimeError("a defect of the client")

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "_send_produce_req", fail)
        with pytest.raises(KafkaUnavailableError):
            await publisher.publish(events("o-1", 2, 3))

    await publisher.publish(events("o-1", 2, 3))

    assert list(dict.fromkeys(await sequences(endpoints, topic, "o-1"))) == [1, 2, 3]


async def test_a_record_that_the_broker_refuses_does_not_stop_the_others(proxy: Proxy, endpoints: Endpoints) -> None:
    name = f"order.events.{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=endpoints.kafka_bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    await admin.close()
    publisher = KafkaEventPublisher(bootstrap_servers=proxy.address, topic=name, source="/orders")
    address = Address(street="x" * 1000, city="y" * 1000, state="z" * 1000)
    large = journal.stored(OrderAddressChanged(order_id="o-2", sequence=1, occurred_at=NOON, address=address))

    async def is_there() -> bool:
        await publisher.publish(events("o-1", 1, 1))
        return True

    await assert_eventually(is_there, message="the topic is there")
    for sequence in (2, 3):
        with pytest.raises(KafkaUnavailableError):
            await publisher.publish((large,))
        await publisher.publish(events("o-1", sequence, sequence))
    # Together these are more than the topic takes at once, and each by itself is not.
    await publisher.publish(events("o-1", 4, 13))

    assert await sequences(endpoints, name, "o-1") == list(range(1, 14))
    await publisher.close()
    await delete_topics(endpoints.kafka_bootstrap_servers, [name])


async def test_an_orders_events_travel_together_to_the_partition_of_its_single_ones(
    publisher: KafkaEventPublisher, proxy: Proxy, endpoints: Endpoints, topic: str
) -> None:
    """Each of the broker's answers takes half a second: ten events in requests of their own would take five."""
    orders = [f"o-{number}" for number in range(10)]
    for order in orders:
        await publisher.publish(events(order, 1, 1))
    proxy.delay_seconds = 0.5

    with in_time(ATTEMPT_SECONDS):
        await publisher.publish(events(orders[0], 2, 11))

    proxy.delay_seconds = 0.0
    for order in orders[1:]:
        await publisher.publish(events(order, 2, 11))
    records = await read_topic(endpoints.kafka_bootstrap_servers, topic)
    partitions = {order: {record.partition for record in records if record.key == order.encode()} for order in orders}
    assert {len(found) for found in partitions.values()} == {1}
    assert len(set().union(*partitions.values())) > 1, "all in one partition: nothing was tested"
    assert [await sequences(endpoints, topic, order) for order in orders] == [list(range(1, 12))] * len(orders)


async def test_orders_of_one_partition_do_not_wait_for_each_other_at_a_slow_broker(
    proxy: Proxy, endpoints: Endpoints
) -> None:
    """Each answer takes a fifth of a second: forty batches, one after the other, would take eight."""
    name, orders = f"order.events.{secrets.token_hex(4)}", [f"o-{number}" for number in range(40)]
    async with topics_made(endpoints.kafka_bootstrap_servers, {name: 1}):
        publisher = KafkaEventPublisher(bootstrap_servers=proxy.address, topic=name, source="/orders")
        await publisher.publish(events("o-0", 1, 1))
        proxy.delay_seconds = 0.2

        await asyncio.gather(*(publisher.publish(events(order, 1, 4)) for order in orders))

        proxy.delay_seconds = 0.0
        for order in orders[1:]:
            assert await sequences(endpoints, name, order) == [1, 2, 3, 4]
        await publisher.close()


@pytest.mark.parametrize("count", [3, 20])
async def test_events_that_do_not_fit_into_a_batch_follow_in_order(
    publisher: KafkaEventPublisher, endpoints: Endpoints, topic: str, count: int
) -> None:
    """Of 9 and of 40 KiB: two fit into none, and one alone is larger than a batch."""
    address = Address(street="x" * 900, city="y" * 900, state="z" * 900)
    many = tuple(
        journal.stored(
            OrderAddressChanged(
                order_id="o-1",
                sequence=sequence,
                occurred_at=NOON,
                address=address,
                cause=Cause(event_id="e" * 128, type=EventType.ORDER_ADDRESS_UPDATED, by="b" * 128, note="n" * 900),
            )
        )
        for sequence in range(1, count + 1)
    )

    await publisher.publish(many)

    assert await sequences(endpoints, topic, "o-1") == list(range(1, count + 1))


async def test_closing_is_bounded_while_the_broker_hangs_and_leaves_no_task(
    publisher: KafkaEventPublisher, proxy: Proxy
) -> None:
    await publisher.publish(events("o-1", 1, 1))
    others = asyncio.all_tasks()
    proxy.stall()
    publishing = asyncio.create_task(publisher.publish(events("o-1", 2, 2)))
    await asyncio.wait([publishing], timeout=0.1)

    with in_time(10):
        await publisher.close()

    assert isinstance(publishing.exception(), KafkaUnavailableError)
    with pytest.raises(KafkaUnavailableError, match="stopping"):
        await publisher.publish(events("o-1", 2, 2))
    proxy.flow()

    def of_aiokafka() -> list[Any]:
        left = asyncio.all_tasks() - others
        return [task for task in left if "aiokafka" in str(task.get_coro())]

    await assert_eventually(lambda: not of_aiokafka(), message=lambda: f"no task is left: {of_aiokafka()}")
