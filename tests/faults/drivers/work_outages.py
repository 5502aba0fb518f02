"""Faults of what workers depend on, and of the workers themselves, each with what must be true when it is over."""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from activities.failpoints import ORDER_WORKER_FAILPOINTS, SHIPPING_WORKER_FAILPOINTS, Failpoint
from schemas.event_types import EventType
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.servers.gateway_server import RunningGateway
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.campaign import Fault
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import PLANTED_SECRET, TASK_QUEUES, OrderSystem

CANARY = f"1 Canary{secrets.token_hex(4)} Street"
"""Where these orders go: personal data that no log and no error may tell (I16)."""
SIGKILLED = -9
WORKER_FAILPOINTS = ORDER_WORKER_FAILPOINTS + SHIPPING_WORKER_FAILPOINTS
STRUCK_WITHIN_SECONDS = 300.0
FED_AFTER_SECONDS = 4.0
"""For the first time; then twice as long each time, as there is the more to do the slower the machine is."""
NOTICED_WITHIN_SECONDS = 90.0
CONTINUES_WITHIN_SECONDS = 30.0
"""I12."""
ENDS_WITHIN_SECONDS = 150.0
"""For a whole order behind all the others."""
SLOW_BROKER_SECONDS = 0.1
BAD_WEATHER = ("status:503", "status:500", "status:429:1", "drop_before", "drop_after", "delay:2", "late:0.5")
"""What a provider may do to any request; its answers are awaited for a second."""
BAD_SHARE = 0.4
REQUESTS_EACH = 3
"""An order's own: its charge, its package and its dispatch."""
UNEVEN = {
    "order-tq": "after_charge:pause=5@2,after_record:pause=5@3,after_payment_recorded:raise@3,after_publish:raise@4",
    "shipping-tq": "after_dispatch:pause=5@1,after_preparation:raise@2",
}
"""Failpoints of workers that live on: attempts that outlive their time-out, beside which the next one runs, and that
fail after their effect."""


