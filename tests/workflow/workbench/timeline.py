"""Many orders on one clock: each follows its script on the real workflow, and a model follows the same script.

Time skipping is the server's, so all orders of a timeline share it. A round of a script is played while time stands
still: every activity of ours waits at a gate until the script lets it go on, so that what comes before it and what
after it is certain. Between rounds the gates are open, and hours pass.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from activities.ports import PaymentClaim
from bridge import Caller
from orders.mapping import OrderMapping
from schemas.inbound import InboundEvent
from schemas.order import OrderPolicy
from schemas.outbound import OutboundEvent
from schemas.states import PaymentStatus
from schemas.workflow_io import OrderStatus
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import AMOUNT_MAX, Bench, running
from tests.workflow.workbench.clock import Clock
from tests.workflow.workbench.gates import VALIDATING, Gate, Gates, MoodyCarrier, MoodyProvider
from tests.workflow.workbench.journal_check import check_journal
from tests.workflow.workbench.model import (
    APPROVAL_MINUTES,
    ATTEMPTS,
    EARLY_MINUTES,
    RETRY_MINUTES,
    Model,
)
from tests.workflow.workbench.scripts import Do, Round, Script, with_one_step_less
from tests.workflow.workbench.time_skipping import repeated
from tests.workflow.workbench.words import Out, Payment, Sent, body_of
from workflows.names import ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE, STATUS_QUERY, order_workflow_id, shipping_workflow_id
from workflows.policies import HANDOVER_PAUSE_FACTOR

POLICY: Final = OrderPolicy(
    approval_timeout=timedelta(minutes=APPROVAL_MINUTES),
    early_event_time_to_live=timedelta(minutes=EARLY_MINUTES),
    shipping_attempts=ATTEMPTS,
    shipping_retry_delay=timedelta(minutes=RETRY_MINUTES),
    # At once, so that an event that comes while the carrier is asked finds the same state each time.
    prepared_told_after=timedelta(milliseconds=1),
    # What waits at a gate waits in real time.
    activity_start_to_close=timedelta(minutes=2),
    # Only the question before a deadline is ever asked again: seldom, as hours pass.
    retry_maximum_interval=timedelta(minutes=10) / HANDOVER_PAUSE_FACTOR,
)
MAPPING: Final = OrderMapping({}, POLICY)
ASKED_AGAIN: Final = 12
"""Minutes after which an order that waits for what is in Kafka has asked again."""
TO_THE_END: Final = 24 * 60
"""Minutes after which every order has come to its end."""
_AGREES_WITHIN: Final = timedelta(seconds=60)
_TIMED_OUT: Final = (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED)
"""What the client calls a call that takes too long, by who noticed it first."""
_NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass
class Timeline:
    """The workers, and a way to play scripts on them."""

    bench: Bench
    gates: Gates
    clock: Clock
    caller: Caller

    async def play(self, waits: Sequence[int], scripts: Sequence[Script]) -> list["Life"]:
        """Plays all scripts at once, and holds each order to its model.

        Args:
            waits: minutes that pass after each round.
            scripts: as many rounds as there are waits, for each order.

        Raises:
            BrokenClockError: Time has not passed as the scripts say.
        """
        lives = [Life(self, script) for script in scripts]
        await self.clock.check()
        for number, minutes in enumerate([*waits, TO_THE_END]):
            await asyncio.gather(*(life.play(number) for life in lives))
            await self.clock.check()
            await self.clock.skip(timedelta(minutes=minutes))
            await asyncio.gather(*(life.wait(minutes) for life in lives))
            await self.clock.check()
            if any(number < len(life.script) and life.script[number].late for life in lives):
                await asyncio.gather(*(life.hand_over() for life in lives))
                await self.clock.skip(timedelta(minutes=ASKED_AGAIN))
                await asyncio.gather(*(life.wait(ASKED_AGAIN) for life in lives))
                await self.clock.check()
            for life in lives:
                life.shut()
        await asyncio.gather(*(life.check_the_end() for life in lives))
        await self.clock.check()
        return lives

    async def smallest(self, waits: Sequence[int], script: Script) -> "Life":
        """The failing script with every step taken away without which it fails as well."""
        failing = (await self.play(waits, [script]))[0]
        while failing.failure is not None:
            smaller = [life for life in await self.play(waits, with_one_step_less(failing.script)) if life.failure]
            if not smaller:
                break
            failing = smaller[0]
        return failing


def _keeps_failure(method: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """An order that has failed takes no further part, and lets its activities go: they would stop the clock of all."""

    async def guarded(self: "Life", *args: Any) -> None:
        if self.failure is not None:
            return
        try:
            await method(self, *args)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is this order's and is raised in the end
            self.failure = error
            self.gate.open()
            self.gate.hold_publishing(False)

    return guarded


@dataclass
class Life:
    """One order, on the real workflow and in the model."""

    timeline: Timeline
    script: Script
    order_id: str = field(default_factory=lambda: f"o-{uuid.uuid4().hex[:12]}")
    model: Model = field(default_factory=Model)
    failure: Exception | None = None
    _is_publishing_held: bool = False

    def __post_init__(self) -> None:
        self.gate = self.timeline.gates.gates[self.order_id] = Gate()
        claims = self.timeline.bench.payments.claims
        taken = self._payment_id(Payment.TAKEN)
        claims[taken] = PaymentClaim(
            payment_id=taken, order_id="another", amount=1, currency="USD", status=PaymentStatus.PENDING
        )

    def _payment_id(self, payment: Payment) -> str:
        return f"{payment}-{self.order_id}"

    @_keeps_failure
    async def play(self, number: int) -> None:
        """Plays a round, and goes on until nothing is under way: with an activity running, no time is skipped."""
        await self._play(self.script[number] if number < len(self.script) else Round(()))
        self._hold_publishing(False)
        while self.model.activity is not None:
            await self._go()
        await self._everything_decided()
        self.gate.open()
        late = self.script[number].late if number < len(self.script) else ()
        for sent in late:
            self.timeline.bench.kafka.produce(self.order_id, sent.type)
            self.model.in_kafka.append(sent)

    @_keeps_failure
    async def wait(self, minutes: int) -> None:
        self.model.wait(minutes)
        await self._everything_decided()

    @_keeps_failure
    async def hand_over(self) -> None:
        """The bridge is back: what is in Kafka comes in its order, and then its offsets are committed."""
        kafka = self.timeline.bench.kafka
        while self.model.in_kafka:
            sent = self.model.in_kafka[0]
            self.model.hand_over()
            await self._dispatch(sent)
            await self._everything_decided()
        kafka.hand_over_all_of(self.order_id)

    def shut(self) -> None:
        """From now on activities wait at the gate."""
        if self.failure is None:
            self.gate.shut()

    async def _play(self, this: Round) -> None:
        self._hold_publishing(this.publishing_is_held)
        for step in this.steps:
            if isinstance(step, Sent):
                await self._send(step)
            elif step is Do.GO:
                await self._go()
            elif self.model.can_be_terminated and not this.publishing_is_held:
                await self._terminate()

    def _hold_publishing(self, held: bool) -> None:
        self._is_publishing_held = held
        self.gate.hold_publishing(held)
        self.model.publish(held=held)

    async def _send(self, sent: Sent) -> None:
        activity_before, postponed_before = self.model.activity, self.model.postponed
        self.model.receive(sent)
        await self._dispatch(sent)
        # What follows an approval must find its windows shut, as the two in one moment may go either way; and late
        # events have a workflow each, which may come in any order.
        has_begun = self.model.activity not in (activity_before, VALIDATING)
        if self.model.over or has_begun or self.model.postponed != postponed_before:
            await self._everything_decided()

    async def _dispatch(self, sent: Sent) -> None:
        event = InboundEvent(
            event_id=f"{self.order_id}/{sent.id}",
            type=sent.type.value,
            occurred_at=None if sent.at is None else _NOON + timedelta(minutes=sent.at),
            body=body_of(sent, self.order_id, payment_id=self._payment_id(sent.payment), amount_max=AMOUNT_MAX),
            expected_sequence=sent.expected,
        )
        call = MAPPING.call_for(self.order_id, sent.type, event)
        await repeated(lambda: self.timeline.caller.make(call))

    async def _pending_activities(self) -> set[str]:
        description = await self.timeline.bench.client.get_workflow_handle(order_workflow_id(self.order_id)).describe()
        return {one.activity_type.name for one in description.raw_description.pending_activities}

    async def _has_nothing_under_way(self) -> bool:
        if self.model.attempt:
            attempt = shipping_workflow_id(self.order_id, self.model.attempt)
            shipping = await self.timeline.bench.client.get_workflow_handle(attempt).describe()
            if shipping.status is WorkflowExecutionStatus.RUNNING:
                return False
        return not await self._pending_activities()

    async def _go(self) -> None:
        if self.model.activity is None:
            return
        await self._everything_decided()
        self.gate.let_go()
        self.model.go()
        await self._everything_decided()

    async def _terminate(self) -> None:
        await self._everything_decided()
        # A run that ends with an activity or a workflow task under way would keep the server from skipping time for
        # good. It answers a query when it has handled all that came before, as the end of an activity.
        for _ in range(2):
            await _eventually(self._has_nothing_under_way)
            await _eventually(self._status)
        await self.timeline.bench.client.get_workflow_handle(order_workflow_id(self.order_id)).terminate()
        self.model.terminate()

    async def _everything_decided(self) -> None:
        """Waits until the order is where the model is."""
        seen = "nothing"

        async def has_come() -> bool:
            nonlocal seen
            made = await self._made()
            seen = f"{made} events, and {self.gate.waiting} under way"
            if self.gate.waiting not in (None, self.model.activity):
                raise DisagreementError(self._story(seen))
            self._compare(self._published())
            return made >= len(self.model.out) and self.gate.waiting == self.model.activity

        await _eventually(has_come, lambda: self._story(seen))

    async def _made(self) -> int:
        published = len(self._published())
        if self._is_publishing_held and self.model.is_running:
            return max(published, (await self._status()).last_sequence)
        return published

    async def _status(self) -> OrderStatus:
        handle = self.timeline.bench.client.get_workflow_handle(order_workflow_id(self.order_id))
        status: OrderStatus = await handle.query(STATUS_QUERY, result_type=OrderStatus)
        return status

    def _published(self) -> tuple[OutboundEvent, ...]:
        order = self.timeline.bench.store.orders[self.order_id]
        return self.timeline.bench.store.events_of(self.order_id)[: order.last_published_sequence]

    def _compare(self, events: Sequence[OutboundEvent]) -> None:
        found = [Out.of(event) for event in events]
        if found != self.model.out[: len(found)]:
            raise DisagreementError(self._story(f"{len(found)} events"))

    def _story(self, seen: str) -> str:
        lines = [f"expected {len(self.model.out)} events, and {self.model.activity} under way; found {seen}"]
        found = [Out.of(event) for event in self._published()]
        for number in range(max(len(found), len(self.model.out))):
            ours = self.model.out[number] if number < len(self.model.out) else None
            real = found[number] if number < len(found) else None
            lines.append(f"{number + 1}: {real}" if ours == real else f"{number + 1}: {real}, the model says {ours}")
        return "\n".join([*lines, f"script: {' '.join(map(str, self.script))}"])

    @_keeps_failure
    async def check_the_end(self) -> None:
        """The whole of what was published, recorded, charged and answered."""
        bench, model = self.timeline.bench, self.model
        events = bench.store.events_of(self.order_id)
        self._compare(events)
        if len(events) != len(model.out) or model.activity is not None:
            raise DisagreementError(self._story(f"{len(events)} events"))
        check_journal(bench.store, bench.publisher, self.order_id, {f"{self.order_id}/{one}" for one, _ in model.seen})
        payment_id = self._payment_id(model.created.payment)
        moved = [bench.gateway.ledger[kind, payment_id] for kind in ("charge", "refund")]
        assert moved == [model.charges, model.refunds], self._story(f"charges and refunds {moved}")
        if model.state is not None:
            kept = bench.store.orders[self.order_id].details
            assert kept is not None
            assert kept.address.model_dump(exclude_none=True) == model.address
        await self._check_run()

    async def _check_run(self) -> None:
        if not self.model.seen:
            return
        if self.model.over:
            expected = WorkflowExecutionStatus.COMPLETED
        elif self.model.is_terminated:
            expected = WorkflowExecutionStatus.TERMINATED
        else:
            expected = WorkflowExecutionStatus.FAILED
        handle = self.timeline.bench.client.get_workflow_handle(order_workflow_id(self.order_id))
        found: WorkflowExecutionStatus | None = None

        async def has_ended_so() -> bool:
            nonlocal found
            found = (await handle.describe()).status
            return found is expected

        # A run that has nothing left to publish says nothing when it ends.
        await _eventually(has_ended_so, lambda: self._story(f"the run {found}"))


class DisagreementError(Exception):
    """The workflow and the model do not agree. No ``AssertionError``, which would only mean "not yet"."""


async def _eventually(
    condition: Callable[[], Awaitable[object]], message: str | Callable[[], str] = "the condition"
) -> None:
    """Waits in real time. A call that the server does not answer in time says "not yet": a busy one leaves some out."""

    async def holds() -> object:
        try:
            return await condition()
        except RPCError as error:
            if error.status not in _TIMED_OUT:
                raise
            raise AssertionError("the server does not answer") from error

    await assert_eventually(holds, timeout=_AGREES_WITHIN, message=message)


@asynccontextmanager
async def timeline_on(env: WorkflowEnvironment, log: Path) -> AsyncIterator[Timeline]:
    """Runs the workers of a timeline, on a server that writes what it has to say to a log."""
    bench = Bench(
        env,
        order_queue=ORDER_TASK_QUEUE,
        shipping_queue=SHIPPING_TASK_QUEUE,
        policy=POLICY,
        gateway=MoodyProvider(),
        carrier=MoodyCarrier(),
    )
    gates = Gates(bench.store)
    caller = Caller(bench.client, rpc_timeout=timedelta(minutes=1))
    async with running(bench, interceptors=[gates]):
        yield Timeline(bench, gates, Clock(env, log, gates), caller)
