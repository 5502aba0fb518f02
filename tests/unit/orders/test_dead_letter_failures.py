"""A purge, a replay and a delivery that the servers break off: what is said, and what was done by then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from bridge import CallOutcome, Record, Refusal, Stage
from bridge.dead_letters.headers import make_dead_letter, make_pointer
from bridge.dead_letters.letter import Letter
from orders.errors import OrdersError, UnreachableError
from orders.operations import send
from orders.operations.dead_letters import loading, replaying
from orders.operations.dead_letters.purging import PartitionPurge, PurgePlan, purge
from orders.operations.dead_letters.replaying import ReplayOutcome, replay
from orders.operations.dead_letters.selection import Place
from orders.settings import Settings
from schemas.event_types import EventType
from schemas.inbound import OrderApproved

SETTINGS = Settings(_env_file=None)
TOPIC = SETTINGS.kafka_topic_order_created
REFUSAL = Refusal(Stage.JSON, "json_truncated", "look for what cut it off")

# Purging ------------------------------------------------------------------------------------------------------------


class Admin:
    """Takes what is to be deleted, or refuses."""

    def __init__(self, error: KafkaError | None = None) -> None:
        self._error = error
        self.deleted: dict[TopicPartition, int] = {}

    async def delete_records(self, records: dict[TopicPartition, Any]) -> None:
        if self._error is not None:
            raise self._error
        self.deleted = {key: value.before_offset for key, value in records.items()}


def clients_with(admin: Admin) -> Any:
    async def kafka_admin() -> Admin:
        return admin

    return SimpleNamespace(settings=SETTINGS, kafka_admin=kafka_admin)


PARTITIONS = {
    TopicPartition("dead", 0): PartitionPurge(0, 5, deleted=5),
    TopicPartition("dead", 1): PartitionPurge(3, 3, kept_behind_others=2),
}


async def test_a_purge_touches_only_partitions_of_which_something_goes() -> None:
    admin = Admin()
    await purge(clients_with(admin), PurgePlan(PARTITIONS))
    assert admin.deleted == {TopicPartition("dead", 0): 5}


async def test_a_purge_of_nothing_asks_nobody() -> None:
    await purge(clients_with(Admin(KafkaConnectionError())), PurgePlan({}))


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (OffsetOutOfRangeError(), OrdersError, "the dead letters changed meanwhile"),
        (TopicAuthorizationFailedError(), OrdersError, "needs the right to delete"),
        (PolicyViolationError(), OrdersError, "must not be compacted only"),
        (KafkaConnectionError(), UnreachableError, "Kafka does not answer"),
    ],
)
async def test_a_purge_that_kafka_does_not_do_says_why(error: KafkaError, kind: type, sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        await purge(clients_with(Admin(error)), PurgePlan(PARTITIONS))


# Replaying ----------------------------------------------------------------------------------------------------------


class Producer:
    """Acknowledges records until it fails."""

    def __init__(self, error: KafkaError | None = None, *, good: int = 0) -> None:
        self._error, self._good = error, good
        self.sent: list[bytes | None] = []

    async def send(self, _topic: str, *, value: bytes | None, **_: object) -> Any:
        if self._error is not None and len(self.sent) >= self._good:
            raise self._error
        self.sent.append(value)
        return acknowledged()


async def acknowledged() -> None:
    pass


def source(number: int, partition: int = 0) -> Record:
    return Record(TOPIC, partition, number, 1, b"o-1", b"%d" % number)


def letter(number: int, *, partition: int = 0, pointer: bool = False) -> Letter:
    made = (make_pointer if pointer else make_dead_letter)(source(number, partition), REFUSAL)
    return Letter.from_record(Record("dead", 0, number, 2, made.key, made.value, made.headers))


async def replayed(monkeypatch: pytest.MonkeyPatch, producer: Producer, *letters: Letter) -> ReplayOutcome:
    """Replays the letters to a topic of one partition, which keeps the records that no pointer stands for."""
    by_place = {Place(0, one.record.offset): one for one in letters}

    @asynccontextmanager
    async def scan(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(partitions=[TopicPartition(TOPIC, 0)], fetch=fetch)

    async def fetch(wanted: dict[TopicPartition, list[int]]) -> dict[TopicPartition, dict[int, Record]]:
        there = {one.record.offset: source(one.record.offset) for one in letters if not one.is_pointer}
        return {
            key: {offset: there[offset] for offset in offsets if key.partition == 0 and offset in there}
            for key, offsets in wanted.items()
        }

    @asynccontextmanager
    async def opened(*_: object, **__: object) -> AsyncIterator[Producer]:
        yield producer

    async def get_letters(_scan: object, _topic: str, places: list[Place]) -> dict[Place, Letter]:
        return {place: by_place[place] for place in places}

    monkeypatch.setattr(replaying, "dead_letter_scan", scan)
    monkeypatch.setattr(replaying, "topic_scan", scan)
    monkeypatch.setattr(replaying, "kafka_producer", opened)
    monkeypatch.setattr(replaying, "get_letters", get_letters)
    monkeypatch.setattr(loading, "get_letters", get_letters)
    clients: Any = SimpleNamespace(settings=SETTINGS)
    return await replay(clients, list(by_place), replays_max=None, limit=10, dry_run=False)


async def test_what_has_no_place_or_no_record_any_more_is_told_and_the_rest_is_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = Producer()
    outcome = await replayed(monkeypatch, producer, letter(1), letter(2, partition=7), letter(3, pointer=True))
    assert producer.sent == [b"1"]
    assert (outcome.replayed, outcome.refused_count) == (1, 2)
    assert sorted(one.why for one in outcome.refused) == [
        f"is a pointer, and {TOPIC}:0:3 cannot be read: its topic does not keep it any more, or it never could be read",
        f"its partition {TOPIC}:7 is not there any more",
    ]


async def test_a_replay_that_kafka_breaks_off_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer(KafkaConnectionError(), good=1)
    with pytest.raises(UnreachableError, match=r"Kafka does not answer .*1 of 2 were replayed before; repeat"):
        await replayed(monkeypatch, producer, letter(1), letter(2))


async def test_a_replay_of_which_a_topic_refuses_a_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OrdersError, match=r"Kafka refused a record \(MessageSizeTooLargeError\): 0 of 1"):
        await replayed(monkeypatch, Producer(MessageSizeTooLargeError()), letter(1))


# Straight to Temporal -----------------------------------------------------------------------------------------------


async def delivered(monkeypatch: pytest.MonkeyPatch, *answers: RPCError | CallOutcome) -> send.Delivered:
    left = iter(answers)

    async def make(_caller: object, _call: object) -> CallOutcome:
        answer = next(left)
        if isinstance(answer, RPCError):
            raise answer
        return answer

    async def temporal() -> None:
        pass

    monkeypatch.setattr(send, "Caller", lambda _: SimpleNamespace(make=lambda call: make(None, call)))
    monkeypatch.setattr(send, "_PAUSE_SECONDS", 0)
    clients: Any = SimpleNamespace(settings=SETTINGS, temporal=temporal, order_mapping=SETTINGS.order_mapping())
    body = OrderApproved(order_id="o-1", event_id="e-1")
    outcome = await send.deliver(clients, EventType.ORDER_APPROVED, body)
    assert next(left, None) is None
    return outcome


AWAY = RPCError("away", RPCStatusCode.UNAVAILABLE, b"")


async def test_a_call_that_an_outage_breaks_off_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = await delivered(monkeypatch, AWAY, AWAY, CallOutcome.DELIVERED)
    assert outcome == send.Delivered("e-1", CallOutcome.DELIVERED)


async def test_an_outage_that_lasts_is_told_with_how_to_send_the_same_event_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UnreachableError, match=r"Temporal does not answer .*sent again with --event-id e-1"):
        await delivered(monkeypatch, AWAY, AWAY, AWAY)


async def test_a_call_that_temporal_refuses_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = RPCError("too long", RPCStatusCode.INVALID_ARGUMENT, b"")
    with pytest.raises(OrdersError, match=r"Temporal refused the call \(INVALID_ARGUMENT\): too long"):
        await delivered(monkeypatch, refusal)
