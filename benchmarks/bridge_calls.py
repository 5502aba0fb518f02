"""bridge_start and bridge_signal: records in Kafka to calls on real Temporal, against a bare loop of calls.

No worker runs: what is measured is the way in, and a server that is busy with workflows would only add noise.
"""

import asyncio
import itertools
import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.bench_room import BenchRoom, open_bench_room, running
from benchmarks.processor import Costs, Processor
from benchmarks.ratios import in_turns
from benchmarks.report import Figure
from bridge import BridgeMetrics, BridgeTraces, Call, Caller, CallOutcome, EngineLimits, Header
from schemas.event_types import EventType
from schemas.inbound import InboundEvent

RECORDS, ORDERS_SIGNALLED, TURNS = 5_000, 500, 3
CALLS_IN_FLIGHT = 8
"""The knee of the Python client on two cores (measured: 4 to 8); the same for both sides."""

Event = tuple[EventType, str, dict[str, Any]]
"""An event's type, its order and its body."""
_MIXED: tuple[tuple[EventType, dict[str, Any]], ...] = (
    (EventType.ORDER_CREATED, {"payment_id": "p"}),
    (EventType.ORDER_ADDRESS_UPDATED, {"address": {"city": "Utrecht"}}),
    (EventType.ORDER_APPROVED, {}),
    (EventType.ORDER_CANCELLED, {}),
)


class _Counting:
    """The real caller, when its first call began, and that its last was acknowledged."""

    def __init__(self, inner: Caller, expected: int, processor: Processor) -> None:
        self._inner = inner
        self._left = expected
        self._processor = processor
        self.first_at: float | None = None
        self.last_at = 0.0
        self.spent_before: dict[str, float] = {}
        """Seconds of the processor that each process had used before the first call."""
        self.done = asyncio.Event()

    async def make(self, call: Call) -> CallOutcome:
        if self.first_at is None:
            self.spent_before = self._processor.seconds()
            self.first_at = time.perf_counter()
        outcome = await self._inner.make(call)
        self._left -= 1
        if self._left == 0:
            self.last_at = time.perf_counter()
            self.done.set()
        return outcome


class Sides:
    """What both sides of a ratio cost, and how long the bridge takes to commit what is called."""

    def __init__(self, room: BenchRoom) -> None:
        self.processor = Processor(room.endpoints)
        self.bridge, self.bare = Costs(), Costs()
        self.committed_after: list[float] = []
        """Seconds from the last call's end until its record was seen to be committed, of each turn."""

    def details(self) -> dict[str, Any]:
        """The costs, as a figure has them beside its value."""
        return {
            "processor_ms_a_call": self.bridge.ms_a_call(),
            "baseline_processor_ms_a_call": self.bare.ms_a_call(),
            "processors": os.cpu_count(),
            "committed_after_seconds": round(statistics.median(self.committed_after), 3),
        }


@dataclass(frozen=True, slots=True)
class Passage:
    """One turn of the bridge, by how many records it took, and how long after its first call."""

    records: int
    called_seconds: float
    """Until the last call was acknowledged."""
    committed_seconds: float
    """Until the last record was seen to be committed, which a bridge does at intervals."""

    @property
    def called_a_second(self) -> float:
        """Of records whose calls are acknowledged."""
        return self.records / self.called_seconds

    @property
    def committed_a_second(self) -> float:
        """Of records that are done with."""
        return self.records / self.committed_seconds


async def run_start(*, quick: bool) -> list[Figure]:
    """Each record starts a run."""
    count = RECORDS // 10 if quick else RECORDS
    async with open_bench_room(partitions=3) as room:
        figure = await _against_bare("bridge_start", room, lambda: starts(room, count), at_least=0.95)
    return [figure]


async def run_signal(*, quick: bool) -> list[Figure]:
    """Each record signals an open run."""
    count = RECORDS // 10 if quick else RECORDS
    async with open_bench_room(partitions=3) as room:
        orders = [f"{room.name}-{number}" for number in range(ORDERS_SIGNALLED)]
        await bare(room, created(orders), Sides(room))
        events = signals(orders, count)
        figure = await _against_bare("bridge_signal", room, lambda: events, at_least=0.90)
    return [figure]


