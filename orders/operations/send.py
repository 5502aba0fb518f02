"""Straight to Temporal: the same models, mapping and call as the bridge's, without Kafka in between."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from temporalio.service import RPCError

from bridge import Caller, CallOutcome
from bridge.decisions import Decision, classify_dispatch_error
from orders.clients.opened import Clients
from orders.clients.temporal import temporal_unreachable
from orders.errors import OrdersError, UnreachableError
from orders.operations.bodies import body_fields
from schemas.event_types import EventType
from schemas.inbound import InboundBody, InboundEvent

_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Delivered:
    """An event that Temporal has acknowledged."""

    event_id: str
    """The message's own, or the new one that it was given: the same event sent again is a duplicate."""
    outcome: CallOutcome


async def deliver(
    clients: Clients, event_type: EventType, body: InboundBody, *, expected_sequence: int | None = None
) -> Delivered:
    """Hands an event to its order's workflow, which is started where there is none.

    Args:
        clients: lead to Temporal; their settings are the order's policy.
        event_type: what happened.
        body: the message; an event id or a time that it lacks is a new id, and the present time.
        expected_sequence: see `inbound_event`.

    Raises:
        UnreachableError: Temporal did not answer; the event may have been delivered, and may be sent again.
        OrdersError: Temporal refused it.
    """
    event = inbound_event(event_type, body, expected_sequence=expected_sequence)
    return Delivered(event.event_id, await deliver_event(clients, body.order_id, event_type, event))


def inbound_event(
    event_type: EventType,
    body: InboundBody,
    *,
    expected_sequence: int | None = None,
    verified_by: str | None = None,
) -> InboundEvent:
    """The message as Temporal carries it.

    Args:
        event_type: what happened.
        body: the message; an event id or a time that it lacks is a new id, and the present time.
        expected_sequence: the order's last sequence as the sender saw it; None where the order is taken as it is.
        verified_by: what vouches for who decided; None where nobody checked it.
    """
    return InboundEvent(
        event_id=body.event_id or f"cli:{uuid4()}",
        type=event_type.value,
        occurred_at=body.occurred_at or datetime.now(UTC),
        body=body_fields(body),
        expected_sequence=expected_sequence,
        verified_by=verified_by,
    )


async def deliver_event(clients: Clients, order_id: str, event_type: EventType, event: InboundEvent) -> CallOutcome:
    """As `deliver`, for an event that is made already: the same one may be delivered again."""
    caller = Caller(await clients.temporal())
    call = clients.order_mapping.call_for(order_id, event_type, event)
    for _ in range(_ATTEMPTS):
        try:
            return await caller.make(call)
        except RPCError as error:
            if classify_dispatch_error(error) is not Decision.TRANSIENT:
                raise OrdersError(f"Temporal refused the call ({error.status.name}): {error.message}") from error
        await asyncio.sleep(_PAUSE_SECONDS)
    raise UnreachableError(
        f"{temporal_unreachable(clients.settings)}; the event may be sent again with --event-id {event.event_id}"
    )
