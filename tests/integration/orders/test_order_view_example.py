"""The consumer example as a downstream team would run it: on real Kafka, with repeats, killed, and with a gap."""

import asyncio
import json
import random
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from examples.order_view import OrderEvent, OrderTable
from schemas.order import Address
from schemas.outbound import OrderAddressChanged, OrderStateChanged, cloudevents_headers
from schemas.states import OrderState
from stack import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, group_offsets, produce, remove_members
from tests.helpers.servers.kafka_topics import topics_made
from tests.helpers.system.waiting import assert_eventually, patient_seconds

ROOT = Path(__file__).parents[3]
END_TIMEOUT_SECONDS = 60.0
ORDERS, EVENTS_EACH, ADDRESS_AT = 100, 9, 4
ADDRESS = {"city": "Ghent", "country": None, "state": None, "street": None, "zip_code": None}
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def topic(endpoints: Endpoints) -> AsyncIterator[str]:
    name = f"order.events.{secrets.token_hex(4)}"
    async with topics_made(endpoints.kafka_bootstrap_servers, {name: 3}):
        yield name


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "orders.sqlite"


class Consumers:
    """Processes of the example, in one group."""

    def __init__(self, endpoints: Endpoints, topic: str, table: Path) -> None:
        self.group = f"view-{topic}"
        where = ["--bootstrap-servers", endpoints.kafka_bootstrap_servers, "--topic", topic, "--group", self.group]
        self._command = [sys.executable, "-m", "examples.order_view", *where, "--table", str(table)]
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *options: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*self._command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.running.append(process)
        return process

    async def ended(self, process: "subprocess.Popen[str]") -> tuple[int, str]:
        output, _ = await asyncio.to_thread(process.communicate, timeout=patient_seconds(END_TIMEOUT_SECONDS))
        return process.returncode, output

    async def run(self, *options: str) -> tuple[int, str]:
        return await self.ended(self.start("--once", *options))


@pytest.fixture
def consumers(endpoints: Endpoints, topic: str, table: Path) -> Iterator[Consumers]:
    started = Consumers(endpoints, topic, table)
    yield started
    for process in started.running:
        process.kill()
        process.communicate()


STATES = [OrderState.RECEIVED, OrderState.VALIDATED, OrderState.APPROVED, OrderState.PAID, OrderState.PACKAGE_PREPARED]
STATES += [OrderState.CARRIER_DISPATCHED, OrderState.SHIPPED, OrderState.COMPLETED]


def body_of(order_id: str, sequence: int) -> OrderStateChanged | OrderAddressChanged:
    """An order's event: its address changes once, and it goes through its states."""
    if sequence == ADDRESS_AT:
        return OrderAddressChanged(
            order_id=order_id, sequence=sequence, state=STATES[2], occurred_at=NOON, address=Address(city="Ghent")
        )
    state = STATES[sequence - 1 - (sequence > ADDRESS_AT)]
    tracking_id = f"tr-{order_id}" if state is OrderState.CARRIER_DISPATCHED else None
    return OrderStateChanged(
        order_id=order_id, sequence=sequence, state=state, occurred_at=NOON, tracking_id=tracking_id
    )


def record(topic: str, order_id: str, sequence: int) -> Outgoing:
    """The event as the system publishes it."""
    body = body_of(order_id, sequence)
    headers = cloudevents_headers(body, event_type=body.type, source="/orders")
    return Outgoing(
        topic,
        value=body.model_dump_json().encode(),
        key=order_id.encode(),
        headers=tuple((name, text.encode()) for name, text in headers.items()),
    )


def deliveries(orders: int, rng: random.Random) -> list[tuple[str, int]]:
    """Events of orders in mixed order, with repeats at once, and with older ones again later."""
    ids = [f"o-{number}" for number in range(orders)]
    turns = [order_id for order_id in ids for _ in range(EVENTS_EACH)]
    rng.shuffle(turns)
    reached = dict.fromkeys(ids, 0)
    delivered = []
    for order_id in turns:
        reached[order_id] += 1
        delivered.append((order_id, reached[order_id]))
        if rng.random() < 0.3:
            # As a publisher that was interrupted: from some event on, all of them again.
            first = rng.randint(1, reached[order_id])
            delivered += [(order_id, sequence) for sequence in range(first, reached[order_id] + 1)]
    return delivered


def rows_of(table: Path) -> dict[str, tuple[Any, ...]]:
    """Each order's row: sequence, state, tracking id, address."""
    if not table.exists():
        return {}
    with closing(sqlite3.connect(table)) as database:
        rows = database.execute("SELECT order_id, last_sequence, state, tracking_id, address FROM orders").fetchall()
    return {row[0]: row[1:] for row in rows}


def finished(orders: int) -> dict[str, tuple[Any, ...]]:
    return {
        f"o-{number}": (EVENTS_EACH, "COMPLETED", f"tr-o-{number}", json.dumps(ADDRESS)) for number in range(orders)
    }


