"""A consumer of ``order.events`` that keeps a table of its own: where each order is now.

It needs aiokafka and nothing else of this project; copy it and change what it keeps. What makes it right:

- **Each event takes effect once.** An event may be delivered again, byte for byte the same. The table holds the last
  sequence of each order, in the same row and the same transaction as what the events say; what is not above it is a
  repeat.
- **It survives its own crash.** The table's transaction is committed first, and Kafka's offset after it. A crash
  between the two means that the events come again, and then they are repeats.
- **It notices a loss.** Sequences are 1, 2, 3 … for each order. A step of more than one means that events are missing:
  the topic was emptied, or its retention is over. It then stops and keeps nothing of that batch; with
  ``--on-gap note`` it writes the gap down and goes on.

::

    python -m examples.order_view --table orders.sqlite --once

More than one of it may run in one group, on one machine, with one table. On several machines use one database for all,
with the same statements: which of them reads an order's events changes with the group.
"""

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

POLL_SECONDS = 1.0
"""Longest wait for new events: a stop takes no longer."""

TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    order_id TEXT PRIMARY KEY, last_sequence INTEGER NOT NULL,
    state TEXT, tracking_id TEXT, address TEXT, updated_at TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS gaps (
    order_id TEXT NOT NULL, after_sequence INTEGER NOT NULL, before_sequence INTEGER NOT NULL,
    PRIMARY KEY (order_id, after_sequence)
) STRICT;
"""

# COALESCE: only some types of event carry a tracking id or an address, and a type of tomorrow may carry no state.
KEEP = """
INSERT INTO orders VALUES (:order_id, :sequence, :state, :tracking_id, :address, :occurred_at)
ON CONFLICT (order_id) DO UPDATE SET
    last_sequence = excluded.last_sequence,
    state = COALESCE(excluded.state, state),
    tracking_id = COALESCE(excluded.tracking_id, tracking_id),
    address = COALESCE(excluded.address, address),
    updated_at = excluded.updated_at
"""


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """What this consumer needs of an event. Fields and types that it does not know, it ignores."""

    order_id: str
    sequence: int
    body: dict[str, Any]

    @classmethod
    def parsed(cls, value: bytes | None) -> "OrderEvent":
        """The event of a record's value."""
        body = json.loads(value or b"")
        return cls(str(body["order_id"]), int(body["sequence"]), body)


class GapError(Exception):
    """Events of an order are missing."""


@dataclass(slots=True)
class Counts:
    """What became of the events so far."""

    applied: int = 0
    repeats: int = 0
    gaps: int = 0


