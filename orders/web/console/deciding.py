"""Decisions of a person at the console: each is sent as the event that its topic would have brought, and awaited."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog

from orders.clients.opened import Clients
from orders.clients.temporal import temporal_unreachable
from orders.errors import OrdersError, UnreachableError
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

_EVENT_TYPES: Final = {
    Choice.APPROVE: EventType.ORDER_APPROVED,
    Choice.CANCEL: EventType.ORDER_CANCELLED,
    Choice.READDRESS: EventType.ORDER_ADDRESS_UPDATED,
}
_log = structlog.get_logger("orders.console")


def event_type_of(choice: Choice) -> EventType:
    """The event that carries a choice to the order's workflow."""
    return _EVENT_TYPES[choice]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person has chosen with one form, for each order that it names."""

    choice: Choice
    batch: str
    """Names the form."""
    note: str = ""
    """The note of an approval, or the reason of a cancellation; empty for none."""
    address: Mapping[str, str] = field(default_factory=dict)
    """The lines of the address that change; for a new address only."""

    @property
    def name(self) -> str:
        """Names the decision: by its form, and by the address, if it has one.

        A form that is sent again with another address is another decision.
        """
        if not self.address:
            return self.batch
        told = json.dumps(self.address, sort_keys=True).encode()
        return f"{self.batch}{hashlib.sha256(told).hexdigest()[:16]}"

    def fields(self, identity: Identity) -> dict[str, Any]:
        """What the event's body says beside the order; None for what is not given."""
        match self.choice:
            case Choice.APPROVE:
                return {"approved_by": identity.name, "note": self.note or None}
            case Choice.CANCEL:
                return {"cancelled_by": identity.name, "reason": self.note or None}
            case Choice.READDRESS:
                return {"address": dict(self.address), "updated_by": identity.name}


def event_id_of(identity: Identity, name: str, choice: Choice, shown: Shown) -> str:
    """The decision's event id: the same form sent again, by the same person, is the same decision.

    The sequence of the order as it was shown is part of it: who looks again and decides anew makes another decision.

    Args:
        identity: who decides.
        name: of what was chosen, see `Chosen.name`.
        choice: what is decided.
        shown: the order, as it was seen.
    """
    return f"console:{identity.caller_id}:{name}:{choice}:{shown.sequence}"


async def decide(clients: Clients, identity: Identity, chosen: Chosen, orders: Sequence[Shown]) -> list[OutcomeLine]:
    """Sends a decision for each order, as it was shown, and waits for what becomes of each.

    Args:
        clients: lead to Temporal and Postgres.
        identity: who decides, as the journal will name them.
        chosen: what is decided.
        orders: which, each with the sequence that was seen.
    """
    room = asyncio.Semaphore(AT_ONCE)

    async def one(shown: Shown) -> OutcomeLine:
        async with room:
            return await _decide_one(clients, identity, chosen, shown)

    return list(await asyncio.gather(*map(one, orders)))


async def _decide_one(clients: Clients, identity: Identity, chosen: Chosen, shown: Shown) -> OutcomeLine:
    choice = chosen.choice
    event_type, event_id = event_type_of(choice), event_id_of(identity, chosen.name, choice, shown)
    try:
        body = build_body(event_type, {"order_id": shown.order_id, "event_id": event_id, **chosen.fields(identity)})
        decided = await send_and_wait(
            clients,
            event_type,
            body,
            expected_sequence=shown.sequence,
            verified_by=identity.verified_by,
            wait=WAIT,
        )
        line = line_of(shown.order_id, choice, decided.outcome)
    except OutcomeUnreachableError:  # Temporal has it all the same.
        line = OutcomeLine(shown.order_id, choice, Standing.UNDECIDED, "Postgres, which does not answer")
    except UnreachableError:
        line = OutcomeLine(shown.order_id, choice, Standing.UNANSWERED, temporal_unreachable(clients.settings))
    except OrdersError as error:
        line = OutcomeLine(shown.order_id, choice, Standing.UNSENT, str(error))
    _log.info(
        "console.decision.sent",
        order_id=shown.order_id,
        event_id=event_id,
        type=str(event_type),
        outcome=str(line.standing),
        caller=identity.name,
        via=identity.via,
    )
    return line


def line_of(order_id: str, choice: Choice, outcome: Outcome | None) -> OutcomeLine:
    """The line for an outcome; None where nothing is recorded yet."""
    status = OutcomeStatus.UNDECIDED if outcome is None else outcome.status
    told = None if outcome is None else outcome.reason or outcome.waits_for
    return OutcomeLine(order_id, choice, Standing(status.value), None if told is None else str(told))
