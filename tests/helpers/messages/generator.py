"""A seeded generator of orders over all branches, with what must become of each order and each record.

Records come in phases. Before each phase but the first the system has read all that came before, so that "earlier" and
"later" mean something over topics; within a phase, orders and topics are mixed.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.event_types import EventType
from tests.helpers.messages.messages import MALFORMATIONS, Encoding, message_of
from tests.helpers.messages.plan import EARLY, LATE, MAIN, Plan, PlannedOrder, PlannedRecord

AMOUNT_MAX = 1_000_000
"""The ``ORDER_AMOUNT_MAX`` that the generator counts on: an order above it is REJECTED."""
CREATED, APPROVED, CANCELLED = EventType.ORDER_CREATED, EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED
ADDRESS_UPDATED = EventType.ORDER_ADDRESS_UPDATED
_NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass(slots=True)
class _Draft:
    """One order being planned: a scenario adds its records."""

    rng: random.Random
    order_id: str
    personal: str
    records: list[PlannedRecord] = field(default_factory=list)
    states: frozenset[str | None] = frozenset()
    address: dict[str, str] | None = None
    rival: str | None = None

    def event(
        self,
        event_type: EventType,
        body: dict[str, Any] | None = None,
        *,
        phase: int = MAIN,
        fates: str = "applied",
        identified: bool = False,
        ordered: bool = False,
        occurred_at: datetime | None = None,
    ) -> PlannedRecord:
        """Adds a valid record.

        Args:
            event_type: What happened.
            body: Beside the order's id.
            phase: When it comes.
            fates: What may become of it, with ``|`` between.
            identified: Whether it must have an id of its own, so that it can come again.
            ordered: Whether it must stay behind the order's earlier records of this type, which needs a key.
            occurred_at: When it happened upstream; None for when it is produced.
        """
        encoding = self.rng.choice(list(Encoding))
        anonymous = encoding is Encoding.BARE and not identified and self.rng.random() < 0.5
        message = message_of(
            event_type,
            {"order_id": self.order_id, **(body or {})},
            encoding=encoding,
            event_id=None if anonymous else f"{self.order_id}-{event_type}-{len(self.records)}",
            occurred_at=None if occurred_at is None else occurred_at.isoformat(),
            with_key=ordered or self.rng.random() < 0.7,
        )
        planned = PlannedRecord(phase, event_type, message, self.order_id, frozenset(fates.split("|")))
        self.records.append(planned)
        return planned

    def created(self, *, phase: int = MAIN, fates: str = "applied", **fields: Any) -> PlannedRecord:
        """Adds the order itself, of a random shape where the fields leave it open."""
        body: dict[str, Any] = {"payment_id": f"p-{self.order_id}"}
        if self.rng.random() < 0.6:
            body["customer_id"] = f"customer {self.personal}"
        if self.rng.random() < 0.5:
            body["currency"] = self.rng.choice(["EUR", "JPY", "KWD"])
        if self.rng.random() < 0.5:
            body["items"] = [
                {"sku": f"sku-{number}", "quantity": self.rng.randint(1, 5), "unit_amount": self.rng.randint(0, 9_999)}
                for number in range(self.rng.randint(1, 4))
            ]
        else:
            body["amount"] = self.rng.randint(0, AMOUNT_MAX)
        if "amount" not in body and self.rng.random() < 0.5:
            body["adjustments"] = [{"kind": "shipping", "amount": self.rng.randint(0, 999)}]
        return self.event(CREATED, body | fields, phase=phase, fates=fates, identified=True, ordered=True)

    def approved(
        self, *, phase: int = MAIN, fates: str = "applied", identified: bool = False, ordered: bool = False
    ) -> PlannedRecord:
        """Adds an approval."""
        body = {"approved_by": f"approver {self.personal}"} if self.rng.random() < 0.5 else {}
        return self.event(APPROVED, body, phase=phase, fates=fates, identified=identified, ordered=ordered)

    def cancelled(self, *, phase: int = MAIN, fates: str = "applied") -> PlannedRecord:
        """Adds a cancellation."""
        return self.event(CANCELLED, {"reason": f"because {self.personal}"}, phase=phase, fates=fates)

    def repeat(self, planned: PlannedRecord, *, phase: int = MAIN) -> None:
        """Adds the very same record again: it shares the first one's fate, and changes nothing."""
        self.records.append(PlannedRecord(phase, planned.event_type, planned.message, planned.order_id, planned.fates))

    def street(self) -> str:
        """A street that nobody else lives in."""
        return f"{self.rng.randint(1, 999)} {self.personal} Street"

    def ends(self, *states: str | None) -> None:
        """Says how the order may end."""
        self.states = frozenset(states)


def _approved(draft: _Draft) -> None:
    draft.created()
    draft.approved()
    draft.ends("COMPLETED")


def _approved_first(draft: _Draft) -> None:
    draft.approved(phase=EARLY)
    draft.created()
    draft.ends("COMPLETED")


def _cancelled(draft: _Draft) -> None:
    draft.created()
    draft.cancelled()
    draft.ends("CANCELLED")


