"""An order bench: workers on a time-skipping server, the fakes behind the ports, and a hand to send events with."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.definitions import activities_of
from activities.expiry import ExpiryActivities
from activities.orders import OrderActivities, OrderRules
from activities.payments import PaymentActivities
from activities.ports import SequenceConflictError
from activities.shipping import ShippingActivities
from orders.processes.workflow_threads import OneTurnAtATime, never_interrupt_turns
from orders.settings.order import PREPARED_TOLD_AFTER
from schemas.activity_io import ValidateOrder, ValidationResult
from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundEvent
from schemas.order import OrderPolicy
from schemas.outbound import OutboundEvent
from schemas.states import OrderState, OrderStep
from schemas.workflow_io import EventQuery, EventStatus, OrderResult, OrderStatus, OrderWorkflowInput
from tests.helpers.fake_backlog import InMemoryInboundBacklog
from tests.helpers.fakes import (
    NEVER_SHIPS_ZIP_CODE,
    FakeCarrierGateway,
    FakePaymentGateway,
    InMemoryOrderStore,
    InMemoryPaymentStore,
    RecordingPublisher,
)
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.ended_runs import left_by_an_ended_run
from tests.workflow.workbench.journal_check import check_journal
from tests.workflow.workbench.time_skipping import moved_on, repeated, skip
from workflows.names import EVENT_QUERY, ORDER_WORKFLOW, STATUS_QUERY, order_workflow_id
from workflows.runner import ORDER_WORKFLOWS, SHIPPING_WORKFLOWS, workflow_runner
from workflows.search_attributes import SEARCH_ATTRIBUTES

FAILS = NEVER_SHIPS_ZIP_CODE
BEFORE_APPROVAL = (OrderStep.RECEIVING, OrderStep.VALIDATING, OrderStep.AWAITING_MANUAL_APPROVAL)
OPEN_STEPS = (
    OrderStep.AWAITING_ORDER,
    OrderStep.RECEIVING,
    OrderStep.VALIDATING,
    OrderStep.AWAITING_MANUAL_APPROVAL,
    OrderStep.CHARGING_PAYMENT,
    OrderStep.SHIPPING,
    OrderStep.REFUNDING_PAYMENT,
)
"""Each step at which an order can be held: all but the ends, and MARKING_SHIPPED, which waits for nothing."""
AMOUNT_MAX = 1_000_000
CREATED = EventType.ORDER_CREATED
APPROVED = EventType.ORDER_APPROVED
CANCELLED = EventType.ORDER_CANCELLED
ADDRESS = EventType.ORDER_ADDRESS_UPDATED


class GatedOrderActivities(OrderActivities):
    """Validation asks no port, so it has a gate of its own to be held at."""

    def __init__(self, bench: "Bench") -> None:
        super().__init__(bench.store, bench.publisher, OrderRules(amount_max=AMOUNT_MAX, amount_required=True))
        self._gate = bench.validation

    @activity.defn
    async def validate_order(self, request: ValidateOrder) -> ValidationResult:
        await self._gate.wait()
        return await super().validate_order(request)


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass
class Bench:
    """Everything around the workflows of one test."""

    env: WorkflowEnvironment
    order_queue: str = field(default_factory=lambda: f"order-{uuid.uuid4()}")
    shipping_queue: str = field(default_factory=lambda: f"shipping-{uuid.uuid4()}")
    policy: OrderPolicy = field(
        default_factory=lambda: OrderPolicy(search_attributes=True, prepared_told_after=PREPARED_TOLD_AFTER)
    )
    store: InMemoryOrderStore = field(default_factory=InMemoryOrderStore)
    publisher: RecordingPublisher = field(default_factory=RecordingPublisher)
    payments: InMemoryPaymentStore = field(default_factory=InMemoryPaymentStore)
    gateway: FakePaymentGateway = field(default_factory=FakePaymentGateway)
    carrier: FakeCarrierGateway = field(default_factory=FakeCarrierGateway)
    kafka: InMemoryInboundBacklog = field(default_factory=InMemoryInboundBacklog)
    """What Kafka holds and nobody has handed over; nothing unless a test says so."""
    task_timeout: timedelta | None = None
    """When a workflow task that failed is tried again; None for Temporal's own 10 s."""
    validation: asyncio.Event = field(default_factory=_open_gate)
    """Validation waits until it is set."""
    handles: dict[str, WorkflowHandle[Any, OrderResult]] = field(default_factory=dict)
    sent: dict[str, set[str]] = field(default_factory=dict)
    """Ids of the events sent, by order."""

    @property
    def client(self) -> Client:
        return self.env.client

    def new_policy(self, **changes: Any) -> None:
        """Changes the policy that the next run starts with."""
        self.policy = self.policy.model_copy(update=changes)

    async def send(self, to: str, event_type: EventType, event_id: str | None = None, **body: Any) -> str:
        """Sends an event as the bridge does: one signal-with-start. Returns the event's id."""
        occurred_at, expected_sequence = body.pop("at", None), body.pop("expected_sequence", None)
        event = InboundEvent(
            event_id=event_id or f"{event_type}-{uuid.uuid4().hex[:8]}",
            type=event_type.value,
            occurred_at=occurred_at,
            body=_body(event_type, to, body),
            expected_sequence=expected_sequence,
        )
        await self.signal_with_start(to, INBOUND[event_type].signal, [event])
        self.sent.setdefault(to, set()).add(event.event_id)
        return event.event_id

    async def signal_with_start(self, order_id: str, signal: str, arguments: list[Any]) -> None:
        # The handle of a start skips time while its result is awaited; one that is asked for by id does not.
        self.handles[order_id] = await repeated(
            lambda: self.client.start_workflow(
                ORDER_WORKFLOW,
                OrderWorkflowInput(order_id=order_id, policy=self.policy, shipping_task_queue=self.shipping_queue),
                id=order_workflow_id(order_id),
                task_queue=self.order_queue,
                task_timeout=self.task_timeout,
                result_type=OrderResult,
                start_signal=signal,
                start_signal_args=arguments,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            )
        )

    async def brought_to(self, order_id: str, step: OrderStep) -> Callable[[], None]:
        """Brings a new order to a step and holds it there; returns what lets it go on."""
        self.new_policy(activity_start_to_close=timedelta(minutes=1), shipping_attempts=1)
        go_on = self._hold_at(step)
        if step in _FOUND_BY_A_RUN:
            await self._is_found(order_id, step)
            return go_on
        if step is OrderStep.AWAITING_ORDER:
            await self.send(order_id, APPROVED, f"early-{order_id}")
        else:
            if step is OrderStep.RECEIVING:
                # An order that is received at once is never seen at this step; one that may be known is.
                self.store.fail_next(1, "record", SequenceConflictError("as of an order that is known"))
            zip_code = FAILS if step is OrderStep.REFUNDING_PAYMENT else "0150"
            await self.send(order_id, CREATED, f"created-{order_id}", shipping_address={"zip_code": zip_code})
        if step not in (OrderStep.AWAITING_ORDER, *BEFORE_APPROVAL):
            await self.send(order_id, APPROVED, f"approved-{order_id}")
        await self.reaches(order_id, step)
        return go_on

    async def _is_found(self, order_id: str, step: OrderStep) -> None:
        """Has a run go on at a step where it finds the order: none that took it on itself stays there for a moment."""
        await left_by_an_ended_run(self, order_id, _FOUND_BY_A_RUN[step])
        await self.send(order_id, CREATED, f"created-{order_id}")
        if step is OrderStep.VALIDATING:
            await self.reaches(order_id, step)
        else:
            await assert_eventually(self.store.reached["look_up"].is_set)

    async def waits_for_its_backlog(self, order_id: str, event_type: EventType) -> None:
        """Brings a new order past a deadline, with a record in Kafka that could save it and is not handed over.

        Args:
            order_id: the order.
            event_type: of the record; for an ``order.created`` the order is yet to come.
        """
        self.kafka.produce(order_id, event_type)
        if event_type is CREATED:
            await self.send(order_id, APPROVED, "early")
            await self.reaches(order_id, OrderStep.AWAITING_ORDER)
            deadline = self.policy.early_event_time_to_live
        else:
            await self.send(order_id, CREATED)
            await self.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
            deadline = self.policy.approval_timeout
        await self.skip(deadline)
        await assert_eventually(
            lambda: self._waits_for_its_backlog(order_id), message="the order waits for what is in Kafka"
        )

    async def comes_late(self, order_id: str, event_type: EventType, event_id: str | None = None) -> None:
        """Hands over the record that the order waits for.

        In the order that the bridge keeps: Temporal has acknowledged before the offset is committed. It is committed
        when the order waits no longer, as the server loses a task that cancels what has just ended (`time_skipping`).
        """
        await self.send(order_id, event_type, event_id)

        async def is_decided() -> bool:
            return not await self._waits_for_its_backlog(order_id)

        await assert_eventually(is_decided, message=f"{event_type} ends the wait for what is in Kafka")
        self.kafka.hand_over(event_type)

    async def _waits_for_its_backlog(self, order_id: str) -> bool:
        return "handed over" in ((await self.status(order_id)).waits_for or "")

    def _hold_at(self, step: OrderStep) -> Callable[[], None]:
        """Shuts the gate of a step's activity."""
        holds: dict[OrderStep, Callable[[], asyncio.Event]] = {
            OrderStep.RECEIVING: lambda: self.validation,
            OrderStep.VALIDATING: lambda: self.validation,
            OrderStep.CHARGING_PAYMENT: lambda: self.gateway.hold("charge"),
            OrderStep.SHIPPING: lambda: self.carrier.hold("prepare"),
            OrderStep.REFUNDING_PAYMENT: lambda: self.gateway.hold("refund"),
            OrderStep.MARKING_SHIPPED: lambda: self.store.hold("look_up"),
        }
        if step not in holds:
            return lambda: None
        gate = holds[step]()
        gate.clear()
        return gate.set

    async def skip(self, span: timedelta) -> None:
        """Lets that much time pass, for all orders on this server."""
        await skip(self.env, span)

    def handle(self, order_id: str) -> WorkflowHandle[Any, OrderResult]:
        return self.handles[order_id]

    async def result(self, order_id: str) -> OrderResult:
        """Waits for the order's end, skipping time where the server can."""
        if not self.env.supports_time_skipping:
            return await self.handle(order_id).result()
        return await moved_on(self.env, self.handle(order_id).result())

    async def status(self, order_id: str) -> OrderStatus:
        status: OrderStatus = await self.handle(order_id).query(STATUS_QUERY, result_type=OrderStatus)
        return status

    async def event_status(self, order_id: str, event_type: EventType, event_id: str) -> EventStatus:
        asked = EventQuery(event_id=event_id, type=event_type.value)
        status: EventStatus = await self.handle(order_id).query(EVENT_QUERY, asked, result_type=EventStatus)
        return status

    async def reaches(self, order_id: str, step: OrderStep) -> OrderStatus:
        """Waits in real time until the order is at a step."""

        async def is_there() -> OrderStatus | None:
            status = await self.status(order_id)
            return status if status.step is step else None

        status = await assert_eventually(is_there, message=f"{order_id} reaches {step}")
        assert status is not None
        return status

    async def comes_to(self, order_id: str, state: OrderState) -> OrderStatus:
        """Waits in real time until the order's last transition, published or not, has led to a state."""

        async def is_there() -> OrderStatus | None:
            status = await self.status(order_id)
            return status if status.state is state else None

        status = await assert_eventually(is_there, message=f"{order_id} comes to {state}")
        assert status is not None
        return status

    async def publishes(self, order_id: str, count: int) -> None:
        """Waits in real time until that many events of the order are published."""
        await assert_eventually(
            lambda: len(self.events(order_id)) >= count, message=f"{count} events of {order_id} are published"
        )

    def events(self, order_id: str) -> tuple[OutboundEvent, ...]:
        """The order's published events, each once."""
        return self.publisher.events_of(order_id)

    def states(self, order_id: str) -> list[OrderState | None]:
        return self.store.states_of(order_id)

    def story(self, order_id: str) -> list[str]:
        """The order's events in short: a state, ``address``, or the reason of a refusal."""
        return [_word(event) for event in self.events(order_id)]

    def outcome(self, order_id: str, event_id: str) -> str:
        """What became of an inbound event: ``applied``, or the reason of its refusal."""
        outcome = self.store.outcomes_of(order_id)[event_id]
        return str(outcome.reason or outcome.outcome)

    def check(self) -> None:
        """Holds every order of the test to the invariants."""
        for order_id in self.store.orders:
            check_journal(self.store, self.publisher, order_id, self.sent.get(order_id, set()))
        assert all(count == 1 for count in self.gateway.ledger.values()), "I6: money moves once"


