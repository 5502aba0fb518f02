"""Orders that are approved in the last moment, or by nobody, while servers and processes are killed and stopped."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from temporalio.api.enums.v1 import EventType as EventKind

from schemas.event_types import EventType
from schemas.states import OrderState
from stack import RunningStack, ServiceName
from tests.helpers.checker.checker import check
from tests.helpers.checker.evidence import Evidence
from tests.helpers.checker.facts import Violation
from tests.helpers.servers.kafka_topics import configure_topic
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import TASK_QUEUES, OrderSystem
from tests.helpers.system.waiting import assert_eventually
from workflows.names import order_workflow_id

APPROVAL_SECONDS = 20.0
SETTINGS = {
    "ORDER_APPROVAL_TIMEOUT_SECONDS": f"{APPROVAL_SECONDS:g}",
    "BRIDGE_INSTANCE_ID": "the-bridge",
    "ORDER_RETRY_MAXIMUM_INTERVAL_SECONDS": "3",
}
NOT_OF_THE_CHECKER = frozenset({"I10", "I12", "I13"})
"""What processes promise for an outage is held elsewhere, where only one thing is away at a time."""
_LAST_MOMENT_SECONDS = 1.0
_KEPT_EVERY_SECONDS = 0.05
_SEND_TIMEOUT_MS = 5_000
_PAUSES_SECONDS = (2.0, 6.0)
"""Between two faults."""
_TOLD_BEFORE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """An order, and what becomes of it."""

    order_id: str
    at: float
    """Seconds after the beginning at which it is created."""
    approved_after: float | None
    """Seconds after its creation; None where nobody approves it."""


def plan_orders(count: int, seconds: float, chance: random.Random) -> list[PlannedOrder]:
    """Orders over a span of time: a third in the last second before their deadlines, a third earlier, a third never."""
    found = []
    for number in range(count):
        after = {
            0: APPROVAL_SECONDS - chance.uniform(0.05, _LAST_MOMENT_SECONDS),
            1: chance.uniform(0, APPROVAL_SECONDS),
            2: None,
        }[number % 3]
        found.append(PlannedOrder(f"o-{number:04}", chance.uniform(0, seconds), after))
    return sorted(found, key=lambda order: order.at)


@dataclass
class LastMoments:
    """A bridge and two workers that are kept running, and the orders that they are given.

    Args:
        system: Nothing of it runs yet, and its settings hold `SETTINGS`.
        servers: They can be killed.
        seconds: The shortest and the longest time that something is away.
        chance: Makes the plan and the faults.
    """

    system: OrderSystem
    servers: RunningStack
    seconds: tuple[float, float]
    chance: random.Random
    say: Callable[[str], None]
    kept: dict[str, Callable[[], OrdersProcess]] = field(default_factory=dict)
    running: dict[str, OrdersProcess] = field(default_factory=dict)
    producer: Any = None
    away: set[str] = field(default_factory=set)
    """Processes that are not to be started again yet."""

    async def run(self, orders: int, faults: int) -> "Outcome":
        """Sends the orders while the faults happen, and waits until every order is at its end."""
        for event_type in EventType:
            # So that a record's time is the broker's: when it was in Kafka, whatever the sender's clock says.
            topic = self.system.topic_of(event_type)
            servers = self.system.endpoints.kafka_bootstrap_servers
            await configure_topic(servers, topic, {"message.timestamp.type": "LogAppendTime"})
        self.kept = {
            "bridge": partial(self.system.start_bridge, expect_end=True),
            **{
                queue: partial(self.system.start, f"worker-{queue}", "worker", "--queue", queue, expect_end=True)
                for queue in TASK_QUEUES
            },
        }
        keeping = asyncio.create_task(self._keep())
        self.producer = AIOKafkaProducer(
            bootstrap_servers=self.system.endpoints.kafka_bootstrap_servers,
            acks="all",
            request_timeout_ms=_SEND_TIMEOUT_MS,
        )
        await self.producer.start()
        try:
            await self.system.wait_until_bridges_own_partitions()
            mean = sum(self.seconds) / 2 + sum(_PAUSES_SECONDS) / 2
            planned = plan_orders(orders, faults * mean, self.chance)
            sending = asyncio.gather(*(self._live(order) for order in planned))
            for number in range(faults):
                await self._fault(number)
            back_at = time.time()
            self.say("everything is back")
            await sending
            await self.system.wait_until_idle(300)
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await self.producer.stop()
        outcome = Outcome(planned, await self.system.evidence(), back_at)
        for line in await self._story_of(outcome.last_expiry()):
            self.say(line)
        return outcome

    async def _story_of(self, expiry: "Expiry | None") -> list[str]:
        """What happened to the order that expired last, from shortly before that was due: where the time has gone."""
        if expiry is None:
            return []
        handle = self.system.client.get_workflow_handle(order_workflow_id(expiry.order_id))
        story = [f"{expiry.order_id} expired {expiry.seconds:.1f} s after that was due and all was back:"]
        for event in (await handle.fetch_history()).events:
            after = event.event_time.ToDatetime(UTC).timestamp() - expiry.due_at
            if after > -_TOLD_BEFORE_SECONDS:
                began = event.activity_task_started_event_attributes
                attempts = f", attempt {began.attempt}: {began.last_failure.message}" if began.attempt else ""
                story.append(f"  {after:+7.1f} s  {EventKind.Name(event.event_type)}{attempts}")
        return story

    async def _keep(self) -> None:
        """Starts again at once what has ended, as `orders up` does."""
        while True:
            for name, start in self.kept.items():
                process = self.running.get(name)
                if name not in self.away and (process is None or process.exit_status is not None):
                    self.running[name] = start()
            await asyncio.sleep(_KEPT_EVERY_SECONDS)

    async def _live(self, order: PlannedOrder) -> None:
        await asyncio.sleep(order.at)
        body = {"order_id": order.order_id, "payment_id": f"p-{order.order_id}"}
        await self._send(EventType.ORDER_CREATED, body)
        if order.approved_after is not None:
            await asyncio.sleep(order.approved_after)
            await self._send(EventType.ORDER_APPROVED, {"order_id": order.order_id, "event_id": f"a-{order.order_id}"})

    async def _send(self, event_type: EventType, body: dict[str, str]) -> None:
        """Until Kafka has it; twice does no harm."""
        topic, key = self.system.topic_of(event_type), body["order_id"].encode()
        while True:
            with suppress(KafkaError):
                await self.producer.send_and_wait(topic, json.dumps(body).encode(), key)
                return
            await asyncio.sleep(0.2)

    async def _fault(self, number: int) -> None:
        if number == 0:
            # In any case the bridge is away for longer than an order waits, and with it every approval meanwhile.
            self.say(f"fault {number + 1}: bridge killed, {APPROVAL_SECONDS + 5:.0f} s")
            await self._process_killed("bridge", APPROVAL_SECONDS + 5)
            return
        name, fault = self.chance.choice(self._faults())
        seconds = self.chance.uniform(*self.seconds)
        self.say(f"fault {number + 1}: {name}, {seconds:.0f} s")
        await fault(seconds)
        await asyncio.sleep(self.chance.uniform(*_PAUSES_SECONDS))

    def _faults(self) -> list[tuple[str, Callable[[float], Awaitable[None]]]]:
        services: tuple[ServiceName, ...] = ("kafka", "temporal", "postgres")
        return [
            ("bridge killed and started again", self._kill_again),
            *((f"{name} killed", partial(self._process_killed, name)) for name in ("bridge", "order-tq")),
            *((f"{name} stopped", partial(self._process_stopped, name)) for name in ("bridge", "order-tq")),
            *((f"{name} killed", partial(self._service_killed, name)) for name in services),
            *((f"{name} stopped", partial(self._service_stopped, name)) for name in services),
        ]

    async def _kill_again(self, seconds: float) -> None:
        """Again and again, each time as soon as it runs."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await (await self._alive("bridge")).kill9()
            await asyncio.sleep(self.chance.uniform(2, 6))

    async def _alive(self, name: str) -> OrdersProcess:
        """The process, once it has been started again after the fault before."""

        def is_alive() -> bool:
            return self.running[name].exit_status is None

        await assert_eventually(is_alive, message=f"{name} is started again")
        return self.running[name]

    async def _process_killed(self, name: str, seconds: float) -> None:
        process = await self._alive(name)
        self.away.add(name)
        await process.kill9()
        await asyncio.sleep(seconds)
        self.away.discard(name)

    async def _process_stopped(self, name: str, seconds: float) -> None:
        process = await self._alive(name)
        process.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.send(signal.SIGCONT)

    async def _service_killed(self, name: ServiceName, seconds: float) -> None:
        await asyncio.to_thread(self.servers.kill, name)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.servers.restart, name)

    async def _service_stopped(self, name: ServiceName, seconds: float) -> None:
        self.servers.pause(name)
        await asyncio.sleep(seconds)
        self.servers.resume(name)


