"""Everything that one run of `OrderWorkflow` knows, in one model, so that continue-as-new carries it whole."""

import base64
import hashlib
import zlib
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.activity_io import Backlog, EventOutcome, OrderProjection
from schemas.base import Timestamp
from schemas.inbound import InboundEvent
from schemas.order import OrderDetails
from schemas.outbound import Cause, OrderStateChanged, OutboundEvent
from schemas.states import OrderState, OrderStep, ReasonCode
from schemas.workflow_io import OrderWorkflowInput, ShippingMilestone
from workflows.life.steps import STEPS

SEEN_EVENTS_MAX: Final = 10_000
"""Most event ids that a run remembers, the newest ones: as many as Temporal takes signals in one run. Of older events
the table `inbound_events` keeps the outcome, and an old address is stale by its event time."""

SEEN_KEY_MAX_CHARS: Final = 64
"""Longer event ids are remembered by their hash, so that all of them fit into one payload."""


CARRIED_BYTES_MAX: Final = 1_500_000
"""Largest state that a run hands to its continuation: Temporal refuses a payload above 2 MiB."""


class DefectError(Exception):
    """The code contradicts itself: a defect of ours.

    Being no failure of Temporal's, it fails the workflow task: the order stands still where operators see it, nothing
    wrong is published, and the order goes on once a mended worker replays it.
    """


class Unpublished(BaseModel):
    """A decision that waits for the publisher: an event to publish, the outcome of an inbound event, or both.

    An event and the outcome of its cause are recorded together. Recorded apart, a crash between the two would make an
    applied event look new, or an event that was not applied look done.
    """

    model_config = ConfigDict(frozen=True)

    event: OutboundEvent | None = None
    outcome: EventOutcome | None = None
    address_updated_at: Timestamp | None = None
    """Event time of the update, where `event` changes the address."""


class BacklogWait(BaseModel):
    """A deadline that is over, and is acted upon only once what was in Kafka by then has been handed over."""

    since: Timestamp
    """When Kafka was asked first, at or after the deadline."""
    partitions: tuple[Backlog, ...] | None = None
    """What was not handed over then; None while Kafka has not said."""