def created(orders: Iterable[str]) -> list[Event]:
    """The events that start these orders."""
    return [(EventType.ORDER_CREATED, order, {"order_id": order, "payment_id": "p"}) for order in orders]


def starts(room: BenchRoom, count: int) -> list[Event]:
    """Events that start so many orders, which no other turn has."""
    prefix = uuid.uuid4().hex[:8]
    return created(f"{room.name}-{prefix}-{number}" for number in range(count))


def signals(orders: Sequence[str], count: int) -> list[Event]:
    """At least so many events of these orders; the four types in turns, so that each order gets all of them."""
    mixed, events = itertools.cycle(_MIXED), list[Event]()
    while len(events) < count:
        event_type, fields = next(mixed)
        events.extend((event_type, order, {"order_id": order, **fields}) for order in orders)
    return events


async def through_bridge(
    room: BenchRoom,
    events: Sequence[Event],
    sides: Sides,
    *,
    metrics: BridgeMetrics | None = None,
    traces: BridgeTraces | None = None,
    headers: Sequence[Header] = (),
) -> Passage:
    """Takes records from Kafka to Temporal, until all are committed.

    Args:
        room: Where Temporal is.
        events: What is sent.
        sides: Takes what it costs.
        metrics: What the bridge counts with; None where it does not.
        traces: What it traces with; None where it does not.
        headers: Of every record.
    """
    # A new group would read the records of earlier turns as well, so each turn has topics of its own.
    async with open_bench_room(partitions=3) as turn:
        records = ((turn.topic(event_type), order, body) for event_type, order, body in events)
        await turn.produce(records, headers)
        client = room.client if traces is None else traces.traced(room.client)
        counting = _Counting(Caller(client), len(events), sides.processor)
        bridge_config = turn.config(engine=EngineLimits(calls_in_flight_max=CALLS_IN_FLIGHT))
        async with (
            running(turn, bridge_config, counting, metrics=metrics, traces=traces),
            turn.committed_records(bridge_config.group_id) as committed,
        ):
            async with asyncio.timeout(600):
                await counting.done.wait()
                while await committed() < len(events):  # noqa: ASYNC110 -- Kafka tells only who asks
                    await asyncio.sleep(0.02)
            ended_at = time.perf_counter()
            sides.bridge.add(counting.spent_before, sides.processor.seconds(), len(events))
            sides.committed_after.append(ended_at - counting.last_at)
        assert counting.first_at is not None  # noqa: S101 -- it is done
        return Passage(len(events), counting.last_at - counting.first_at, ended_at - counting.first_at)


async def bare(room: BenchRoom, events: Sequence[Event], sides: Sides) -> float:
    """Calls a second, from a loop that does nothing else."""
    caller = Caller(room.client)
    waiting = list(reversed(events))

    async def work() -> None:
        while waiting:
            event_type, order, body = waiting.pop()
            event = InboundEvent(event_id=uuid.uuid4().hex, type=event_type.value, body=body)
            await caller.make(room.mapping.call_for(order, event_type, event))

    before, started_at = sides.processor.seconds(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CALLS_IN_FLIGHT)))
    seconds = time.perf_counter() - started_at
    sides.bare.add(before, sides.processor.seconds(), len(events))
    return len(events) / seconds


async def _against_bare(
    name: str, room: BenchRoom, events: Callable[[], Sequence[Event]], *, at_least: float
) -> Figure:
    sides = Sides(room)

    async def bridge() -> float:
        return (await through_bridge(room, events(), sides)).committed_a_second

    ratio = await in_turns(bridge, lambda: bare(room, events(), sides), turns=TURNS)
    details = {
        "calls_per_second": round(ratio.measured),
        "baseline_calls_per_second": round(ratio.baseline),
        "noise": round(ratio.noise, 3),
        **sides.details(),
    }
    return Figure(
        name,
        ratio.value,
        "of the bare loop's rate",
        at_least=at_least,
        trustworthy=ratio.is_trustworthy,
        details=details,
    )
