"""Everything that one run of `OrderWorkflow` knows, in one model, so that continue-as-new carries it whole."""

import hashlib
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.activity_io import OrderProjection, SettledEvent
from schemas.base import Timestamp
from schemas.inbound import InboundEvent
from schemas.order import OrderDetails
from schemas.outbound import Cause, OrderStateChanged, OutboundEvent
from schemas.states import OrderState, OrderStep, ReasonCode
from schemas.workflow_io import OrderWorkflowInput, ShippingMilestone
from workflows.life.steps import END_STEPS

SEEN_EVENTS_MAX: Final = 10_000
"""Events a run remembers, the newest ones: as many as Temporal takes in signals per run. For older ones the event time
of an address decides, and `inbound_events` in the database."""

SEEN_KEY_MAX_CHARS: Final = 64
"""Longer event ids are remembered by their hash, so that all of them fit into one payload."""


class Unpublished(BaseModel):
    """A decision that is made and waits for the publisher: an event, what became of an inbound one, or both.

    They stand together because they must be recorded together: recorded apart, a crash between the two would make an
    event that was applied look new, or one that was not look done.
    """

    model_config = ConfigDict(frozen=True)

    event: OutboundEvent | None = None
    settled: SettledEvent | None = None
    address_updated_at: Timestamp | None = None
    """Event time of the update, where `event` changes the address."""


class OrderRunState(BaseModel):
    """The whole state of a run. Only `workflows.life.ledger` and the run itself change it."""

    order_id: str
    step: OrderStep = OrderStep.AWAITING_ORDER
    is_looked_up: bool = False
    """Whether the database has been asked for what it knows of the order; nothing is decided before."""
    is_late: bool = False
    """Whether the order's life was over before this run began: the database answers every event."""

    # The order.
    details: OrderDetails | None = None
    created_by: Cause | None = None
    """The ``order.created`` that is being received; None for an order taken up from the database."""
    order_state: OrderState | None = None
    """The last transition made, published or not."""
    reason: ReasonCode | None = None
    address_updated_at: Timestamp | None = None
    tracking_id: str | None = None
    shipping_attempt: int = 0
    """The attempt under way or ended last; 0 before the first."""

    # Events in.
    inbox: list[InboundEvent] = Field(default_factory=list)
    """Arrived and not yet looked at."""
    held: list[InboundEvent] = Field(default_factory=list)
    """Came too early; they go back to the inbox, in their order, when their time has come."""
    milestones: list[ShippingMilestone] = Field(default_factory=list)
    """Told by a shipping attempt and not yet looked at."""
    seen: dict[str, None] = Field(default_factory=dict)
    """Keys of the ids of the events that are decided. A dict for its order: a set's differs from process to process."""

    # Events out.
    last_sequence: int = 0
    """The number of the last event made."""
    unpublished: list[Unpublished] = Field(default_factory=list)
    recorded: OrderProjection | None = None
    """The order as the database has it, after the last batch that was published; None while the order is unknown."""
    unrecorded: dict[str, InboundEvent] = Field(default_factory=dict)
    """Events, by their id, whose decision waits in `unpublished`: what would be lost without it."""
    conflicts: int = 0
    """How often another run's events stood under our numbers."""

    # Deadlines, as times and not as spans: a run that continues another keeps them.
    order_deadline: Timestamp | None = None
    """Until when events wait for their ``order.created``."""
    approval_deadline: Timestamp | None = None

    @property
    def is_ended(self) -> bool:
        """Whether nothing is left to do but to answer and to publish."""
        return self.step in END_STEPS

    @property
    def has_unrecorded_transitions(self) -> bool:
        """Whether the database may not know yet what state the order is in."""
        return any(isinstance(entry.event, OrderStateChanged) for entry in self.unpublished)

    @property
    def held_events(self) -> int:
        """Events that are not decided."""
        return len(self.inbox) + len(self.held)

    def has_decided(self, event_id: str) -> bool:
        """Whether an event of this id was decided before."""
        return _seen_key(event_id) in self.seen

    def is_holding(self, event_id: str) -> bool:
        """Whether an event of this id waits for its time."""
        return any(event.event_id == event_id for event in self.held)

    def remember(self, event_id: str) -> None:
        """Notes that the event is decided, and forgets the oldest beyond the bound."""
        self.seen[_seen_key(event_id)] = None
        while len(self.seen) > SEEN_EVENTS_MAX:
            del self.seen[next(iter(self.seen))]

    def release_held(self) -> None:
        """Puts the events that came too early back in front of the inbox."""
        self.inbox, self.held = [*self.held, *self.inbox], []

    def seconds_left(self, deadline: datetime | None, now: datetime) -> float:
        """Seconds until the deadline, never negative; 0 without one."""
        return 0.0 if deadline is None else max(0.0, (deadline - now).total_seconds())


def begun_again(state: OrderRunState) -> OrderRunState:
    """A run that knows nothing but the events that are not settled, to decide them by what is recorded by now."""
    undecided = [*state.unrecorded.values(), *state.held, *state.inbox]
    return OrderRunState(order_id=state.order_id, inbox=undecided, conflicts=state.conflicts)


def carried_bytes(state: OrderRunState) -> int:
    """How large the state is when it is handed to the next run."""
    return len(state.model_dump_json().encode())


def _seen_key(event_id: str) -> str:
    if len(event_id) <= SEEN_KEY_MAX_CHARS:
        return event_id
    return hashlib.sha256(event_id.encode()).hexdigest()


class OrderRunInput(OrderWorkflowInput):
    """What the workflow takes: what a starter sends, and the state of the run that it continues."""

    resumed: OrderRunState | None = None
    """None for a first run."""
