"""An order's rules a second time, in a few lines, written from the published contract and not from the workflow's code.

The model knows no inbox, no batches, no retries and no Temporal: only what comes in, what our own activities come to,
and how time passes. What it says goes out is compared with what the real workflow published (`test_model`).
"""

from dataclasses import dataclass, field, replace
from typing import Final

from schemas.event_types import EventType
from schemas.outbound import OutboundType
from schemas.states import OrderState, ReasonCode
from tests.workflow.workbench.words import ADDRESS, APPROVED, CANCELLED, CREATED, Out, Payment, Sent, who_decides

State = OrderState
Reason = ReasonCode

APPROVAL_MINUTES: Final = 150
EARLY_MINUTES: Final = 200
RETRY_MINUTES: Final = 70
ATTEMPTS: Final = 3
ARRIVAL: Final = 1_000
"""When a model's time begins, on the clock of the events: one without a time happens on arrival, after all others."""
AHEAD: Final = 10_000_000
"""The time of an event whose sender's clock is years ahead: it counts as of its arrival."""


@dataclass
class Model:
    """One order. `activity` is what it has under way; without one it waits for an event or for `deadline`."""

    is_running: bool = False
    is_terminated: bool = False
    out: list[Out] = field(default_factory=list)
    state: State | None = None
    activity: str | None = None
    is_published: bool = True
    """Whether what goes out arrives at once: nothing that costs money is begun before what led to it is out."""
    postponed: str | None = None
    """The activity that begins when everything is out."""
    deadline: int | None = None
    approval_deadline: int = 0
    """As it was published with VALIDATED: the same for every run of the order."""
    now: int = 0
    attempt: int = 0
    seen: set[tuple[str, EventType]] = field(default_factory=set)
    owners: dict[str, EventType] = field(default_factory=dict)
    """Of each id the type that it was first used for."""
    held: list[Sent] = field(default_factory=list)
    in_kafka: list[Sent] = field(default_factory=list)
    """Events that are in Kafka, and that nobody has handed over."""
    is_overdue: bool = False
    """Whether the deadline is over and nothing follows yet, as Kafka holds an event that could save the order."""
    created: Sent = field(default_factory=lambda: Sent("", CREATED))
    """The ``order.created`` that counts; its id is empty while there is none."""
    address: dict[str, str] = field(default_factory=dict)
    address_at: int = 0
    charges: int = 0
    refunds: int = 0
    _is_first: bool = False
    """Whether the event that is taken began the run of an order that has no events."""

    @property
    def over(self) -> bool:
        return self.state is not None and self.state.is_final

    def receive(self, event: Sent) -> None:
        """An event comes: it is applied, held, refused, or nothing at all where its id and type are known."""
        begins = not self.is_running and not self.over
        if begins:
            self._begin()
        self._is_first = begins and not self.out
        self._take(event)
        if begins and self.deadline is not None and self.deadline <= self.now:
            # The time was over before this run began; what it began with counts.
            self.deadline = None
            self._after_deadline()

    def _take(self, event: Sent) -> None:
        if (event.id, event.type) in self.seen:
            return
        arrival = self.now + ARRIVAL
        event = replace(event, at=arrival if event.at is None else min(event.at, arrival))
        self.seen.add((event.id, event.type))
        self.owners.setdefault(event.id, event.type)
        if self.activity in ("receive_order", "validate_order"):
            self.held.append(event)  # RECEIVED is an order's first transition.
        else:
            self._decide(event)

    def go(self) -> None:
        """The activity under way comes to its end."""
        activity, self.activity = self.activity, None
        getattr(self, f"_after_{activity}")()

    def publish(self, *, held: bool) -> None:
        """From now on what goes out is held up; or what was held up arrives."""
        self.is_published = not held
        if not held and self.postponed is not None:
            self.activity, self.postponed = self.postponed, None

    def hand_over(self) -> None:
        """The next event that is in Kafka comes, and whatever it brings about comes to its end."""
        # It is in Kafka still while the order takes it: its offset is committed afterwards.
        self.receive(self.in_kafka[0])
        self._finish()
        del self.in_kafka[0]

    def _finish(self) -> None:
        while self.activity is not None:
            self.go()

    def wait(self, minutes: int) -> None:
        """Time passes, and whatever the order has under way meanwhile comes to its end."""
        until = self.now + minutes
        if self.is_overdue and not self.in_kafka:
            self.is_overdue = False
            self._after_deadline()
        while self.activity is not None or (self.deadline is not None and self.deadline <= until):
            if self.activity is not None:
                self.go()
            else:
                self.now, self.deadline = self.deadline or self.now, None
                self._after_deadline()
        self.now = until

    @property
    def can_be_terminated(self) -> bool:
        """Whether the order is at rest, and not at its end."""
        return self.is_running and self.activity is None and not self.over

    def terminate(self) -> None:
        """The run is terminated: what it held undecided is lost to it, unless it comes again."""
        self.seen -= {(event.id, event.type) for event in self.held}
        for event in self.held:
            if self.owners.get(event.id) is event.type:
                del self.owners[event.id]
        self.held, self.deadline, self.is_running, self.is_terminated = [], None, False, True

    def _begin(self) -> None:
        """The order's first run, or the next one after a run that failed or was terminated."""
        self.is_running, self.is_terminated = True, False
        if self.state is None:
            self.deadline = self.now + EARLY_MINUTES
        elif self.state is State.VALIDATED:
            self.deadline = self.approval_deadline
        else:
            self.attempt, self.activity = 1, "prepare_package"

    def _decide(self, event: Sent) -> None:
        if any(one.id == event.id for one in self.held):
            self.held.append(event)  # Of an id the first event counts, and it waits.
            return
        reason = self._refusal(event)
        if reason is not None:
            self._refuse(event, reason)
        elif self._is_early(event):
            self.held.append(event)
        elif event.expected not in (None, len(self.out)):
            self._refuse(event, Reason.ORDER_CHANGED)
        elif event.type is CREATED:
            # Of an order that may be new all is done at once; else it is known, and only to be validated.
            self.activity = "receive_order" if self._is_first else "validate_order"
            self.created, self.deadline = event, None
            self.is_overdue = False
            self.address = dict(event.address)
        elif event.type is APPROVED:
            self._move(State.APPROVED, cause=event)
            self.deadline, self.is_overdue = None, False
            self._begin_outside("charge_payment")
        elif event.type is CANCELLED:
            self._end(State.CANCELLED, Reason.CANCELLED_BY_REQUEST, event)
        else:
            self.address |= event.address
            self.address_at = event.at or 0
            changed = dict(self.address)
            self.out.append(Out(OutboundType.ADDRESS_CHANGED, self.state, self.state, event.id, address=changed))

    def _is_early(self, event: Sent) -> bool:
        if self.state is None:
            return event.type is not CREATED
        return event.type is APPROVED and self.state is State.RECEIVED

    def _refusal(self, event: Sent) -> Reason | None:
        approved = self.state not in (None, State.RECEIVED, State.VALIDATED)
        refusals = {
            Reason.EVENT_ID_REUSED: self._reuses_an_id(event),
            Reason.INVALID: not event.valid,
            Reason.ORDER_CLOSED: self.over,
            Reason.DUPLICATE_ORDER: event.type is CREATED and self.created.id != "",
            Reason.ALREADY_APPROVED: event.type is APPROVED and approved,
            # What is postponed is not scheduled yet: its window is open.
            Reason.ALREADY_CHARGED: event.type is CANCELLED and approved and self.postponed != "charge_payment",
            Reason.ALREADY_SHIPPING: event.type is ADDRESS and self._is_shipping,
            Reason.STALE: event.type is ADDRESS and self.state is not None and (event.at or 0) < self.address_at,
        }
        return next((reason for reason, refused in refusals.items() if refused), None)

    @property
    def _is_shipping(self) -> bool:
        before = (None, State.RECEIVED, State.VALIDATED, State.APPROVED)
        return self.state not in before and self.postponed != "prepare_package"

    def _reuses_an_id(self, event: Sent) -> bool:
        return self.owners[event.id] is not event.type

    def _decide_held(self) -> None:
        """What came too early is decided in its order."""
        held, self.held = self.held, []
        for event in held:
            self._decide(event)

    def _begin_outside(self, activity: str) -> None:
        if self.is_published:
            self.activity = activity
        else:
            self.postponed = activity

    def _after_receive_order(self) -> None:
        if self.created.is_priced and not self.created.over_limit:
            self._move(State.RECEIVED, cause=self.created)
            self._validated()
        else:
            self._after_validate_order()

    def _after_validate_order(self) -> None:
        self._move(State.RECEIVED, cause=self.created)
        self._decide_held()
        if self.over:
            return
        if not self.created.is_priced:
            self._end(State.REJECTED, Reason.AMOUNT_MISSING)
            return
        if self.created.over_limit:
            self._end(State.REJECTED, Reason.AMOUNT_OVER_LIMIT)
            return
        self._validated()

    def _validated(self) -> None:
        self._move(State.VALIDATED)
        self.deadline = self.approval_deadline = self.now + APPROVAL_MINUTES
        self._decide_held()

    def _after_charge_payment(self) -> None:
        payment = self.created.payment
        self.charges = int(payment in (Payment.FINE, Payment.LOST))
        if payment in (Payment.LOST, Payment.AWAY):
            self.activity = "refund_payment"
        elif payment is Payment.FINE:
            self._move(State.PAID)
            self.attempt = 1
            self._begin_outside("prepare_package")
        else:
            declined = payment is Payment.DECLINED
            self._end(State.PAYMENT_DECLINED, Reason.CARD_DECLINED if declined else Reason.PAYMENT_ID_CONFLICT)

    def _after_refund_payment(self) -> None:
        self.refunds = self.charges
        if self.state is State.APPROVED:
            self._end(State.PAYMENT_DECLINED, Reason.PAYMENT_OUTCOME_UNKNOWN)
        else:
            self._end(State.REFUNDED, Reason.SHIPPING_ATTEMPTS_EXHAUSTED)

    def _after_prepare_package(self) -> None:
        if self.address.get("zip_code") == "AWAY":
            self._attempt_failed()
            return
        if self.state is State.PAID:
            self._move(State.PACKAGE_PREPARED)
        self.activity = "dispatch_carrier"

    def _after_dispatch_carrier(self) -> None:
        zip_code = self.address.get("zip_code")
        if zip_code == "FAIL0" or (zip_code == "FLAKY" and self.attempt < ATTEMPTS):
            self._attempt_failed()
        else:
            self._move(State.CARRIER_DISPATCHED)
            self._move(State.SHIPPED)
            self._end(State.COMPLETED)

    def _attempt_failed(self) -> None:
        if self.attempt < ATTEMPTS:
            self.deadline = self.now + RETRY_MINUTES
        else:
            self._move(State.SHIPPING_FAILED, Reason.SHIPPING_ATTEMPTS_EXHAUSTED)
            self._begin_outside("refund_payment")

    def _could_be_saved(self) -> bool:
        saving = {None: {CREATED}, State.VALIDATED: {APPROVED, CANCELLED}}.get(self.state, set())
        return any(event.type in saving for event in self.in_kafka)

    def _after_deadline(self) -> None:
        if self._could_be_saved():
            self.is_overdue = True
        elif self.state is None:
            held, self.held, self.is_running = self.held, [], False
            for event in held:
                self._refuse(event, Reason.EVENT_ID_REUSED if self._reuses_an_id(event) else Reason.UNKNOWN_ORDER)
        elif self.state is State.VALIDATED:
            self._end(State.EXPIRED, Reason.APPROVAL_TIMED_OUT)
        else:
            self.attempt, self.activity = self.attempt + 1, "prepare_package"

    def _refuse(self, event: Sent, reason: Reason) -> None:
        self.out.append(
            Out(OutboundType.EVENT_REJECTED, self.state, self.state, event.id, reason, by=who_decides(event))
        )

    def _move(self, state: State, reason: Reason | None = None, cause: Sent | None = None) -> None:
        cause_id, by = (cause.id, who_decides(cause)) if cause else (None, None)
        minutes = APPROVAL_MINUTES if state is State.VALIDATED else None
        moved = Out(
            OutboundType.STATE_CHANGED, self.state, state, cause_id, reason, by=by, approval_minutes=minutes
        )  # fmt: skip
        self.out.append(moved)
        self.state = state

    def _end(self, state: State, reason: Reason | None = None, cause: Sent | None = None) -> None:
        """The last transition; what was held for later comes too late."""
        self._move(state, reason, cause)
        self.activity = self.postponed = self.deadline = None
        self.is_overdue = False
        self._decide_held()
