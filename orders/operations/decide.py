"""Sends an event and waits for what becomes of it: applied, refused and why, or held until its turn comes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from temporalio.client import WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import QueryRejectCondition
from temporalio.service import RPCError, RPCStatusCode

from activities.adapters.postgres.reader import InboundKey
from bridge import CallOutcome
from orders.clients.opened import Clients
from orders.clients.queries import ask
from orders.clients.temporal import temporal_unreachable
from orders.errors import OrdersError, UnreachableError
from orders.operations.send import deliver_event, inbound_event
from schemas.activity_io import EventOutcome
from schemas.event_types import EventType, fingerprint_of
from schemas.inbound import InboundBody
from schemas.states import InboundOutcome, ReasonCode
from schemas.workflow_io import EventQuery, EventStatus
from workflows.converter import UnreadablePayloadError
from workflows.names import EVENT_QUERY, order_workflow_id

ASKED_AFTER: Final = timedelta(seconds=1)
"""When the order's workflow is asked whether it holds the event: an outcome takes a third of that where all is well."""
_QUERY_TIMEOUT: Final = timedelta(seconds=3)
"""For the workflow's answer. A worker that has not answered by then is not there, or is busy with something else."""


class OutcomeStatus(StrEnum):
    """What became of an event, as far as it is known."""

    APPLIED = "applied"
    REJECTED = "rejected"
    HELD = "held"
    """It came before its order, which keeps it: it is decided in its turn."""
    UNDECIDED = "undecided"
    """Temporal has it, and no outcome is recorded yet."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event."""

    status: OutcomeStatus
    reason: ReasonCode | None = None
    """Why it was refused."""
    sequence: int | None = None
    """The order's last event when this one was decided: the one that says what became of it. None where that is not
    known: the event is not decided, or was by an earlier version of ours."""
    decided_at: datetime | None = None
    body_matches: bool | None = None
    """Whether the event that was decided under this id said the same. None where that is not known: nothing is decided,
    it was by an earlier version of ours, or the caller did not say what to compare with."""
    waits_for: str | None = None
    """For an event that is not decided: what its order waits for, or what keeps that from being known."""
    waits_until: datetime | None = None
    """For an event that is held: until when its order is waited for."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An event that was delivered, and what became of it."""

    event_id: str
    delivery: CallOutcome
    outcome: Outcome


class OutcomeUnreachableError(UnreachableError):
    """The event was delivered, and what became of it cannot be read."""

    def __init__(self, message: str, *, event_id: str, delivery: CallOutcome) -> None:
        super().__init__(message)
        self.event_id = event_id
        self.delivery = delivery


async def send_and_wait(
    clients: Clients,
    event_type: EventType,
    body: InboundBody,
    *,
    expected_sequence: int | None = None,
    verified_by: str | None = None,
    wait: timedelta,
) -> Decision:
    """Hands an event to its order's workflow, and waits for what becomes of it.

    May be repeated with the same event id: the outcome is then the one that was recorded first. A cancelled call may
    have delivered the event.

    Args:
        clients: lead to Temporal and to the database; their settings are the order's policy.
        event_type: what happened.
        body: the message; an event id or a time that it lacks is a new id, and the present time.
        expected_sequence: the order's last sequence as the sender saw it; the event is refused as ``order_changed``
            where the order has another by the time that it would be applied. None: the order is taken as it is.
        verified_by: what vouches for who decided; None where nobody checked it.
        wait: how long, at most, once Temporal has the event.

    Raises:
        OutcomeUnreachableError: Temporal has the event, and Postgres does not say what became of it.
        UnreachableError: Temporal did not answer; the event may have been delivered.
        OrdersError: Temporal refused the event.
    """
    event = inbound_event(event_type, body, expected_sequence=expected_sequence, verified_by=verified_by)
    delivery = await deliver_event(clients, body.order_id, event_type, event)
    fingerprint = fingerprint_of(event, body.order_id)
    try:
        outcome = await await_outcome(
            clients, body.order_id, event.event_id, event_type, wait=wait, fingerprint=fingerprint
        )
    except UnreachableError as error:
        raise OutcomeUnreachableError(
            f"{error}; the event {event.event_id} was delivered, and what became of it is not known here",
            event_id=event.event_id,
            delivery=delivery,
        ) from error
    return Decision(event.event_id, delivery, outcome)


