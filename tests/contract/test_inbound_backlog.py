"""What every `InboundBacklog` does: the one in memory and the one on Kafka."""

import asyncio
import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from activities.ports import InboundBacklog, KafkaUnavailableError
from bridge.engine.settled_beyond import METADATA_CHARS_MAX, encode, settled_beyond
from bridge.record import FINGERPRINT_BYTES, Record
from orders.clients.inbound_backlog import ASKED_EVERY, READ_RECORDS_MAX, KafkaInboundBacklog
from orders.settings import Settings
from schemas.activity_io import Backlog
from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.fake_backlog import InMemoryInboundBacklog
from tests.helpers.messages.kafka_io import Outgoing, commits_of, delete_topics, produce
from tests.helpers.servers.kafka_topics import make_topics, topics_made, wait_until_known
from tests.helpers.system.waiting import assert_eventually

APPROVED, CANCELLED, CREATED = EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED, EventType.ORDER_CREATED
SAVING = (APPROVED, CANCELLED)
"""What would decide an order otherwise whose time for approval is over."""


class Case(ABC):
    """A backlog, and what fills and empties it."""

    backlog: InboundBacklog

    @abstractmethod
    async def produce(self, order_id: str, event_type: EventType) -> int:
        """Adds a record and returns its offset."""

    @abstractmethod
    async def settle(self, event_type: EventType, *, below: int, but: tuple[int, ...] = ()) -> None:
        """Has the bridge commit that the records below an offset are handed over, but for some."""

    async def left(self, order_id: str, found: tuple[Backlog, ...]) -> dict[str, int]:
        """What is left of a backlog, by topic without the test's own part of its name."""
        return records_of(await self.backlog.left_of(order_id, found))

    async def is_handed_over(self, order_id: str, found: tuple[Backlog, ...]) -> None:
        """Waits until nothing is left: an answer may be as old as the pause between two questions to Kafka."""

        async def nothing_left() -> bool:
            return await self.left(order_id, found) == {}

        await assert_eventually(nothing_left)

    async def stays(self, order_id: str, found: tuple[Backlog, ...], left: dict[str, int]) -> None:
        """Holds what is left to several looks: from the second on, records are read to see whose they are."""
        for _ in range(3):
            await asyncio.sleep(ASKED_EVERY.total_seconds())
            assert await self.left(order_id, found) == left


def records_of(backlog: tuple[Backlog, ...]) -> dict[str, int]:
    return {one.topic.removesuffix(one.topic[len("order.approved") :]): one.records for one in backlog}


class InMemory(Case):
    def __init__(self) -> None:
        self.backlog: InMemoryInboundBacklog = InMemoryInboundBacklog()

    async def produce(self, order_id: str, event_type: EventType) -> int:
        return self.backlog.produce(order_id, event_type)

    async def settle(self, event_type: EventType, *, below: int, but: tuple[int, ...] = ()) -> None:
        self.backlog.hand_over(event_type, *(set(range(below)) - set(but)))