@dataclass(slots=True)
class OrderTable:
    """The table, in a file of SQLite's.

    Args:
        path: Of the file; made where missing.
        notes_gaps: Whether a gap is written down and passed over, instead of raised.
    """

    path: str
    notes_gaps: bool = False
    counts: Counts = field(default_factory=Counts)
    _database: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        # Transactions are begun and ended below, and nowhere else.
        self._database = sqlite3.connect(self.path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(TABLES)

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def apply(self, events: Sequence[OrderEvent]) -> Counts:
        """Applies events in the order in which they came: all of them or, where anything is raised, none.

        Returns:
            What became of these.

        Raises:
            GapError: Events are missing, and gaps are not to be noted.
        """
        these = Counts()
        with self._transaction():
            for event in events:
                self._apply(event, these)
        self.counts.applied += these.applied
        self.counts.repeats += these.repeats
        self.counts.gaps += these.gaps
        return these

    def _apply(self, event: OrderEvent, these: Counts) -> None:
        row = self._database.execute(
            "SELECT last_sequence FROM orders WHERE order_id = ?", (event.order_id,)
        ).fetchone()
        last = row[0] if row is not None else 0
        if event.sequence <= last:
            these.repeats += 1
            return
        if event.sequence > last + 1:
            if not self.notes_gaps:
                raise GapError(
                    f"order {event.order_id}: event {event.sequence} came after {last}, so {last + 1} to "
                    f"{event.sequence - 1} are missing; read them elsewhere, or go on with --on-gap note"
                )
            these.gaps += 1
            self._database.execute("INSERT INTO gaps VALUES (?, ?, ?)", (event.order_id, last, event.sequence))
        these.applied += 1
        address = event.body.get("address")
        self._database.execute(
            KEEP,
            {
                "order_id": event.order_id,
                "sequence": event.sequence,
                "state": event.body.get("state"),
                "tracking_id": event.body.get("tracking_id"),
                "address": None if address is None else json.dumps(address, sort_keys=True),
                "occurred_at": event.body.get("occurred_at"),
            },
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # At once the only writer: another member that has lost a partition may still be at work on the same order.
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


async def consume(
    consumer: AIOKafkaConsumer, table: OrderTable, stop: asyncio.Event, *, once: bool, batch_max: int
) -> None:
    """Reads, applies, and only then commits; until told to stop.

    Args:
        consumer: Started and subscribed, and without automatic commits.
        table: What the events are applied to. Its short transactions run on the event loop: nothing else is to be done.
        stop: Ends it after the batch at hand.
        once: Whether to end when everything is read.
        batch_max: Most events in one transaction.
    """
    while not stop.is_set():
        batch = await consumer.getmany(timeout_ms=int(POLL_SECONDS * 1000), max_records=batch_max)
        if batch:
            these = table.apply([OrderEvent.parsed(record.value) for records in batch.values() for record in records])
            say(f"{these.applied} applied, {these.repeats} repeats, {these.gaps} gaps")
            await _commit(consumer, {partition: records[-1].offset + 1 for partition, records in batch.items()})
        elif once and await _has_read_everything(consumer):
            return


async def _commit(consumer: AIOKafkaConsumer, next_offsets: dict[TopicPartition, int]) -> None:
    """Tells Kafka what is kept. Where the partitions are another member's by now, their events are its repeats."""
    try:
        await consumer.commit(next_offsets)
    except (CommitFailedError, IllegalStateError):
        say("not committed: the group has given the partitions to somebody else")


async def _has_read_everything(consumer: AIOKafkaConsumer) -> bool:
    partitions = consumer.assignment()
    ends = await consumer.end_offsets(partitions)
    positions = {partition: await consumer.position(partition) for partition in partitions}
    return bool(partitions) and all(positions[partition] >= ends[partition] for partition in partitions)


async def run(options: argparse.Namespace) -> int:
    """Runs the consumer; returns the exit status."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    consumer = AIOKafkaConsumer(
        options.topic,
        bootstrap_servers=options.bootstrap_servers,
        group_id=options.group,
        # A new group begins with the first event: an order's sequence begins with 1.
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    with closing(OrderTable(options.table, notes_gaps=options.on_gap == "note")) as table:
        await consumer.start()
        try:
            await consume(consumer, table, stop, once=options.once, batch_max=options.batch_max)
        except GapError as error:
            say(f"stopped: {error}")
            return 1
        finally:
            await consumer.stop()
            say(f"in all {table.counts.applied} applied, {table.counts.repeats} repeats, {table.counts.gaps} gaps")
    return 0


def say(text: str) -> None:
    """Prints a line at once. No event's content: it may be personal data."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Keeps a table of where each order is, from order.events.")
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or "127.0.0.1:9092"
    parser.add_argument(
        "--bootstrap-servers", default=servers, help="default: KAFKA_BOOTSTRAP_SERVERS, now %(default)s"
    )
    parser.add_argument("--topic", default="order.events", help="default: %(default)s")
    parser.add_argument("--group", default="order-view", help="the consumer group; default: %(default)s")
    parser.add_argument("--table", default="orders.sqlite", help="the file of the table; default: %(default)s")
    parser.add_argument("--once", action="store_true", help="end when everything is read")
    parser.add_argument("--on-gap", choices=("stop", "note"), default="stop", help="default: %(default)s")
    parser.add_argument("--batch-max", type=int, default=500, help="most events in one transaction; %(default)s")
    return asyncio.run(run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
