"""The record that a pointer stands for: a dead letter without the record's value, which was too large to be copied."""

from aiokafka import TopicPartition

from bridge.dead_letters.letter import Origin
from bridge.record import Record
from orders.clients.topic_scan import TopicScan


class SourceGoneError(Exception):
    """The record that a pointer stands for cannot be had. The text says why, with the pointer as its subject."""


def gone(origin: Origin, record: Record | None) -> str | None:
    """Why a pointer's record cannot be had, with the pointer as the subject; None where it can.

    Args:
        origin: where the record was.
        record: what is there now.
    """
    if record is None:
        return (
            f"is a pointer, and {origin} cannot be read: its topic does not keep it any more, or it never could be read"
        )
    if record.fingerprint.hex() != origin.fingerprint:
        return f"is a pointer, and at {origin} is another record now: was the topic deleted and made anew?"
    return None


async def fetch_source(sources: TopicScan, origin: Origin) -> Record:
    """The record that a pointer stands for, from where it was.

    Args:
        sources: a reader of the inbound topics.
        origin: where the record was.

    Raises:
        SourceGoneError: the record is not there any more.
    """
    partition = TopicPartition(origin.topic, origin.partition)
    record = (await sources.fetch({partition: [origin.offset]}))[partition].get(origin.offset)
    why = gone(origin, record)
    if record is None or why is not None:
        raise SourceGoneError(why)
    return record