async def await_outcome(
    clients: Clients,
    order_id: str,
    event_id: str,
    event_type: EventType,
    *,
    wait: timedelta,
    fingerprint: str | None = None,
) -> Outcome:
    """Waits until an event that was delivered is decided.

    An event that is held for an order that has not come is told at once: its order may take minutes.

    Args:
        clients: lead to the database, and to Temporal.
        order_id: the event's order.
        event_id: the event's id.
        event_type: the event's type.
        wait: how long, at most. With 0 it says what is so now.
        fingerprint: of what was sent under this id, to compare with what was decided; None compares nothing.

    Raises:
        UnreachableError: Postgres does not answer.
    """
    key = InboundKey(order_id, event_id, event_type.value)
    watch = await clients.outcome_watch()
    first = min(wait, ASKED_AFTER)
    try:
        decided = await watch.outcome(key, first)
    except UnreachableError:
        if wait <= first:
            raise
        decided = None  # There is time left, in which Postgres may be back.
    status = None if decided is not None else await _ask(clients, key)
    lasts = status is not None and status.held and status.waits_until is not None
    if decided is None and wait > first and not lasts:
        decided = await watch.outcome(key, wait - first)
        status = None if decided is not None else await _ask(clients, key)
    if decided is not None:
        return outcome_of(decided, fingerprint)
    if status is None:
        # The run may have ended meanwhile, and with its end all is decided.
        decided = await watch.outcome(key, timedelta(0))
        return Outcome(OutcomeStatus.UNDECIDED) if decided is None else outcome_of(decided, fingerprint)
    return Outcome(
        OutcomeStatus.HELD if status.held else OutcomeStatus.UNDECIDED,
        waits_for=status.waits_for,
        waits_until=status.waits_until if status.held else None,
    )


async def recorded_outcome(
    clients: Clients, order_id: str, event_id: str, event_type: EventType, fingerprint: str | None = None
) -> Outcome | None:
    """What is recorded of an event, for a repeat with the same key; None where nothing is.

    Args:
        clients: lead to the database.
        order_id: the event's order.
        event_id: the event's id.
        event_type: the event's type.
        fingerprint: `fingerprint_of` what is to be sent, to compare; None compares nothing.

    Raises:
        UnreachableError: Postgres does not answer.
    """
    async with clients.order_reader() as reader:
        decided = await reader.inbound_event(order_id, event_type.value, event_id)
    return None if decided is None else outcome_of(decided, fingerprint)


def outcome_of(decided: EventOutcome, fingerprint: str | None = None) -> Outcome:
    """A recorded outcome, compared with what was sent."""
    known = fingerprint is not None and decided.body_digest is not None
    is_applied = decided.outcome is InboundOutcome.APPLIED
    return Outcome(
        OutcomeStatus.APPLIED if is_applied else OutcomeStatus.REJECTED,
        reason=decided.reason,
        sequence=decided.sequence,
        decided_at=decided.at,
        body_matches=decided.body_digest == fingerprint if known else None,
    )


async def _ask(clients: Clients, key: InboundKey) -> EventStatus | None:
    """What the order's workflow says of an event; None where no run of it is open.

    That nobody answers is no error here: the event is delivered, and whoever waits is told why it is not decided.
    """
    try:
        client = await clients.temporal()
        status: EventStatus = await ask(
            client.get_workflow_handle(order_workflow_id(key.order_id)),
            EVENT_QUERY,
            EventQuery(event_id=key.event_id, type=key.type),
            result_type=EventStatus,
            wait=_QUERY_TIMEOUT,
            reject_condition=QueryRejectCondition.NOT_OPEN,
        )
    except WorkflowQueryRejectedError:
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        away = error.status is RPCStatusCode.UNAVAILABLE
        why = temporal_unreachable(clients.settings) if away else "a worker, which has not answered"
        return EventStatus(held=False, waits_for=why)
    except (WorkflowQueryFailedError, UnreadablePayloadError, OrdersError) as error:
        return EventStatus(held=False, waits_for=str(error))
    return status