@dataclass(frozen=True, slots=True)
class Expiry:
    """When an order could have expired, in seconds since 1970, and how much later it did."""

    order_id: str
    due_at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the orders."""

    planned: list[PlannedOrder]
    evidence: Evidence
    back_at: float
    """When the last server was back, in seconds since 1970."""

    def differences(self) -> list[str]:
        """Orders that did not end as they had to, and every other invariant that is broken."""
        rows = {row.order_id: row.state for row in self.evidence.orders}
        found = [str(violation) for violation in self.violations()]
        for order in self.planned:
            state = rows.get(order.order_id)
            allowed = (
                {OrderState.EXPIRED} if order.approved_after is None else {OrderState.COMPLETED, OrderState.EXPIRED}
            )
            if state not in allowed:
                found.append(f"{order.order_id} is {state}, and approved after {order.approved_after}")
        return found

    def violations(self) -> list[Violation]:
        """What the checker finds, I17 among it."""
        return [one for one in check(self.evidence) if one.invariant not in NOT_OF_THE_CHECKER]

    def last_expiry(self) -> "Expiry | None":
        """The expiry that came the longest time after its deadline, or after the moment at which all was back."""
        found = []
        for order in self.planned:
            at = {body["state"]: _seconds(body["occurred_at"]) for body in self.evidence.published_of(order.order_id)}
            if OrderState.EXPIRED in at:
                due_at = max(at[OrderState.VALIDATED] + APPROVAL_SECONDS, self.back_at)
                found.append(Expiry(order.order_id, due_at, at[OrderState.EXPIRED] - due_at))
        return max(found, key=lambda expiry: expiry.seconds, default=None)

    def expired_after_seconds(self) -> float:
        """How much later than it could have been the last expiry was."""
        last = self.last_expiry()
        return max(0.0, last.seconds) if last else 0.0

    def counts(self) -> dict[str, int]:
        """How many orders came to each end."""
        states = [str(row.state) for row in self.evidence.orders]
        return {state: states.count(state) for state in sorted(set(states))}


def _seconds(time_text: str) -> float:
    return datetime.fromisoformat(time_text).timestamp()
