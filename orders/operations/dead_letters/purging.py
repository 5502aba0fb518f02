"""Deleting dead letters, as far as Kafka can.

Kafka deletes records only from the beginning of a partition on. So a selected dead letter can go only where every one
before it in its partition is selected too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, PolicyViolationError, TopicAuthorizationFailedError

from bridge.dead_letters.letter import Letter
from orders.clients.kafka import kafka_unreachable
from orders.clients.opened import Clients
from orders.errors import OrdersError, UnreachableError
from orders.operations.dead_letters.finding import dead_letter_scan
from orders.operations.dead_letters.selection import Selection


@dataclass(slots=True)
class PartitionPurge:
    """What would be deleted of one partition of the dead-letter topic."""

    start: int
    """Offset of its first record now."""
    before: int
    """Everything below this offset goes."""
    deleted: int = 0
    kept_behind_others: int = 0
    """Selected, but behind others that are not."""
    blocked: bool = False

    def add(self, letter: Letter, *, selected: bool) -> None:
        """Takes the partition's next record in."""
        if not selected:
            self.blocked = True
        elif self.blocked:
            self.kept_behind_others += 1
        else:
            self.deleted += 1
            self.before = letter.record.offset + 1


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """What a purge would do."""

    partitions: Mapping[TopicPartition, PartitionPurge]

    @property
    def deleted(self) -> int:
        """How many dead letters go."""
        return sum(part.deleted for part in self.partitions.values())

    @property
    def kept(self) -> int:
        """How many dead letters are selected and cannot go."""
        return sum(part.kept_behind_others for part in self.partitions.values())


async def plan_purge(clients: Clients, selection: Selection) -> PurgePlan:
    """Looks through all dead letters from the beginning, as whatever is older than the selection stands before it.

    Raises:
        UnreachableError: Kafka does not answer.
        NotFoundError: there is no such topic.
        OrdersError: what Kafka holds is damaged.
    """
    async with dead_letter_scan(clients) as scan:
        ranges = await scan.ranges()
        parts = {key: PartitionPurge(part.start, part.start) for key, part in ranges.items()}
        async for batch in scan.read(ranges):
            for record in batch:
                letter = Letter.from_record(record)
                parts[TopicPartition(record.topic, record.partition)].add(letter, selected=selection.takes(letter))
    return PurgePlan(parts)


async def purge(clients: Clients, plan: PurgePlan) -> None:
    """Deletes what the plan says; what was set aside after the plan was made stays.

    Raises:
        UnreachableError: Kafka does not answer.
        OrdersError: Kafka refuses.
    """
    records = {key: RecordsToDelete(part.before) for key, part in plan.partitions.items() if part.deleted}
    if not records:
        return
    try:
        admin = await clients.kafka_admin()
        await admin.delete_records(records)
    except OffsetOutOfRangeError as error:
        raise OrdersError("the dead letters changed meanwhile, by another purge or by their age: try again") from error
    except (TopicAuthorizationFailedError, PolicyViolationError) as error:
        raise OrdersError(
            f"Kafka refuses to delete records of {clients.settings.kafka_topic_dead_letters} ({type(error).__name__}): "
            "the Kafka user needs the right to delete, and the topic must not be compacted only"
        ) from error
    except KafkaError as error:
        raise UnreachableError(f"{kafka_unreachable(clients.settings)} ({type(error).__name__})") from error
