"""e2e_complete: the order as it is, beside the same workflow and child started directly.

The latter's activities do nothing, and there is no Kafka, no bridge and no Postgres: what is left is what Temporal and
its SDK take for the workflows themselves.
"""

import asyncio
import contextlib
import itertools
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psutil
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.order_bare_worker import COMPLETED
from benchmarks.order_driver import ORDER_SECONDS, Driven
from benchmarks.order_figures import OPEN, ORDERS, TURNS, WARM_UP, Measured, measured
from benchmarks.order_rig import HERE, OrderRig, order_servers
from benchmarks.ratios import in_turns
from benchmarks.report import Figure
from bridge import SINGLE_ATTEMPT, Caller
from orders.mapping import OrderMapping
from orders.operations.bench.driving import BODY
from orders.settings import Settings
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from workflows.names import ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE


class BareDriver:
    """Starts workflows, and hears from their worker when they are completed."""

    def __init__(self, caller: Caller, mapping: OrderMapping) -> None:
        self._caller = caller
        self._mapping = mapping
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self._numbers = itertools.count()
        self._tag = uuid.uuid4().hex[:8]

    async def drive(self, orders: int, *, open_max: int) -> Driven:
        """Has so many orders done, of which so many are open at any time."""
        places = asyncio.Semaphore(open_max)

        async def one() -> float:
            async with places:
                return await self._complete_one()

        started_at = time.perf_counter()
        waits = await asyncio.gather(*(one() for _ in range(orders)))
        return Driven(time.perf_counter() - started_at, tuple(waits))

    async def _complete_one(self) -> float:
        number = f"{self._tag}-{next(self._numbers)}"
        order_id = f"o-{number}"
        body = {"order_id": order_id, "payment_id": f"p-{number}", **BODY}
        event = InboundEvent(event_id=f"created-{order_id}", type=EventType.ORDER_CREATED.value, body=body)
        completed: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[order_id] = completed
        async with asyncio.timeout(ORDER_SECONDS):
            await self._caller.make(self._mapping.call_for(order_id, EventType.ORDER_CREATED, event))
            started_at = time.perf_counter()
            return await completed - started_at

    async def read(self, process: psutil.Popen) -> None:
        """Reads the worker's lines until it ends."""
        while line := await asyncio.to_thread(process.stdout.readline):
            said, _, order_id = line.decode().strip().partition(" ")
            waiting = self._waiting.pop(order_id, None)
            if said == COMPLETED and waiting is not None:
                waiting.set_result(time.perf_counter())


async def run(*, quick: bool) -> list[Figure]:
    """Whole orders a second with 40 open, of both, in turns."""
    orders = ORDERS // 4 if quick else ORDERS
    async with measured(HERE) as ours, bare() as theirs:

        def rate_of(one: Measured) -> Callable[[], Awaitable[float]]:
            async def turn() -> float:
                return (await one.turn(orders, open_max=OPEN)).rate

            return turn

        ratio = await in_turns(rate_of(ours), rate_of(theirs), turns=1 if quick else TURNS)
    details = {
        "orders_per_second": round(ratio.measured, 2),
        "baseline_orders_per_second": round(ratio.baseline, 2),
        "noise": round(ratio.noise, 3),
        "cpu_ms_per_order": ours.cpu_by_process,
        "baseline_cpu_ms_per_order": theirs.cpu_by_process,
    }
    unit, trust = "of the rate of the workflows alone", ratio.is_trustworthy
    return [Figure("e2e_complete", ratio.value, unit, at_least=0.80, trustworthy=trust, details=details)]


@asynccontextmanager
async def bare() -> AsyncIterator[Measured]:
    """Temporal and a worker for each task queue, whose activities do nothing."""
    async with order_servers(HERE) as rig:
        rig.unused = frozenset({"kafka", "postgres"})
        worker = _start(rig, "order worker", ORDER_TASK_QUEUE, stdout=subprocess.PIPE)
        _start(rig, "shipping worker", SHIPPING_TASK_QUEUE, stdout=subprocess.DEVNULL)
        client = await Client.connect(
            rig.settings["TEMPORAL_HOST"], data_converter=pydantic_data_converter, retry_config=SINGLE_ATTEMPT
        )
        driver = BareDriver(Caller(client), Settings(_env_file=None).order_mapping())
        reading = asyncio.create_task(driver.read(worker), name="completed")
        try:
            await driver.drive(WARM_UP, open_max=OPEN)
            yield Measured(rig, driver)
        finally:
            rig.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await reading


def _start(rig: OrderRig, name: str, task_queue: str, **output: Any) -> psutil.Popen:
    command = [sys.executable, "-m", "benchmarks.order_bare_worker", task_queue]
    rig.processes[name] = rig.launch(name, command, {**rig.settings, "PYTHONPATH": str(HERE)}, **output)
    return rig.processes[name]
