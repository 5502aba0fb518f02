"""Outages and deaths in the middle of one order's record: between its statement, its commit, its answer, its events."""

import asyncio
import json
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType as HistoryEventType

from schemas.event_types import EventType
from schemas.states import OrderState
from stack import Endpoints
from tests.faults.drivers.work_outages import WorkOutages
from tests.faults.drivers.work_rooms import work_system
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.servers.postgres_moments import Moment, PostgresMoments, Stop
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.processes import STOP_TIMEOUT_SECONDS, OrdersProcess
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import assert_eventually
from workflows.names import order_workflow_id

WITHIN_SECONDS = 120.0
"""For whatever comes in a second or two on a machine that does nothing else."""


@dataclass(frozen=True, slots=True)
class MidRecord:
    """A moment in the middle of one of an order's records."""

    state: OrderState
    """Which record: the one that has this state in it."""
    moment: Moment
    """Where in it. Before its commit means in its repeat, which is the first to need a transaction: the record itself
    is a statement of its own."""


class RecordOutages:
    """One order worker, whose way to Postgres and whose way to Kafka are cut in the middle of a record.

    Args:
        work: The system around it.
        postgres: Between the worker and Postgres.
    """

    def __init__(self, work: WorkOutages, postgres: PostgresMoments) -> None:
        self._work = work
        self.postgres = postgres
        self.kafka = work.kafka
        self.worker = self._start_worker()
        self._going: asyncio.Task[None] | None = None

    @property
    def system(self) -> OrderSystem:
        """The whole system."""
        return self._work.system

    # What happens ---------------------------------------------------------------------------------------------------

    async def postgres_goes_away(self) -> None:
        """For the moment of a stop: Postgres refuses every connection, and all that are open are reset."""
        # It ends the connection that this is called on as well, and waits for that end.
        self._going = asyncio.create_task(self.postgres.refuse(), name="Postgres goes away")
        await asyncio.Event().wait()

    async def worker_dies(self) -> None:
        """For the moment of a stop: the worker is killed, and what it asked Postgres for stays where it is."""
        self.worker.send(signal.SIGKILL)
        await asyncio.Event().wait()

    async def another_worker(self) -> None:
        """Buries the worker that was killed, with its connections, and starts another one."""
        await self.worker.wait_until_ended(STOP_TIMEOUT_SECONDS)
        await self.postgres.drop()
        self.worker = self._start_worker()

    def _start_worker(self) -> OrdersProcess:
        host, _, port = self.postgres.address.rpartition(":")
        return self._work.start_worker("order-tq", DB_HOST=host, DB_PORT=port)

    # Orders ---------------------------------------------------------------------------------------------------------

    async def stopped_order(self, at: MidRecord, then: Callable[[], Awaitable[None]]) -> str:
        """An order, created and approved, in whose record something has happened when this returns; answers its id."""
        order_id = f"o-{secrets.token_hex(6)}"
        words = (order_id, f'"state":"{at.state}"')
        if at.moment is Moment.BEFORE_COMMIT:

            async def lost() -> None:
                repeats.append(self.postgres.stop_at(Moment.BEFORE_COMMIT, order_id, then=then))
                raise ConnectionResetError

            repeats: list[Stop] = []
            first = self.postgres.stop_at(Moment.NOT_ANSWERED, *words, then=lost)
            await self.send_order(order_id)
            await self.reached(first, order_id)
            await self.reached(repeats[0], order_id)
        else:
            stop = self.postgres.stop_at(at.moment, *words, then=then)
            await self.send_order(order_id)
            await self.reached(stop, order_id)
        return order_id

    async def send_order(self, order_id: str) -> None:
        """Creates and approves an order."""
        await self.tell(EventType.ORDER_CREATED, order_id, payment_id=f"p-{order_id}", amount=1250)
        await self.tell(EventType.ORDER_APPROVED, order_id)

    async def tell(self, event_type: EventType, order_id: str, **body: Any) -> None:
        """Sends an event of an order by way of Kafka."""
        message = message_of(event_type, {"order_id": order_id, **body})
        await self.system.produce([Outgoing(self.system.topic_of(event_type), message.value, message.key)])

    async def reached(self, stop: Stop, order_id: str) -> None:
        """Waits for a stop's moment."""

        async def come() -> bool:
            return stop.reached.is_set()

        await self.system.wait_until(come, WITHIN_SECONDS, lambda: f"{order_id} at {stop.moment.name} of {stop.words}")

    # What is to be seen ---------------------------------------------------------------------------------------------

    async def explained(self, order_id: str) -> dict[str, Any]:
        """What `orders explain` says, whose own way to Postgres and Kafka is open."""
        ended = await run_in_process(["explain", order_id, "--json"], self.system.settings)
        assert ended.returncode == 0, ended.stderr
        known: dict[str, Any] = json.loads(ended.stdout)
        assert known["temporal"], known["unreachable"]
        return known

    async def waits_in_plain_sight(self, order_id: str, error: str) -> dict[str, Any]:
        """Waits until an activity of the order has failed several times, which explain says with the last error.

        Meanwhile the order's run answers the question where it is, and none of its workflow tasks fails.

        Returns:
            What explain says then.
        """
        known: dict[str, Any] = {}

        async def visible() -> bool:
            known.update(await self.explained(order_id))
            failed = [one for one in known["temporal"]["pending_activities"] if error in (one["last_failure"] or "")]
            return known["temporal"]["status"] is not None and any(one["attempt"] > 2 for one in failed)

        await assert_eventually(visible, WITHIN_SECONDS, lambda: f"attempts and {error!r} in {known}")
        assert any("which has failed" in sentence and error in sentence for sentence in known["waits_for"]), known
        assert [run["failing"] for run in known["temporal"]["open_runs"] if run["failing"]] == []
        return known

    def charged_orders(self) -> set[str]:
        """The orders that the provider has charged, by its own book."""
        assert self.system.gateway is not None
        return {entry.payment_id.removeprefix("p-") for entry in self.system.gateway.ledger()}

    async def takes_what_it_is_told(self, order_id: str) -> None:
        """Sends the order another address, and waits until its run has it: decided, or held until it can be."""

        async def taken() -> int:
            status = (await self.explained(order_id))["temporal"]["status"]
            assert status is not None, "its run does not answer"
            return int(status["held_events"]) + int(status["last_sequence"])

        before = await assert_eventually(taken, WITHIN_SECONDS, "an answer of its run")

        async def taken_more() -> bool:
            return await taken() > before

        await self.tell(EventType.ORDER_ADDRESS_UPDATED, order_id, address={"city": "Elsewhere"})
        await assert_eventually(taken_more, WITHIN_SECONDS, lambda: f"more than {before} events taken")

    async def all_is_well(self) -> None:
        """Waits for the end of everything, and holds what is left behind to all invariants (I6, I7, I8 among them)."""
        await self.system.wait_until_idle(WITHIN_SECONDS)
        assert_no_violations(await self.system.evidence())

    async def spoiled_tasks(self, order_id: str) -> list[str]:
        """The order's workflow tasks that failed, or that no worker took or finished in time."""
        history = await self.system.client.get_workflow_handle(order_workflow_id(order_id)).fetch_history()
        spoiled = (
            HistoryEventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
            HistoryEventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
        )
        return [HistoryEventType.Name(event.event_type) for event in history.events if event.event_type in spoiled]


@asynccontextmanager
async def record_outages(endpoints: Endpoints, folder: Path) -> AsyncIterator[RecordOutages]:
    """A system with such a worker."""
    async with (
        PostgresMoments(f"{endpoints.db_host}:{endpoints.db_port}") as postgres,
        work_system(endpoints, folder, workers=False) as work,
    ):
        work.start_worker("shipping-tq")
        yield RecordOutages(work, postgres)