def _cancelled_first(draft: _Draft) -> None:
    draft.cancelled(phase=EARLY)
    draft.created()
    draft.ends("CANCELLED")


def _cancelled_late(draft: _Draft) -> None:
    draft.created()
    draft.approved()
    draft.cancelled(phase=LATE, fates="rejected order_closed")
    draft.ends("COMPLETED")


def _cancel_meets_approval(draft: _Draft) -> None:
    draft.created()
    draft.approved(fates="applied|rejected order_closed")
    draft.cancelled(fates="applied|rejected already_charged|rejected order_closed")
    draft.ends("COMPLETED", "CANCELLED")


def _address_first(draft: _Draft) -> None:
    street = draft.street()
    draft.event(ADDRESS_UPDATED, {"address": {"city": "Ghent"}}, phase=EARLY, ordered=True)
    draft.event(ADDRESS_UPDATED, {"address": {"street": street}}, phase=EARLY, ordered=True)
    draft.created(shipping_address={"street": "1 Old Lane", "country": "BE"})
    draft.approved()
    draft.address = {"street": street, "city": "Ghent", "country": "BE"}
    draft.ends("COMPLETED")


def _address_in_time(draft: _Draft) -> None:
    draft.created(phase=EARLY, shipping_address={"city": "Lier"})
    draft.event(ADDRESS_UPDATED, {"address": {"zip_code": "2500"}}, phase=EARLY)
    draft.approved()
    draft.address = {"city": "Lier", "zip_code": "2500"}
    draft.ends("COMPLETED")


def _address_meets_approval(draft: _Draft) -> None:
    draft.created()
    draft.approved()
    fates = "applied|rejected already_shipping|rejected order_closed"
    draft.event(ADDRESS_UPDATED, {"address": {"street": draft.street()}}, fates=fates)
    draft.ends("COMPLETED")


def _stale_address(draft: _Draft) -> None:
    street = draft.street()
    draft.event(ADDRESS_UPDATED, {"address": {"street": street}}, phase=EARLY, ordered=True, occurred_at=_NOON)
    draft.event(
        ADDRESS_UPDATED,
        {"address": {"street": "older"}},
        phase=EARLY,
        ordered=True,
        occurred_at=_NOON - timedelta(seconds=1),
        fates="rejected stale",
    )
    draft.created()
    draft.approved()
    draft.address = {"street": street}
    draft.ends("COMPLETED")


def _declined(draft: _Draft) -> None:
    draft.created(payment_id=f"decline-{draft.order_id}")
    draft.approved()
    draft.ends("PAYMENT_DECLINED")


def _slow_payment(draft: _Draft) -> None:
    draft.created(payment_id=f"slow-{draft.order_id}")
    draft.approved()
    draft.ends("COMPLETED")


def _never_ships(draft: _Draft) -> None:
    draft.created(shipping_address={"zip_code": "FAIL0"})
    draft.approved()
    draft.ends("REFUNDED")


def _ships_at_third_attempt(draft: _Draft) -> None:
    draft.created(shipping_address={"zip_code": "FLAKY"})
    draft.approved()
    draft.ends("COMPLETED")


def _nobody_approves(draft: _Draft) -> None:
    draft.created(phase=EARLY)
    draft.ends("EXPIRED")


def _too_expensive(draft: _Draft) -> None:
    draft.created(amount=AMOUNT_MAX + 1, items=[])
    draft.ends("REJECTED")


def _repeated(draft: _Draft) -> None:
    created = draft.created()
    draft.repeat(created)
    approval = draft.approved(identified=True)
    draft.repeat(approval)
    draft.repeat(approval, phase=LATE)
    draft.repeat(created, phase=LATE)
    draft.ends("COMPLETED")


def _one_id_for_two_types(draft: _Draft) -> None:
    """As of people who take the order's id for the id of each event."""
    placed = {"payment_id": f"p-{draft.order_id}", "amount": 5}
    for phase, event_type, body, fate in (
        (EARLY, CREATED, placed, "applied"),
        (MAIN, CANCELLED, {}, "rejected event_id_reused"),
    ):
        message = message_of(event_type, {"order_id": draft.order_id, **body}, event_id=draft.order_id)
        draft.records.append(PlannedRecord(phase, event_type, message, draft.order_id, frozenset({fate})))
    draft.approved()
    draft.ends("COMPLETED")


def _created_twice(draft: _Draft) -> None:
    draft.created(amount=1, items=[])
    draft.created(amount=2, items=[], fates="rejected duplicate_order|rejected order_closed")
    draft.approved()
    draft.ends("COMPLETED")


def _approved_twice(draft: _Draft) -> None:
    draft.created()
    draft.approved(ordered=True)
    draft.approved(ordered=True, fates="rejected already_approved|rejected order_closed")
    draft.ends("COMPLETED")


def _created_again_late(draft: _Draft) -> None:
    draft.created()
    draft.approved()
    draft.created(phase=LATE, fates="rejected duplicate_order|rejected order_closed")
    draft.ends("COMPLETED")


