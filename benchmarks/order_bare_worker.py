"""A worker whose activities do nothing: ``python -m benchmarks.order_bare_worker TASK_QUEUE`` (see order_complete).

It is made as ours are, with the same workflows. An order that waits for its approval is approved by a call from here,
at the moment at which its VALIDATED would have been published; its COMPLETED is a line on the standard output.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities.definitions import activities_of
from activities.orders import OrderActivities, OrderRules
from activities.ports import OrderStore, StoredEvent
from bridge import Caller
from orders.clients.temporal import connect_temporal
from orders.processes.worker_size import worker_size
from orders.processes.workflow_threads import OneTurnAtATime
from orders.settings import Settings, load_settings
from schemas.activity_io import (
    ChargePayment,
    ChargeResult,
    DispatchedCarrier,
    EventOutcome,
    OrderSnapshot,
    PreparedPackage,
    PublishEvents,
    Shipment,
)
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.states import OrderState, PaymentStatus
from workflows.names import ORDER_TASK_QUEUE
from workflows.runner import ORDER_WORKFLOWS, SHIPPING_WORKFLOWS, workflow_runner

COMPLETED: Final = "COMPLETED"


class NoStore(OrderStore):
    """Keeps nothing, and tells which states it was to record."""

    def __init__(self, told: Callable[[str, str], None]) -> None:
        self._told = told

    async def look_up(self, order_id: str) -> OrderSnapshot:  # noqa: ARG002 -- nothing is known of any
        """See the port."""
        return OrderSnapshot()

    async def record(self, batch: PublishEvents) -> tuple[StoredEvent, ...]:
        """See the port; nothing is left to be published."""
        for event in batch.events:
            if event.state is not None and event.state != event.previous_state:
                self._told(batch.order_id, event.state.value)
        return ()

    async def answer_late(
        self,
        order_id: str,  # noqa: ARG002 -- nobody sends late events here
        events: tuple[InboundEvent, ...],  # noqa: ARG002
        at: datetime,  # noqa: ARG002
    ) -> tuple[tuple[EventOutcome, ...], tuple[StoredEvent, ...]]:
        """See the port."""
        return (), ()

    async def mark_published(self, order_id: str, sequence: int) -> None:
        """See the port."""


class NoPublisher:
    """Publishes nothing."""

    async def publish(self, events: tuple[StoredEvent, ...]) -> None:
        """See the port."""


class NoPayments:
    """Every payment is charged."""

    @activity.defn
    async def charge_payment(self, request: ChargePayment) -> ChargeResult:  # noqa: ARG002
        """As ours, without a provider."""
        return ChargeResult(status=PaymentStatus.CHARGED)


class NoShipping:
    """Every package is shipped."""

    @activity.defn
    async def prepare_package(self, request: Shipment) -> PreparedPackage:
        """As ours, without a carrier."""
        return PreparedPackage(package_id=f"package-{request.order_id}")

    @activity.defn
    async def dispatch_carrier(self, request: Shipment) -> DispatchedCarrier:
        """As ours, without a carrier."""
        return DispatchedCarrier(tracking_id=f"track-{request.order_id}")


class Approver:
    """Approves what is validated, and tells what is completed."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._caller = Caller(client)
        self._mapping = settings.order_mapping()
        self._approving: set[asyncio.Task[Any]] = set()

    def told(self, order_id: str, state: str) -> None:
        """Takes note of a state that would have been recorded."""
        if state == OrderState.VALIDATED:
            body = {"order_id": order_id, "approved_by": "somebody"}
            event = InboundEvent(event_id=f"approve-{order_id}", type=EventType.ORDER_APPROVED.value, body=body)
            call = self._mapping.call_for(order_id, EventType.ORDER_APPROVED, event)
            task = asyncio.create_task(self._caller.make(call))
            self._approving.add(task)
            task.add_done_callback(self._approving.discard)
        elif state == OrderState.COMPLETED:
            sys.stdout.write(f"{COMPLETED} {order_id}\n")
            sys.stdout.flush()


async def main(task_queue: str) -> None:
    """Works until SIGTERM."""
    settings, stop = load_settings(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await connect_temporal(settings)
    orders = OrderActivities(NoStore(Approver(client, settings).told), NoPublisher(), OrderRules())
    is_order = task_queue == ORDER_TASK_QUEUE
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=ORDER_WORKFLOWS if is_order else SHIPPING_WORKFLOWS,
        activities=activities_of(orders, NoPayments()) if is_order else activities_of(NoShipping()),
        workflow_runner=workflow_runner(sandboxed=settings.worker_sandbox),
        workflow_task_executor=OneTurnAtATime(settings.worker_concurrent_workflow_tasks),
        **worker_size(settings, queues=1),
    )
    async with worker:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