class OrderRunState(BaseModel):
    """The whole state of a run. Only `workflows.life` and the run itself change it."""

    order_id: str
    step: OrderStep = OrderStep.AWAITING_ORDER
    is_looked_up: bool = False
    """Whether the order was looked up in the database. Nothing is decided before that."""
    is_late: bool = False
    """Whether the order's life was over before this run began. Then the database answers every event."""

    # The order.
    details: OrderDetails | None = None
    created_by: Cause | None = None
    """The ``order.created`` that is being received; None for an order that was recovered from the database."""
    state: OrderState | None = None
    """The last transition made, published or not."""
    reason: ReasonCode | None = None
    address_updated_at: Timestamp | None = None
    tracking_id: str | None = None
    shipping_attempt: int = 0
    """The attempt under way or ended last; 0 before the first."""
    is_attempting: bool = False
    """Whether that attempt has not ended: a run that continues this one makes it again, and not the next one."""

    # Events in.
    inbox: list[InboundEvent] = Field(default_factory=list)
    """Events that arrived and were not looked at yet."""
    held: list[InboundEvent] = Field(default_factory=list)
    """Events that came too early; they go back to the inbox, in their order, when their time has come."""
    milestones: list[ShippingMilestone] = Field(default_factory=list)
    """Milestones told by a shipping attempt and not looked at yet."""
    seen: dict[str, str] = Field(default_factory=dict)
    """Type of the first event of each id that was decided, by the id's key; and each event that was refused because
    its id had been used for another type, under a key of its own."""

    # Events out.
    last_sequence: int = 0
    """The number of the last event made."""
    unpublished: list[Unpublished] = Field(default_factory=list)
    owes_publication: bool = False
    """Whether an ended run has recorded events that may not be published. The next batch publishes them, also an
    empty one."""
    row: OrderProjection | None = None
    """The order's row in the database after the last published batch; None while the order is unknown."""
    undelivered_outcomes: dict[str, InboundEvent] = Field(default_factory=dict)
    """Inbound events whose outcome waits in `unpublished`, by id and type. A new beginning decides them again."""
    conflicts: int = 0
    """How often another run's events stood under our numbers."""

    # Deadlines, as times and not as spans: a run that continues another keeps them.
    order_deadline: Timestamp | None = None
    """Until when events wait for their ``order.created``."""
    approval_deadline: Timestamp | None = None
    """Until when approval is awaited: set, recorded and published with VALIDATED."""
    backlog: BacklogWait | None = None
    """What the present step waits for at its deadline; None before the deadline."""

    @property
    def is_ended(self) -> bool:
        """Whether nothing is left to do but to answer and to publish."""
        return STEPS[self.step].is_end

    @property
    def deadline(self) -> datetime | None:
        """Until when the present step waits; None where it waits without limit, or has not begun to wait."""
        name = STEPS[self.step].deadline
        deadline: datetime | None = getattr(self, name) if name else None
        return deadline

    @property
    def has_unpublished_transitions(self) -> bool:
        """Whether the database, or who reads what is published, may not know yet what state the order is in."""
        return self.owes_publication or any(isinstance(entry.event, OrderStateChanged) for entry in self.unpublished)

    @property
    def held_events(self) -> int:
        """Number of events that are not decided."""
        return len(self.inbox) + len(self.held)

    def has_decided(self, event: InboundEvent) -> bool:
        """Whether an event of this id and type was decided before."""
        return self.seen.get(_key(event.event_id)) == event.type or identity_of(event.event_id, event.type) in self.seen

    def reuses_an_id(self, event: InboundEvent) -> bool:
        """Whether the event's id was used for an event of another type, which was decided before."""
        return self.seen.get(_key(event.event_id), event.type) != event.type

    def held_under(self, event_id: str) -> InboundEvent | None:
        """The first event of this id that waits for its time; None where none does."""
        return next((event for event in self.held if event.event_id == event_id), None)

    def remember(self, event_id: str, event_type: str, *, reused: bool = False) -> None:
        """Notes that an event is decided, and forgets the oldest beyond the bound.

        Args:
            event_id: the event's.
            event_type: the event's.
            reused: whether it was refused because its id belongs to an event of another type, decided or held.
        """
        self.seen[identity_of(event_id, event_type) if reused else _key(event_id)] = event_type
        while len(self.seen) > SEEN_EVENTS_MAX:
            del self.seen[next(iter(self.seen))]

    def release_held(self) -> None:
        """Puts the events that came too early back in front of the inbox."""
        self.inbox, self.held = [*self.held, *self.inbox], []

    def seconds_left(self, now: datetime) -> float:
        """Seconds until the step's deadline, never negative; 0 without a deadline."""
        return 0.0 if self.deadline is None else max(0.0, (self.deadline - now).total_seconds())


def with_undecided_only(state: OrderRunState) -> OrderRunState:
    """A state with nothing but the events whose outcome is not recorded; all else is looked up anew.

    For a run whose decisions were overtaken by another run: the same events are decided again, by the records.
    """
    undecided = [*state.undelivered_outcomes.values(), *state.held, *state.inbox]
    return OrderRunState(order_id=state.order_id, inbox=undecided, conflicts=state.conflicts)


def identity_of(event_id: str, event_type: str) -> str:
    """What two events have in common that are one; no event id holds the NUL between the parts."""
    return _key(f"{event_type}\0{event_id}")


def _key(text: str) -> str:
    return text if len(text) <= SEEN_KEY_MAX_CHARS else hashlib.sha256(text.encode()).hexdigest()


class OrderRunInput(OrderWorkflowInput):
    """What the workflow takes: what a starter sends, and the state of the run that it continues."""

    continued: OrderRunState | str | None = None
    """State of the run that this one continues; None for a first run. Where no payload would hold it,
    its JSON compressed, in base64. Builds before 0.2.0 cannot read that, and leave the run to newer ones."""

    def state(self) -> OrderRunState:
        """The state that the run begins with."""
        if isinstance(self.continued, str):
            return OrderRunState.model_validate_json(zlib.decompress(base64.b64decode(self.continued)))
        return self.continued or OrderRunState(order_id=self.order_id)

    def carrying(self, state: OrderRunState) -> "OrderRunInput":
        """The input of the run that goes on from a state.

        What waits to be published in an outage is large because it repeats itself: the same names of fields, and each
        decision beside the event that it is about. Compressed it takes between a tenth and a half.
        """
        text = state.model_dump_json().encode()
        fits = len(text) <= CARRIED_BYTES_MAX
        packed = "" if fits else base64.b64encode(zlib.compress(text)).decode()
        return self.model_copy(update={"continued": state if fits else packed})

    @property
    def fits(self) -> bool:
        """Whether it may be handed over."""
        return not isinstance(self.continued, str) or len(self.continued) <= CARRIED_BYTES_MAX
