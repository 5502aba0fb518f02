"""What a record of the inbound topics means: the message contract, and the call on Temporal that each event becomes.

Every face takes this road: the bridge translates records with it, commands that go straight to Temporal make its calls,
and `orders explain` reads records with it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge import (
    Call,
    Event,
    ReadLimits,
    Record,
    Refusal,
    RefusalCode,
    RefusedError,
    Stage,
    check_key,
    read_event,
    read_model,
)
from orders.signatures.contents import Said
from schemas.base import parse_rfc_3339
from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundBody, InboundEvent, verified_by_key
from schemas.order import OrderPolicy
from schemas.workflow_io import LateEventInput, OrderWorkflowInput
from workflows.names import (
    LATE_EVENT_WORKFLOW,
    ORDER_TASK_QUEUE,
    ORDER_WORKFLOW,
    late_workflow_id,
    order_workflow_id,
)

if TYPE_CHECKING:
    from orders.signatures.signature import Signatures

_DEFAULT_LIMITS: Final = ReadLimits()
_ORDER_ID: Final = "order_id"
"""The field that every body has. A value that has it is no CloudEvent, which would have it within its data."""


class DecodedRecord(NamedTuple):
    """A record that follows the message contract. A tuple, as one is made for every record."""

    order_id: str
    event_type: EventType
    event: InboundEvent
    """The envelope that Temporal carries."""
    body: InboundBody
    traceparent: str | None = None
    """The sender's trace, where only the value has it."""
    own_id: str | None = None
    """The event's id as its sender gave it, beside a signature; None where it is made of something else."""


class OrderMapping:
    """The orders' `bridge.Mapping`.

    Args:
        routes: The event type of each inbound topic; the bridge reads these topics.
        policy: How long and how often, for the workflows that are started.
        run_timeout: The longest run of an order's workflow; None for no limit.
        task_queue: Where the workers of `OrderWorkflow` and `LateEventWorkflow` listen.
        limits: How much of one record is read.
        signatures: Checks who vouches for a record; None where nobody is asked.
    """

    def __init__(
        self,
        routes: Mapping[str, EventType],
        policy: OrderPolicy | None = None,
        *,
        run_timeout: timedelta | None = None,
        task_queue: str = ORDER_TASK_QUEUE,
        limits: ReadLimits = _DEFAULT_LIMITS,
        signatures: "Signatures | None" = None,
    ) -> None:
        self._routes = dict(routes)
        self._policy = policy or OrderPolicy()
        self._run_timeout = run_timeout
        self._task_queue = task_queue
        self._limits = limits
        self._signatures = signatures
        # Made once: only the order id differs from record to record.
        self._details = {event_type: _details(event_type, self._policy) for event_type in EventType}

    @property
    def topics(self) -> tuple[str, ...]:
        """The inbound topics."""
        return tuple(self._routes)

    def event_type_of(self, topic: str) -> EventType:
        """What an inbound topic holds."""
        return self._routes[topic]

    def translate(self, record: Record) -> Call:
        """The call for a record.

        Raises:
            RefusedError: The record breaks the message contract.
        """
        decoded = self.read(record)
        return self.call_for(decoded.order_id, decoded.event_type, decoded.event, traceparent=decoded.traceparent)

    def read(self, record: Record) -> DecodedRecord:
        """Reads a record by the message contract.

        Pure: the same record always gives the same event, while the keys of signatures are the same.

        Raises:
            RefusedError: The record breaks the message contract.
        """
        event_type = self._routes[record.topic]
        event = read_event(record, self._limits, bare_member=_ORDER_ID)
        _check_event_type(event, event_type)
        body = read_model(INBOUND[event_type].body, event.fields)
        check_key(record, body.order_id, name=_ORDER_ID)
        own_id = event.id if event.has_own_id else body.event_id
        own_time = _event_time(event) or body.occurred_at
        signed = None
        if self._signatures is not None:
            signed = self._signatures.check(record, Said(body.order_id, event_type, own_id, own_time))
        envelope = InboundEvent(
            event_id=own_id or (event.id if signed is None else signed.event_id),
            type=event_type.value,
            occurred_at=own_time or (record.produced_at if signed is None else signed.occurred_at),
            # Without the fields that are not given: the models fill them in again, and what is small is stored 3 times.
            body=body.model_dump(mode="json", exclude_none=True),
            verified_by=None if signed is None else verified_by_key(signed.key_id),
        )
        return DecodedRecord(body.order_id, event_type, envelope, body, event.traceparent, own_id)

    def call_for(
        self, order_id: str, event_type: EventType, event: InboundEvent, *, traceparent: str | None = None
    ) -> Call:
        """The call for an event: a signal to the order's workflow, which is started where there is none.

        A failed run may begin anew, a completed one never does (I4): an event that comes later is answered by another
        workflow.

        Args:
            order_id: Which order.
            event_type: What happened; it says which signal.
            event: The signal's argument.
            traceparent: The sender's trace, where only the record's value has it.
        """
        return Call(
            ORDER_WORKFLOW,
            order_workflow_id(order_id),
            self._task_queue,
            argument=OrderWorkflowInput(order_id=order_id, policy=self._policy),
            signal=INBOUND[event_type].signal,
            signal_argument=event,
            run_timeout=self._run_timeout,
            summary=f"order {order_id}",
            details=f"{self._details[event_type]}`orders explain {order_id}`",
            when_closed=partial(self._late_call, order_id, event),
            traceparent=traceparent,
        )

    def _late_call(self, order_id: str, event: InboundEvent) -> Call:
        """The call where the order is over. A run of it that failed has not answered: the next repeat runs it again."""
        return Call(
            LATE_EVENT_WORKFLOW,
            late_workflow_id(order_id, event.type, event.event_id),
            self._task_queue,
            argument=LateEventInput(order_id=order_id, event=event, policy=self._policy),
            summary=f"{event.type} for order {order_id}, which was over",
        )


def _details(event_type: EventType, policy: OrderPolicy) -> str:
    """What Temporal's UI says of a run for as long as it keeps it; nothing personal, as it may be unencrypted."""
    return (
        f"Begun by `{event_type.value}`. It waits {policy.early_event_time_to_live} for its `order.created`, and "
        f"then {policy.approval_timeout} for approval. All that is known of it: "
    )


def _check_event_type(event: Event, event_type: EventType) -> None:
    if event.type is not None and event.type != event_type.value:
        raise _envelope_error(
            RefusalCode.EVENT_TYPE_MISMATCH,
            f"the CloudEvents type {_other_type(event.type)}; this topic holds {event_type.value}: "
            "send exactly that as the type, or no type, and other events to their own topics",
        )


def _other_type(sent: str) -> str:
    """What a type is that is not the topic's, without showing it."""
    if sent in set(EventType):
        return f"is {sent}"
    if any(event_type.value in sent for event_type in EventType):
        return "has a name of ours with more around it, such as a domain or a version"
    return "is none of ours"


def _event_time(event: Event) -> datetime | None:
    if event.time is None:
        return None
    try:
        return parse_rfc_3339(event.time)
    except ValueError as error:
        raise _envelope_error(RefusalCode.EVENT_TIME_INVALID, f"the CloudEvents time {error}") from None


def _envelope_error(code: RefusalCode, message: str) -> RefusedError:
    return RefusedError(Refusal(Stage.ENVELOPE, code, message))
