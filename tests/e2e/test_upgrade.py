"""An upgrade as docs/deploying.md has it, while orders come all the time: none of them waits for it, none is lost."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas.event_types import EventType
from schemas.states import OrderState
from stack.endpoints import Endpoints
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.builds import DEPLOYMENT, builds_of, make_current, worker_of
from tests.helpers.system.processes import run_to_end
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually
from workflows.names import order_workflow_id

pytestmark = pytest.mark.timeout(420)

OLD, NEW = "build-1", "build-2"
PAUSE_SECONDS = 0.4
"""Between two orders: each build has many open at any time."""
BRIDGE = "bridge-0"


class Upstream:
    """Places orders and approves them, one after the other, without an end."""

    def __init__(self, system: OrderSystem) -> None:
        self._system = system
        self.sent: list[str] = []
        self.is_enough = False

    async def send(self) -> None:
        for number in itertools.count():
            if self.is_enough:
                return
            order_id = f"o-{self._system.tag}-{number}"
            created = {"order_id": order_id, "payment_id": f"p-{order_id}", "amount": 1_000}
            for event_type, body in (
                (EventType.ORDER_CREATED, created),
                (EventType.ORDER_APPROVED, {"order_id": order_id}),
            ):
                record = Outgoing(self._system.topic_of(event_type), json.dumps(body).encode(), order_id.encode())
                await self._system.produce([record])
            self.sent.append(order_id)
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def orders_that_come_all_the_time(system: OrderSystem) -> AsyncIterator[Upstream]:
    upstream = Upstream(system)
    sending = asyncio.create_task(upstream.send(), name="upstream")
    try:
        yield upstream
    finally:
        upstream.is_enough = True  # Its last order is sent whole.
        await sending


async def wait_until_completed(system: OrderSystem, order_ids: list[str]) -> None:
    missing: list[str] = []

    async def all_are() -> bool:
        completed = {
            (record.key or b"").decode()
            for record in await system.published()
            if json.loads(record.value or b"{}").get("state") == OrderState.COMPLETED
        }
        missing[:] = [one for one in order_ids if one not in completed]
        return not missing

    await system.wait_until(all_are, 120, lambda: f"the end of {missing[:5]} ({len(missing)} in all)")


async def open_on(system: OrderSystem, build_id: str) -> list[str]:
    """The open runs that a build has worked on: they end there."""
    running = [run.workflow_id for run in await system.runs("ExecutionStatus = 'Running'")]
    return [one for one in running if f"{DEPLOYMENT}.{build_id}" in await builds_of(system, one)]


async def test_an_upgrade_of_everything_holds_up_no_order(endpoints: Endpoints, tmp_path: Path) -> None:
    async with order_system(endpoints, tmp_path, start=False) as system:
        old_worker = await worker_of(system, OLD)
        await make_current(system, OLD)
        old_bridge = system.start_bridge(BRIDGE_INSTANCE_ID=BRIDGE)
        await system.wait_until_bridges_own_partitions()

        async with orders_that_come_all_the_time(system) as upstream:
            await assert_eventually(lambda: _are(upstream, 10), 60)
            await wait_until_completed(system, upstream.sent[:10])

            # 1. Tables first: the old processes go on with them.
            migrated = await run_to_end(["migrate"], system.settings, tmp_path)
            assert migrated.returncode == 0, migrated.stderr
            # 2. The new workers beside the old ones; new orders go to them, and the old ones end what they began.
            await worker_of(system, NEW)
            await make_current(system, NEW)
            at_the_switch = list(upstream.sent)
            await wait_until_completed(system, at_the_switch)
            await assert_eventually(lambda: _none_is_open_on(system, OLD), 60)
            await old_worker.terminate()
            # 3. Bridges, one after the other, each under its name.
            await old_bridge.terminate()
            system.start_bridge(BRIDGE_INSTANCE_ID=BRIDGE)
            await assert_eventually(lambda: _are(upstream, len(at_the_switch) + 10), 60)

        await wait_until_completed(system, upstream.sent)
        await system.wait_until_idle()
        first, last = upstream.sent[0], upstream.sent[-1]
        assert await builds_of(system, order_workflow_id(first)) == {f"{DEPLOYMENT}.{OLD}"}
        assert await builds_of(system, order_workflow_id(last)) == {f"{DEPLOYMENT}.{NEW}"}
        assert {run.status for run in await system.runs()} == {"COMPLETED"}
        assert_no_violations(await system.evidence())


async def _are(upstream: Upstream, count: int) -> bool:
    return len(upstream.sent) >= count


async def _none_is_open_on(system: OrderSystem, build_id: str) -> bool:
    return not await open_on(system, build_id)