class OnKafka(Case):
    """Topics of one partition each, and a group that commits as the bridges do."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer) -> None:
        self.settings = settings
        self.backlog: KafkaInboundBacklog = KafkaInboundBacklog(settings, order_of)
        self.consumer = consumer

    @property
    def servers(self) -> str:
        return self.settings.kafka_bootstrap_servers

    def topic(self, event_type: EventType) -> str:
        return self.settings.inbound_topics[event_type]

    async def produce(self, order_id: str, event_type: EventType) -> int:
        ((_, _, offset),) = await produce(self.servers, [Outgoing(self.topic(event_type), record_of(order_id))])
        return offset

    async def settle(self, event_type: EventType, *, below: int, but: tuple[int, ...] = ()) -> None:
        unsettled = tuple(sorted(but))
        text = ""
        if unsettled:
            beyond = settled_beyond([(one, one + 1) for one in unsettled], below, b"\x01" * FINGERPRINT_BYTES)
            text = encode(beyond, chars_max=METADATA_CHARS_MAX)
        partition = TopicPartition(self.topic(event_type), 0)
        await self.consumer.commit({partition: (min([below, *unsettled]), text)})


def record_of(order_id: str) -> bytes:
    return json.dumps({"order_id": order_id}).encode()


def order_of(record: Record) -> str | None:
    try:
        return str(json.loads(record.value or b"")["order_id"])
    except ValueError:
        return None


@asynccontextmanager
async def on_kafka(endpoints: Endpoints) -> AsyncIterator[OnKafka]:
    name = secrets.token_hex(4)
    topics = {event_type: f"{event_type}.{name}" for event_type in EventType}
    settings = Settings(
        _env_file=None,
        kafka_bootstrap_servers=endpoints.kafka_bootstrap_servers,
        kafka_topic_order_created=topics[EventType.ORDER_CREATED],
        kafka_topic_order_approved=topics[EventType.ORDER_APPROVED],
        kafka_topic_order_cancelled=topics[EventType.ORDER_CANCELLED],
        kafka_topic_order_address_updated=topics[EventType.ORDER_ADDRESS_UPDATED],
        bridge_group_id=f"bridge-{name}",
    )
    async with (
        topics_made(settings.kafka_bootstrap_servers, dict.fromkeys(topics.values(), 1)),
        AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            group_id=settings.bridge_group_id,
            enable_auto_commit=False,
        ) as consumer,
    ):
        await commits_of(
            settings.kafka_bootstrap_servers, settings.bridge_group_id
        )  # Waits for the first group of all.
        consumer.assign([TopicPartition(topic, 0) for topic in topics.values()])
        case = OnKafka(settings, consumer)
        yield case
        await case.backlog.close()


@pytest.fixture(params=["memory", "kafka"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    if request.param == "memory":
        yield InMemory()
        return
    async with on_kafka(request.getfixturevalue("endpoints")) as one:
        yield one


@pytest.fixture
async def kafka(endpoints: Endpoints) -> AsyncIterator[OnKafka]:
    async with on_kafka(endpoints) as one:
        yield one


async def test_where_kafka_holds_nothing_there_is_no_backlog(case: Case) -> None:
    assert await case.backlog.find("o-1", SAVING) == ()


async def test_a_record_is_waited_for_until_it_is_handed_over(case: Case) -> None:
    offset = await case.produce("o-1", APPROVED)

    found = await case.backlog.find("o-1", SAVING)

    assert records_of(found) == await case.left("o-1", found) == {"order.approved": 1}
    assert (found[0].partition, found[0].end) == (0, offset + 1)
    await case.settle(APPROVED, below=offset + 1)
    await case.is_handed_over("o-1", found)
    assert await case.backlog.find("o-1", SAVING) == ()


async def test_what_comes_later_is_not_waited_for(case: Case) -> None:
    offset = await case.produce("o-1", APPROVED)
    found = await case.backlog.find("o-1", SAVING)
    await case.produce("o-1", APPROVED)
    await case.produce("o-1", CANCELLED)

    await case.settle(APPROVED, below=offset + 1)

    await case.is_handed_over("o-1", found)


async def test_events_of_other_types_are_not_waited_for(case: Case) -> None:
    await case.produce("o-1", CREATED)

    assert await case.backlog.find("o-1", SAVING) == ()
    assert len(await case.backlog.find("o-1", (CREATED,))) == 1


async def test_a_stuck_order_keeps_only_itself_waiting(case: Case) -> None:
    stuck = await case.produce("o-stuck", APPROVED)
    last = await case.produce("o-1", APPROVED)
    found = await case.backlog.find("o-1", SAVING)
    stuck_found = await case.backlog.find("o-stuck", SAVING)

    await case.settle(APPROVED, below=last + 1, but=(stuck,))

    await case.is_handed_over("o-1", found)
    assert await case.left("o-stuck", stuck_found) == {"order.approved": 1}


async def test_a_record_behind_a_stuck_order_is_waited_for(case: Case) -> None:
    stuck = await case.produce("o-stuck", APPROVED)
    settled = await case.produce("o-2", APPROVED)
    waiting = await case.produce("o-1", APPROVED)
    await case.settle(APPROVED, below=settled + 1, but=(stuck,))

    found = await case.backlog.find("o-1", SAVING)

    await case.stays("o-1", found, {"order.approved": 2})
    await case.settle(APPROVED, below=waiting + 1, but=(stuck,))

    await case.is_handed_over("o-1", found)


async def test_where_too_many_wait_everybody_does(kafka: OnKafka) -> None:
    records = [Outgoing(kafka.topic(APPROVED), record_of("o-stuck"))] * (READ_RECORDS_MAX + 1)
    await produce(kafka.servers, records)

    found = await kafka.backlog.find("o-1", SAVING)

    await kafka.stays("o-1", found, {"order.approved": READ_RECORDS_MAX + 1})


async def test_a_record_that_the_bridge_sets_aside_is_nobodys(kafka: OnKafka) -> None:
    await produce(kafka.servers, [Outgoing(kafka.topic(APPROVED), b"not json")])
    found = await kafka.backlog.find("o-1", SAVING)

    await kafka.is_handed_over("o-1", found)


async def test_an_open_transaction_is_waited_for_and_its_marks_are_not(kafka: OnKafka) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.servers, transactional_id=f"tx-{secrets.token_hex(4)}"
    ) as producer:
        await producer.begin_transaction()
        sent = await producer.send_and_wait(kafka.topic(APPROVED), record_of("o-1"))
        found = await kafka.backlog.find("o-1", SAVING)
        await kafka.stays("o-1", found, {"order.approved": 1})
        await producer.commit_transaction()
        await kafka.stays("o-1", found, {"order.approved": 1})

        await kafka.settle(APPROVED, below=sent.offset + 1)
        await kafka.is_handed_over("o-1", found)
        # The mark that ends a transaction has an offset, and is no record that the bridge could ever commit.
        marked = await kafka.backlog.find("o-1", SAVING)

        await kafka.is_handed_over("o-1", marked)


async def test_what_a_transaction_took_back_is_not_waited_for(kafka: OnKafka) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.servers, transactional_id=f"tx-{secrets.token_hex(4)}"
    ) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(kafka.topic(APPROVED), record_of("o-1"))
        found = await kafka.backlog.find("o-1", SAVING)
        await producer.abort_transaction()

        await kafka.is_handed_over("o-1", found)


async def test_a_partition_that_was_added_is_looked_at(kafka: OnKafka) -> None:
    assert await kafka.backlog.find("o-1", SAVING) == ()
    topic = kafka.topic(APPROVED)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    await admin.start()
    await admin.create_partitions({topic: NewPartitions(2)})
    await admin.close()
    await wait_until_known(kafka.servers, [topic], partitions_min=2)
    await produce(kafka.servers, [Outgoing(topic, record_of("o-1"), partition=1)])

    (found,) = await kafka.backlog.find("o-1", SAVING)

    assert (found.partition, found.records) == (1, 1)


async def test_records_that_retention_has_taken_are_not_waited_for(kafka: OnKafka) -> None:
    offset = await kafka.produce("o-1", APPROVED)
    found = await kafka.backlog.find("o-1", SAVING)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    await admin.start()
    await admin.delete_records({TopicPartition(kafka.topic(APPROVED), 0): RecordsToDelete(offset + 1)})
    await admin.close()

    await kafka.is_handed_over("o-1", found)


async def test_a_commit_of_an_earlier_topic_of_the_same_name_is_not_believed(kafka: OnKafka) -> None:
    await kafka.produce("o-1", APPROVED)
    await kafka.settle(APPROVED, below=100)

    assert records_of(await kafka.backlog.find("o-1", SAVING)) == {"order.approved": 1}


async def test_a_missing_topic_is_named_with_what_to_do(kafka: OnKafka) -> None:
    await delete_topics(kafka.servers, [kafka.topic(APPROVED)])

    async def refused() -> bool:
        try:
            await kafka.backlog.find("o-1", SAVING)
        except KafkaUnavailableError as error:
            return f"no topic {kafka.topic(APPROVED)}" in str(error) and "orders migrate" in str(error)
        return False

    await assert_eventually(refused)
    await make_topics(kafka.servers, {kafka.topic(APPROVED): 1})

    async def answers() -> bool:
        try:
            return await kafka.backlog.find("o-1", SAVING) == ()
        except KafkaUnavailableError:
            return False

    await assert_eventually(answers)


async def test_while_kafka_is_away_the_port_says_so() -> None:
    away = Settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1", kafka_request_timeout_seconds=1)
    backlog = KafkaInboundBacklog(away, order_of)

    with pytest.raises(KafkaUnavailableError, match="does not say how far the bridge is"):
        await backlog.find("o-1", SAVING)

    await backlog.close()