class WorkOutages:
    """Does things to workers, to their way out to Kafka, and to the providers.

    Args:
        system: Its workers are started by this class.
        gateway: The system's providers.
        kafka: Between the workers and Kafka.
    """

    def __init__(self, system: OrderSystem, gateway: RunningGateway, kafka: Proxy) -> None:
        self.system = system
        self.gateway = gateway
        self.kafka = kafka
        self.injected: Counter[str] = Counter()
        system.confidential = (*system.confidential, CANARY)

    def faults(self) -> dict[str, Fault]:
        """All of them, by name."""
        return {
            **{f"worker killed {point}": partial(self.workers_struck, [point]) for point in WORKER_FAILPOINTS},
            "publishing to a slow broker": self.publishing_slow,
            "publishing without acknowledgements": self.acknowledgements_lost,
            "providers in bad weather": self.bad_weather,
            "providers killed": self.providers_killed,
            "providers frozen": self.providers_frozen,
            "a wrong key at the providers": self.wrong_key,
            "no workers": self.no_workers,
        }

    def start_worker(self, task_queue: str, *, expect_end: bool = False, **settings: str) -> OrdersProcess:
        """Starts a worker of one task queue, behind the proxy."""
        arguments = ("worker", "--queue", task_queue)
        behind = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka.address, **settings}
        return self.system.start(f"worker-{task_queue}", *arguments, expect_end=expect_end, **behind)

    async def send_orders(self, count: int = 1, *, ships: bool = True) -> list[str]:
        """Orders that nobody has planned, approved at once; those that do not ship are refunded."""
        ids = [f"o-{secrets.token_hex(6)}" for _ in range(count)]
        body = {"amount": 1250, "shipping_address": {"street": CANARY, "zip_code": "12345" if ships else "FAIL0"}}
        await self._send(EventType.ORDER_CREATED, ({"order_id": one, "payment_id": f"p-{one}", **body} for one in ids))
        await self._send(EventType.ORDER_APPROVED, ({"order_id": one} for one in ids))
        return ids

    async def _send(self, event_type: EventType, bodies: Iterable[dict[str, object]]) -> None:
        topic = self.system.topic_of(event_type)
        messages = [message_of(event_type, body) for body in bodies]
        await self.system.produce(Outgoing(topic, message.value, message.key) for message in messages)

    # Workers --------------------------------------------------------------------------------------------------------

    async def workers_struck(self, points: Sequence[Failpoint] = WORKER_FAILPOINTS) -> None:
        """Workers that share the work are killed, each at a point of its own; then others take over, uneven ones.

        The last one of a task queue that is left does all the work, so that each reaches its point.
        """
        queues = dict.fromkeys(map(queue_of, points))
        await asyncio.gather(
            *(self._workers_struck(queue, [point for point in points if queue_of(point) == queue]) for queue in queues)
        )

    async def _workers_struck(self, task_queue: str, points: Sequence[Failpoint]) -> None:
        await self._kill_worker(task_queue)
        struck = [self.start_worker(task_queue, expect_end=True, FAILPOINTS=f"{point}:kill@1") for point in points]
        await self._feed_until_ended(struck)
        for point, worker in zip(points, struck, strict=True):
            assert worker.exit_status == SIGKILLED, f"{point}\n{worker.log_tail}"
            self.injected[f"worker killed {point}"] += 1
        self.start_worker(task_queue, FAILPOINTS=UNEVEN[task_queue])
        self.injected[f"uneven worker of {task_queue}"] += 1

    async def _feed_until_ended(self, workers: Sequence[OrdersProcess]) -> None:
        """Sends orders of both kinds now and then: what the others have done by now, the last ones need to be asked."""
        feed_at, pause = time.monotonic(), FED_AFTER_SECONDS

        async def ended() -> bool:
            nonlocal feed_at, pause
            if time.monotonic() >= feed_at:
                feed_at, pause = feed_at + pause, pause * 2
                await self.send_orders()
                await self.send_orders(ships=False)
            return all(worker.exit_status is not None for worker in workers)

        alive = lambda: f"the end of {[one.name for one in workers if one.exit_status is None]}"  # noqa: E731 -- short
        await self.system.wait_until(ended, STRUCK_WITHIN_SECONDS, alive)

    async def _kill_worker(self, task_queue: str) -> None:
        """Kills the queue's worker where there is one."""
        for process in self.system.processes:
            if f"worker-{task_queue}" in process.name and process.exit_status is None:
                await process.kill9()

    # Kafka ----------------------------------------------------------------------------------------------------------

    async def publishing_slow(self) -> None:
        """Each answer of the broker takes a while; events are published all the same."""
        self.kafka.delay_seconds = SLOW_BROKER_SECONDS
        try:
            await self.work_goes_on()
        finally:
            self.kafka.delay_seconds = 0.0
        self.injected["publishing to a slow broker"] += 1

    async def acknowledgements_lost(self) -> None:
        """Kafka takes events, and its answers do not arrive."""
        before = self.failures("KafkaUnavailable")
        self.kafka.mute()
        await self.send_orders()
        await self.until(lambda: self.failures("KafkaUnavailable") > before, "a worker misses Kafka's answers")
        await self.kafka.drop()
        self.kafka.flow()
        await self.work_goes_on()
        self.injected["publishing without acknowledgements"] += 1

    # Providers ------------------------------------------------------------------------------------------------------

    async def bad_weather(self, orders: int = 12) -> None:
        """While so many orders are charged and shipped, a share of all requests fails, before or after its effect."""
        before = len(await self.gateway.requests())
        await self.gateway.weather(BAD_SHARE, *BAD_WEATHER, seed=secrets.randbelow(2**24))
        await self.send_orders(orders)

        async def so_many() -> bool:
            return len(await self.gateway.requests()) >= before + orders * REQUESTS_EACH

        await self.until(so_many, f"{orders * REQUESTS_EACH} requests in bad weather")
        await self.gateway.weather(0.0)
        await self.work_goes_on()
        self.injected["providers in bad weather"] += 1

    async def providers_killed(self) -> None:
        """The providers crash; connections are refused until they are back, with the books that they had."""
        before = self.failures("GatewayUnavailable")
        self.gateway.kill()
        await self.send_orders()
        await self.until(lambda: self.failures("GatewayUnavailable") > before, "a worker misses the providers")
        await self.gateway.start()
        await self.work_goes_on()
        self.injected["providers killed"] += 1

    async def providers_frozen(self) -> None:
        """The providers hang, and work off what they were asked once nobody waits for it."""
        before = self.failures("GatewayUnavailable")
        self.gateway.freeze()
        try:
            await self.send_orders()
            await self.until(lambda: self.failures("GatewayUnavailable") > before, "a worker waits in vain")
        finally:
            self.gateway.thaw()
        await self.work_goes_on()
        self.injected["providers frozen"] += 1

    # What of ours keeps providers from being asked (I19) -------------------------------------------------------------

    async def wrong_key(self, seconds: float = 2.0) -> list[str]:
        """For so long the workers have a key that the providers refuse; returns orders that wait for another one."""
        before = self.failures("GatewayNotAsked")
        await self._change_workers(key="wrong")
        ids = await self.send_orders(3)
        await self.until(lambda: self.failures("GatewayNotAsked") > before, "a key is refused")
        await asyncio.sleep(seconds)
        await self._change_workers()
        await self.work_goes_on()
        self.injected["a wrong key at the providers"] += 1
        return ids

    async def no_workers(self, seconds: float = 2.0) -> list[str]:
        """For so long there is no worker; returns orders that wait for one, some in the middle of their work."""
        before = len(await self.gateway.requests())
        ids = await self.send_orders(3)

        async def is_asked() -> bool:
            return len(await self.gateway.requests()) > before

        await self.until(is_asked, "a provider is asked")
        for task_queue in TASK_QUEUES:
            await self._kill_worker(task_queue)
        ids += await self.send_orders(3)
        await asyncio.sleep(seconds)
        await self._change_workers()
        await self.work_goes_on()
        self.injected["no workers"] += 1
        return ids

    @asynccontextmanager
    async def one_thing_at_a_time(self, seconds: float) -> AsyncIterator[None]:
        """While the block lasts, each task queue has one worker, with one activity at a time that takes so long."""
        await self._change_workers(WORKER_CONCURRENT_ACTIVITIES="1")
        await self.gateway.weather(1.0, f"delay:{seconds:g}")
        yield
        await self.gateway.weather(0.0)
        await self._change_workers()
        await self.work_goes_on()
        self.injected["a backlog of workers"] += 1

    async def _change_workers(self, key: str = PLANTED_SECRET, **settings: str) -> None:
        for task_queue in TASK_QUEUES:
            await self._kill_worker(task_queue)
            keys = {"PAYMENT_GATEWAY_API_KEY": key, "CARRIER_GATEWAY_API_KEY": key}
            self.start_worker(task_queue, expect_end=False, **keys, **settings)

    # How ------------------------------------------------------------------------------------------------------------

    async def work_goes_on(self) -> None:
        """Events are published again in time (I12), and a new order comes to its end, whatever else there is to do."""
        before = len(await self.system.published())
        (order_id,) = await self.send_orders()

        async def published_more() -> bool:
            return len(await self.system.published()) > before

        async def completed() -> bool:
            bodies = [json.loads(record.value or b"{}") for record in await self.system.published()]
            return any(body.get("order_id") == order_id and body.get("state") == "COMPLETED" for body in bodies)

        await self.system.wait_until(published_more, CONTINUES_WITHIN_SECONDS, lambda: "more events")
        await self.system.wait_until(completed, ENDS_WITHIN_SECONDS, lambda: f"{order_id} completed")

    def failures(self, text: str) -> int:
        """How often the workers have said of a failed attempt this: its type, or what its error says."""
        workers = [process for process in self.system.processes if "worker" in process.name]
        lines = [line for worker in workers for line in worker.log.splitlines() if '"activity.failed"' in line]
        return sum(text in line for line in lines)

    async def until(self, condition: Callable[[], bool] | Callable[[], Awaitable[bool]], what: str) -> None:
        """Waits for what a fault is to lead to."""

        async def true() -> bool:
            outcome = condition()
            return outcome if isinstance(outcome, bool) else await outcome

        await self.system.wait_until(true, NOTICED_WITHIN_SECONDS, lambda: what)


def queue_of(point: Failpoint) -> str:
    """The task queue whose workers reach a point."""
    return "shipping-tq" if point in SHIPPING_WORKER_FAILPOINTS else "order-tq"
