"""Decisions of a person at the console: each is sent as the event that its topic would have brought, and awaited."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.operations.bodies import build_body
from orders.operations.decide import Outcome, OutcomeStatus, OutcomeUnreachableError, send_and_wait
from orders.web.console.views.decisions import Choice, OutcomeLine, Standing
from orders.web.console.views.waiting import Shown
from orders.web.identity import Identity
from schemas.event_types import EventType

WAIT: Final = timedelta(seconds=8)
"""How long a click waits for the workflows' answers. They take about 0.1 s each."""
AT_ONCE: Final = 20
"""Decisions of one click that are under way at the same time."""

_EVENT_TYPES: Final = {Choice.APPROVE: EventType.ORDER_APPROVED, Choice.CANCEL: EventType.ORDER_CANCELLED}
_log = structlog.get_logger("orders.console")


def event_type_of(choice: Choice) -> EventType:
    """The event that says so."""
    return _EVENT_TYPES[choice]


def event_id_of(identity: Identity, batch: str, choice: Choice, shown: Shown) -> str:
    """The decision's identity: the same form sent again, by the same person, is the same decision.

    Of the order as it was shown: who looks again and decides anew decides something else.
    """
    return f"console:{identity.caller_id}:{batch}:{choice}:{shown.sequence}"


async def decide(
    clients: Clients, identity: Identity, choice: Choice, orders: Sequence[Shown], *, note: str, batch: str
) -> list[OutcomeLine]:
    """Sends a decision for each order, as it was shown, and waits for what becomes of each.

    Args:
        clients: lead to Temporal and Postgres.
        identity: who decides, as the journal will name them.
        choice: what is decided.
        orders: which, each with the sequence that was seen.
        note: what is said beside it; empty for nothing.
        batch: names the form.
    """
    room = asyncio.Semaphore(AT_ONCE)

    async def one(shown: Shown) -> OutcomeLine:
        async with room:
            return await _decide_one(clients, identity, choice, shown, note=note, batch=batch)

    return list(await asyncio.gather(*map(one, orders)))


async def _decide_one(
    clients: Clients, identity: Identity, choice: Choice, shown: Shown, *, note: str, batch: str
) -> OutcomeLine:
    event_type, event_id = event_type_of(choice), event_id_of(identity, batch, choice, shown)
    by, said = ("approved_by", "note") if choice is Choice.APPROVE else ("cancelled_by", "reason")
    fields = {"order_id": shown.order_id, "event_id": event_id, by: identity.name, said: note or None}
    try:
        body = build_body(event_type, fields)
        decided = await send_and_wait(clients, event_type, body, expected_sequence=shown.sequence, wait=WAIT)
        outcome = decided.outcome
    except OutcomeUnreachableError as error:
        outcome = Outcome(OutcomeStatus.UNDECIDED, waits_for=str(error))  # Temporal has it all the same.
    except OrdersError as error:
        return OutcomeLine(shown.order_id, choice, Standing.UNSENT, str(error))
    _log.info(
        "console.decision.sent",
        order_id=shown.order_id,
        event_id=event_id,
        type=str(event_type),
        outcome=str(outcome.status),
        caller=identity.name,
        via=identity.via,
    )
    return line_of(shown.order_id, choice, outcome)


def line_of(order_id: str, choice: Choice, outcome: Outcome | None) -> OutcomeLine:
    """The line for an outcome; None where nothing is recorded yet."""
    status = OutcomeStatus.UNDECIDED if outcome is None else outcome.status
    told = None if outcome is None else outcome.reason or outcome.waits_for
    return OutcomeLine(order_id, choice, Standing(status.value), None if told is None else str(told))