_FOUND_BY_A_RUN = {
    OrderStep.VALIDATING: OrderState.RECEIVED,
    OrderStep.MARKING_SHIPPED: OrderState.CARRIER_DISPATCHED,
}
"""Steps at which only a run is that goes on where another was ended; with what that has recorded last."""


def _word(event: OutboundEvent) -> str:
    if event.type == "order.state_changed":
        return str(event.state)
    if event.type == "order.address_changed":
        return "address"
    return str(event.reason)


def _body(event_type: EventType, order_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    defaults: dict[EventType, dict[str, Any]] = {
        CREATED: {"payment_id": f"pay-{order_id}", "amount": 1_500},
        ADDRESS: {"address": {"city": "Oslo"}},
    }
    return {"order_id": order_id, **defaults.get(event_type, {}), **body}


@asynccontextmanager
async def running(
    bench: Bench,
    *,
    order_workflows: Sequence[type] = ORDER_WORKFLOWS,
    more_activities: Sequence[Callable[..., Any]] = (),
    **worker_options: Any,
) -> AsyncIterator[Bench]:
    """Runs the bench's workers, on a server that knows our search attributes by then."""
    await _register_search_attributes(bench.client)
    orders = GatedOrderActivities(bench)
    payments = PaymentActivities(bench.payments, bench.gateway)
    shipping = ShippingActivities(bench.carrier)
    expiry = ExpiryActivities(bench.kafka)
    threads = OneTurnAtATime(100)
    options: dict[str, Any] = {
        "workflow_runner": workflow_runner(),
        "workflow_task_executor": threads,
        "graceful_shutdown_timeout": timedelta(0),
        **worker_options,
    }
    order_worker = Worker(
        bench.client,
        task_queue=bench.order_queue,
        workflows=list(order_workflows),
        activities=[*activities_of(orders, payments, expiry), *more_activities],
        **options,
    )
    shipping_worker = Worker(
        bench.client,
        task_queue=bench.shipping_queue,
        workflows=list(SHIPPING_WORKFLOWS),
        activities=activities_of(shipping),
        **options,
    )
    for worker in (order_worker, shipping_worker):
        never_interrupt_turns(worker)
    with threads:
        async with order_worker, shipping_worker:
            yield bench


async def _register_search_attributes(client: Client) -> None:
    """As `orders migrate` does on a server that can list and search, which the time-skipping one cannot."""
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes={key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES},
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
