"""An upgrade from the release before, as docs/deploying.md has it, while orders come: none waits, none is lost."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from orders.version import application_version
from schemas.event_types import EventType
from schemas.states import OrderState
from stack.endpoints import Endpoints
from tests.helpers.checker import postgres_rows
from tests.helpers.checker.checker import check
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.api_room import ApiRoom, open_api
from tests.helpers.system.builds import DEPLOYMENT, builds_of, make_current, worker_of
from tests.helpers.system.processes import run_to_end
from tests.helpers.system.released import ROOT, released_before, unpacked
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually
from workflows.names import order_workflow_id

OLD, NEW = "build-1", "build-2"
NEWEST_TABLES = max(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))
OPEN_MAX = 8
"""Orders that are open at any time: as many as come, however slow the machine is."""
PAUSE_SECONDS = 0.4
BRIDGE = "bridge-0"


class Upstream:
    """Places orders and approves them, one after the other, without an end."""

    def __init__(self, system: OrderSystem) -> None:
        self._system = system
        self.sent: list[str] = []
        self.is_enough = False

    async def send(self) -> None:
        while not self.is_enough:
            if len(self.sent) - await self._completed() < OPEN_MAX:
                await self._send_one(f"o-{self._system.tag}-{len(self.sent)}")
            await asyncio.sleep(PAUSE_SECONDS)

    async def _send_one(self, order_id: str) -> None:
        created = {"order_id": order_id, "payment_id": f"p-{order_id}", "amount": 1_000}
        for event_type, body in (
            (EventType.ORDER_CREATED, created),
            (EventType.ORDER_APPROVED, {"order_id": order_id}),
        ):
            record = Outgoing(self._system.topic_of(event_type), json.dumps(body).encode(), order_id.encode())
            await self._system.produce([record])
        self.sent.append(order_id)

    async def _completed(self) -> int:
        states = [json.loads(record.value or b"{}").get("state") for record in await self._system.published()]
        return states.count(OrderState.COMPLETED)


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
    reached: dict[str, list[str]] = {}

    async def all_are() -> bool:
        reached.clear()
        for record in await system.published():
            state = json.loads(record.value or b"{}").get("state")
            reached.setdefault((record.key or b"").decode(), []).append(str(state))
        return all(OrderState.COMPLETED in reached.get(one, ()) for one in order_ids)

    def missing() -> dict[str, list[str]]:
        found = {one: reached.get(one, []) for one in order_ids}
        return {one: states for one, states in found.items() if OrderState.COMPLETED not in states}

    await system.wait_until(all_are, 120, lambda: f"the end of all: {missing()}")


async def open_on(system: OrderSystem, build_id: str) -> list[str]:
    """The open runs that a build has worked on: they end there."""
    running = [run.workflow_id for run in await system.runs("ExecutionStatus = 'Running'")]
    return [one for one in running if f"{DEPLOYMENT}.{build_id}" in await builds_of(system, one)]


async def test_an_upgrade_from_the_release_before_holds_up_no_order(endpoints: Endpoints, tmp_path: Path) -> None:
    before = str(unpacked(released_before(application_version()), tmp_path / "before"))
    async with (
        order_system(endpoints, tmp_path, start=False, PYTHONPATH=before) as system,
        open_api(system) as old_api,
    ):
        old_worker = await worker_of(system, OLD)
        await make_current(system, OLD)
        old_bridge = system.start_bridge(BRIDGE_INSTANCE_ID=BRIDGE)
        await system.wait_until_bridges_own_partitions()
        del system.settings["PYTHONPATH"]  # What is started from here on is the new version.

        async with orders_that_come_all_the_time(system) as upstream:
            await assert_eventually(lambda: _are(upstream, 10), 180)
            await wait_until_completed(system, upstream.sent[:10])

            # 1. Tables first: the old processes go on with them.
            migrated = await run_to_end(["migrate"], system.settings, tmp_path)
            assert migrated.returncode == 0, migrated.stderr
            assert await revision_of_tables(system) == NEWEST_TABLES
            migrated_at = len(upstream.sent)
            await assert_eventually(lambda: _are(upstream, migrated_at + 5), 180)
            await wait_until_completed(system, upstream.sent[: migrated_at + 5])
            # 2. The new workers beside the old ones; new orders go to them, and the old ones end what they began.
            await worker_of(system, NEW)
            await make_current(system, NEW)
            at_the_switch = list(upstream.sent)
            await wait_until_completed(system, at_the_switch)
            await assert_eventually(lambda: _none_is_open_on(system, OLD), 120)
            await old_worker.terminate()
            # The old bridge and the old API lead to the new workers.
            asked_before = await completed_by(old_api)
            # 3. Bridges, one after the other, each under its name.
            await old_bridge.terminate()
            system.start_bridge(BRIDGE_INSTANCE_ID=BRIDGE)
            await assert_eventually(lambda: _are(upstream, len(at_the_switch) + 10), 180)
            # 4. The API: the new one answers for what the old one has begun.
            async with open_api(system) as new_api:
                await old_api.process.terminate()
                assert (await new_api.http.get(f"/orders/{asked_before}")).json()["state"] == OrderState.COMPLETED
                in_no_record = [("I1", order_id) for order_id in (asked_before, await completed_by(new_api))]

        await wait_until_completed(system, upstream.sent)
        await system.wait_until_idle()
        first, last = upstream.sent[0], upstream.sent[-1]
        assert await builds_of(system, order_workflow_id(first)) == {f"{DEPLOYMENT}.{OLD}"}
        assert await builds_of(system, order_workflow_id(last)) == {f"{DEPLOYMENT}.{NEW}"}
        assert {run.status for run in await system.runs()} == {"COMPLETED"}
        # What came over HTTP is decided as any event is, and was in no record.
        broken = [one for one in check(await system.evidence()) if (one.invariant, one.subject) not in in_no_record]
        assert not broken, "\n".join(map(str, broken))
        verified = await run_to_end(["audit", "verify"], system.settings, tmp_path)
        assert verified.returncode == 0, verified.stdout + verified.stderr


async def completed_by(api: ApiRoom) -> str:
    """An order started, approved and asked for over HTTP; its id once it is completed."""
    order_id = await api.start_order(amount=1_000)
    assert (await api.signal(order_id, "approve")).status_code == HTTPStatus.OK
    result = await api.http.get(f"/orders/{order_id}/result")
    assert result.json()["state"] == OrderState.COMPLETED, result.text
    return order_id


async def revision_of_tables(system: OrderSystem) -> str:
    """The migration that the database is at."""
    async with postgres_rows.connection(system.settings) as connection:
        return str(await connection.fetchval("SELECT version_num FROM alembic_version"))


async def _are(upstream: Upstream, count: int) -> bool:
    return len(upstream.sent) >= count


async def _none_is_open_on(system: OrderSystem, build_id: str) -> bool:
    return not await open_on(system, build_id)