@pytest.mark.parametrize("seed", range(50))
def test_repeats_change_nothing_wherever_batches_end(seed: int, table: Path) -> None:
    rng = random.Random(seed)  # noqa: S311 -- reproducible on purpose
    events = [OrderEvent.parsed(record("", *one).value) for one in deliveries(5, rng)]
    with closing(OrderTable(str(table))) as kept:
        position = 0
        while position < len(events):
            batch = events[position : position + rng.randint(1, 10)]
            kept.apply(batch)
            # A crash before the commit to Kafka: this batch comes again.
            position += len(batch) if rng.random() < 0.7 else 0
        assert (kept.counts.applied, kept.counts.gaps) == (5 * EVENTS_EACH, 0)
    assert rows_of(table) == finished(5)


async def test_killed_in_the_middle_it_goes_on_where_its_table_is(
    endpoints: Endpoints, topic: str, table: Path, consumers: Consumers
) -> None:
    events = deliveries(ORDERS, random.Random(7))  # noqa: S311 -- reproducible on purpose
    await produce(endpoints.kafka_bootstrap_servers, [record(topic, *one) for one in events])
    await _until_applied(consumers.start("--batch-max", "5"), table, 0.3)
    consumers.running[-1].send_signal(signal.SIGKILL)
    await consumers.ended(consumers.running[-1])
    await remove_members(endpoints.kafka_bootstrap_servers, consumers.group)

    await _until_applied(consumers.start("--batch-max", "5"), table, 0.6)
    with closing(sqlite3.connect(table)) as other:
        # Its next transaction fails: it ends with a batch in its hands that it has neither kept nor committed.
        other.execute("BEGIN IMMEDIATE")
        status, output = await consumers.ended(consumers.running[-1])
        assert (status, "database is locked" in output) == (1, True), output
    assert rows_of(table) != finished(ORDERS), "it had nothing left to do: send more"

    status, output = await consumers.run()

    assert status == 0, output
    assert rows_of(table) == finished(ORDERS)
    assert " 0 gaps" in output
    offsets = await group_offsets(endpoints.kafka_bootstrap_servers, consumers.group, [topic])
    assert all(partition.drained for partition in offsets), "and the group has committed all of it"
    again = await consumers.run()
    assert (again[0], "in all 0 applied, 0 repeats" in again[1]) == (0, True), again[1]


async def test_what_its_group_has_forgotten_comes_again_and_changes_nothing(
    endpoints: Endpoints, topic: str, table: Path, consumers: Consumers
) -> None:
    events = deliveries(5, random.Random(8))  # noqa: S311 -- reproducible on purpose
    await produce(endpoints.kafka_bootstrap_servers, [record(topic, *one) for one in events])
    assert (await consumers.run())[0] == 0

    status, output = await consumers.run("--group", f"another-{topic}")

    assert (status, f"in all 0 applied, {len(events)} repeats, 0 gaps" in output) == (0, True), output
    assert rows_of(table) == finished(5)


async def test_a_missing_event_stops_it_before_it_keeps_or_commits_anything_of_that_batch(
    endpoints: Endpoints, topic: str, table: Path, consumers: Consumers
) -> None:
    await produce(endpoints.kafka_bootstrap_servers, [record(topic, "o-0", sequence) for sequence in (1, 2, 2, 5, 6)])

    for _ in range(2):
        status, output = await consumers.run()
        assert status == 1, output
        assert "order o-0: event 5 came after 2, so 3 to 4 are missing" in output
        assert rows_of(table) == {}

    status, output = await consumers.run("--on-gap", "note")
    assert (status, "4 applied, 1 repeats, 1 gaps" in output) == (0, True), output
    assert rows_of(table)["o-0"][:2] == (6, "PACKAGE_PREPARED")


async def test_told_to_stop_it_leaves_with_0_and_has_committed_what_it_keeps(
    endpoints: Endpoints, topic: str, table: Path, consumers: Consumers
) -> None:
    process = consumers.start()
    await produce(endpoints.kafka_bootstrap_servers, [record(topic, "o-0", 1)])
    await assert_eventually(lambda: "o-0" in _readable(table), END_TIMEOUT_SECONDS, "the first event in the table")

    process.send_signal(signal.SIGTERM)
    status, output = await consumers.ended(process)

    assert status == 0, output
    again = await consumers.run()
    assert "in all 0 applied, 0 repeats" in again[1], again[1]


async def _until_applied(process: "subprocess.Popen[str]", table: Path, share: float) -> None:
    """Waits until this share of all events is in the table, and the process is in the middle of the rest."""

    def applied() -> bool:
        assert process.poll() is None, process.communicate()[0]
        return sum(int(row[0]) for row in _readable(table).values()) > share * ORDERS * EVENTS_EACH

    await assert_eventually(applied, END_TIMEOUT_SECONDS, "a consumer in the middle of its work")


def _readable(table: Path) -> dict[str, tuple[Any, ...]]:
    """The rows, where the process has made its table by now."""
    try:
        return rows_of(table)
    except sqlite3.OperationalError:
        return {}
