"""One poll is bounded in bytes by what it really gathers, by the client's own fetcher (I11)."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState

from bridge.config import BridgeConfig, Kafka
from bridge.kafka.clients import make_consumer
from bridge.kafka.lenient_records import LenientRecords
from bridge.kafka.poll_bounds import BoundedFetchResult, bound_next_poll
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.raw_batches import encode_batch

A, B, C = (TopicPartition("t", number) for number in range(3))
LARGE = 1024 * 1024
BYTES_MAX, RECORDS_MAX = 4 * LARGE, 50
HEADER = ("h", bytes(LARGE))


def outgoing(value: bytes | None, *headers: tuple[str, bytes | None], key: bytes | None = None) -> Outgoing:
    return Outgoing("t", value, key, headers)


def alternating(count: int) -> bytes:
    """A small batch, one of a few KiB that unfolds to much, a small one and so on."""
    sizes = [LARGE if number % 2 else 1 for number in range(count)]
    batches = [encode_batch([outgoing(bytes(size))], base_offset=at, compression=1) for at, size in enumerate(sizes)]
    return b"".join(batches)


class Fetched:
    """A client's fetcher that has fetched these bytes of each partition, and fetches nothing more."""

    def __init__(self, fetched: dict[TopicPartition, bytes]) -> None:
        subscriptions = SubscriptionState()
        subscriptions.assign_from_user(list(fetched))
        self._assignment = subscriptions.subscription.assignment
        self._fetcher: Any = fetcher.Fetcher.__new__(fetcher.Fetcher)
        self._fetcher._subscriptions = subscriptions
        self._fetcher._wait_consume_future = None
        self._fetcher._records = {key: self._result(key, data) for key, data in fetched.items()}

    def _result(self, partition: TopicPartition, data: bytes) -> Any:
        state = self._assignment.state_value(partition)
        state.await_reset(0)
        state.reset_to(0)
        records = fetcher.PartitionRecords(
            partition, LenientRecords(data), None, 0, None, None, True, fetcher.READ_COMMITTED
        )
        return fetcher.FetchResult(partition, assignment=self._assignment, partition_records=records, backoff=0)

    async def poll(self, records_max: int = RECORDS_MAX) -> dict[TopicPartition, list[Any]]:
        polled: dict[TopicPartition, list[Any]] = await self._fetcher.fetched_records([], 0, records_max)
        return polled

    def position(self, partition: TopicPartition) -> int:
        return int(self._assignment.state_value(partition).position)

    @property
    def has_more(self) -> bool:
        return bool(self._fetcher._records)


@pytest.fixture(autouse=True)
async def bounded() -> None:
    """As every process of a bridge has it."""
    await make_consumer(BridgeConfig("g", "dead"), Kafka("nowhere:9")).stop()
    assert fetcher.FetchResult is BoundedFetchResult


def size_of(records: Sequence[Any]) -> int:
    return sum(len(one.value or b"") + sum(len(value or b"") for _, value in one.headers) for one in records)


async def test_no_poll_gathers_more_bytes_than_its_bound_and_a_record_not_even_the_first_one() -> None:
    """Whatever is known of the records before them; over all partitions together."""
    fetched = Fetched({A: alternating(40), B: alternating(40), C: alternating(40)})
    given: dict[TopicPartition, list[int]] = {A: [], B: [], C: []}
    while fetched.has_more:
        bound_next_poll(BYTES_MAX)
        batches = await fetched.poll()
        records = [one for batch in batches.values() for one in batch]
        assert len(records) <= RECORDS_MAX
        assert size_of(records) < BYTES_MAX + LARGE
        for partition, batch in batches.items():
            given[partition] += [one.offset for one in batch]
            assert fetched.position(partition) == batch[-1].offset + 1, "what was not gathered is not passed over"
    assert given == {key: list(range(40)) for key in (A, B, C)}


async def test_a_record_larger_than_the_bound_comes_alone() -> None:
    fetched = Fetched({A: encode_batch([outgoing(bytes(3 * LARGE))] * 3)})
    counts = []
    while fetched.has_more:
        bound_next_poll(LARGE)
        counts.append(sum(map(len, (await fetched.poll()).values())))
    assert counts == [1, 1, 1, 0]


async def test_headers_and_keys_count_as_well() -> None:
    fetched = Fetched({A: encode_batch([outgoing(None, HEADER), outgoing(b"", key=bytes(LARGE))] * 8)})
    bound_next_poll(BYTES_MAX)
    assert [len(batch) for batch in (await fetched.poll()).values()] == [4]


async def test_small_records_are_bounded_by_their_number_alone() -> None:
    fetched = Fetched({A: encode_batch([outgoing(b"v")] * 30), B: encode_batch([outgoing(None)] * 70)})
    bound_next_poll(BYTES_MAX)
    batches = await fetched.poll()
    assert {key: len(batch) for key, batch in batches.items()} == {A: 30, B: 20}


async def test_a_consumer_of_another_task_has_a_bound_of_its_own() -> None:
    """Neither takes of the other's room."""
    bound_next_poll(LARGE)
    others = Fetched({A: alternating(10)})
    batches = await asyncio.create_task(polled_by_another(others))
    assert len(batches[A]) == 10
    assert len((await Fetched({A: alternating(10)}).poll())[A]) == 2


async def polled_by_another(fetched: Fetched) -> dict[TopicPartition, list[Any]]:
    bound_next_poll(100 * LARGE)
    return await fetched.poll()