def _orphan(draft: _Draft) -> None:
    draft.event(draft.rng.choice([APPROVED, CANCELLED]), phase=EARLY, fates="rejected unknown_order")
    draft.ends(None)


def _order_after_its_orphan(draft: _Draft) -> None:
    draft.approved(phase=EARLY, fates="rejected unknown_order")
    draft.created(phase=LATE)
    draft.approved(phase=LATE)
    draft.ends("COMPLETED")


def _one_payment_for_two(draft: _Draft) -> None:
    draft.created(payment_id=f"p-shared-{draft.rival}", amount=700, items=[], currency="USD")
    draft.approved()
    draft.ends("COMPLETED", "PAYMENT_DECLINED")


def _named_like_a_child(draft: _Draft) -> None:
    """One order's id is what the other one's shipping attempt is called."""
    draft.created(amount=700, items=[])
    draft.approved()
    draft.ends("COMPLETED")


def _malformed(draft: _Draft) -> None:
    kind = MALFORMATIONS[draft.rng.choice(list(MALFORMATIONS))]
    draft.records.append(
        PlannedRecord(MAIN, CREATED, kind.make(draft.order_id), draft.order_id, frozenset({f"dead {kind.error_code}"}))
    )
    draft.ends(None)


Scenario = Callable[[_Draft], None]

SCENARIOS: dict[str, tuple[Scenario, int]] = {
    "approved": (_approved, 12),
    "approved first": (_approved_first, 3),
    "cancelled": (_cancelled, 3),
    "cancelled first": (_cancelled_first, 2),
    "cancelled late": (_cancelled_late, 2),
    "cancel meets approval": (_cancel_meets_approval, 3),
    "address first": (_address_first, 2),
    "address in time": (_address_in_time, 2),
    "address meets approval": (_address_meets_approval, 3),
    "stale address": (_stale_address, 2),
    "declined": (_declined, 2),
    "slow payment": (_slow_payment, 1),
    "never ships": (_never_ships, 2),
    "ships at the third attempt": (_ships_at_third_attempt, 2),
    "nobody approves": (_nobody_approves, 2),
    "too expensive": (_too_expensive, 1),
    "repeated": (_repeated, 4),
    "one id for two types": (_one_id_for_two_types, 2),
    "created twice": (_created_twice, 2),
    "approved twice": (_approved_twice, 2),
    "created again late": (_created_again_late, 2),
    "orphan": (_orphan, 2),
    "order after its orphan": (_order_after_its_orphan, 1),
    "one payment for two": (_one_payment_for_two, 1),
    "named like a child": (_named_like_a_child, 2),
    "malformed": (_malformed, 4),
}
"""Each scenario with its weight among the random ones; a plan that is large enough has each at least once."""


PAIRS = {"one payment for two": "{}-rival", "named like a child": "shipping:{}:1"}
"""Scenarios of two orders, and what the second one is called."""


def make_plan(seed: int, orders: int, *, without: Sequence[str] = ()) -> Plan:
    """Makes a plan: the same for the same arguments, always.

    Args:
        seed: Everything random comes from it; order ids hold it, so that plans do not meet.
        orders: How many orders; from ``len(SCENARIOS)`` on every scenario occurs.
        without: Scenarios that are left out.
    """
    rng = random.Random(seed)  # noqa: S311 -- reproducible on purpose
    personal = f"Pers{seed:x}onal"
    weights = {name: weight for name, (_, weight) in SCENARIOS.items() if name not in without}
    names = [*weights, *rng.choices(list(weights), list(weights.values()), k=orders)][:orders]
    drafts: list[tuple[str, _Draft]] = []
    rivals: list[tuple[str, str]] = []
    for number, name in enumerate(names):
        draft = _Draft(rng, f"o-{seed:x}-{number}", personal)
        drafts.append((name, draft))
        if name in PAIRS:
            other = _Draft(rng, PAIRS[name].format(draft.order_id), personal, rival=draft.order_id)
            draft.rival = draft.order_id
            drafts.append((name, other))
            if name == "one payment for two":
                rivals.append((draft.order_id, other.order_id))
    for name, draft in drafts:
        SCENARIOS[name][0](draft)
    return Plan(
        seed=seed,
        records=tuple(_mixed(rng, [draft.records for _, draft in drafts])),
        orders=tuple(PlannedOrder(draft.order_id, name, draft.states, draft.address) for name, draft in drafts),
        rivals=tuple(rivals),
        confidential=(personal,),
    )


def _mixed(rng: random.Random, records: list[list[PlannedRecord]]) -> list[PlannedRecord]:
    """All orders' records, by phase; at random within one, but each order's own in their order."""
    mixed: list[PlannedRecord] = []
    for phase in (EARLY, MAIN, LATE):
        waiting = [[one for one in of_order if one.phase == phase] for of_order in records]
        turns = [index for index, of_order in enumerate(waiting) for _ in of_order]
        rng.shuffle(turns)
        queues = [iter(of_order) for of_order in waiting]
        mixed.extend(next(queues[index]) for index in turns)
    return mixed
