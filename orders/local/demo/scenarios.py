"""What the demonstration sends, and what is to become of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orders.operations.messages import Encoding
from schemas.event_types import EventType
from schemas.states import PaymentStatus, ReasonCode

HELD: Final = "held"
"""A step's gate: the order's workflow is there, and waits for its ``order.created``."""

ADDRESS_CHANGED: Final = "address changed"
_ACCEPTED: Final = ("RECEIVED", "VALIDATED")
_SHIPPED: Final = ("PACKAGE_PREPARED", "CARRIER_DISPATCHED", "SHIPPED", "COMPLETED")
_COMPLETED: Final = (*_ACCEPTED, "APPROVED", "PAID", *_SHIPPED)

LISBON: Final = {"street": "Rua Augusta 1", "city": "Lisbon", "zip_code": "1100-048", "country": "PT"}


def refused(reason: ReasonCode) -> str:
    """How a refused event is told among an order's events."""
    return f"refused ({reason})"


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a scenario."""

    event_type: EventType
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of the body, beside the order_id."""
    after: str | None = None
    """What must have been published of the order before it is sent, or `HELD`; None: at once."""
    times: int = 1
    """How often it is sent."""
    encoding: Encoding = Encoding.BARE
    by_console: bool = False
    """Whether Kafka's own console producer sends it."""
    raw: bytes | None = None
    """Sent as it is, in the body's place."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One order, or one bad message, and what is expected of it."""

    name: str
    """Part of its order id."""
    title: str
    steps: tuple[Step, ...]
    events: tuple[str, ...] = ()
    """The order's events, in order: states, `ADDRESS_CHANGED`, or `refused`."""
    payment: PaymentStatus | None = None
    """None: there is no payment."""
    address: str | None = None
    """In the order's result; None: not looked at."""
    shipping_attempts: int | None = None
    """None: not looked at."""
    dead_letter: str | None = None
    """The error code of the dead letter that is expected; None: the scenario is an order."""

    def order_id(self, run: str) -> str:
        """The order's id in one run of the demonstration, new each time."""
        return f"demo-{run}-{self.name}"


def scenarios(run: str) -> tuple[Scenario, ...]:
    """Every scenario of the demonstration.

    Args:
        run: tells one run of the demonstration from another.
    """
    payment = {"payment_id": f"pay-{run}", "items": [{"sku": "mug", "quantity": 2, "unit_amount": 1250}]}

    def created(name: str, address: Mapping[str, str] = LISBON, **more: Any) -> Step:
        fields = {**payment, "payment_id": f"pay-{run}-{name}", "shipping_address": dict(address)}
        return Step(EventType.ORDER_CREATED, {**fields, **more.pop("fields", {})}, **more)

    def approved(after: str | None = "VALIDATED", **more: Any) -> Step:
        return Step(EventType.ORDER_APPROVED, {"approved_by": "ada"}, after=after, **more)

    return (
        *_approvals(created, approved),
        *_endings(created, approved, run),
        *_oddities(created, run),
    )


def _approvals(created: Any, approved: Any) -> tuple[Scenario, ...]:
    cancelled = Step(EventType.ORDER_CANCELLED, {"reason": "changed my mind"}, after="VALIDATED")
    moved = Step(EventType.ORDER_ADDRESS_UPDATED, {"address": {"street": "Rua do Carmo 2"}}, after="VALIDATED")
    return (
        Scenario(
            "approved",
            "approved (sent by Kafka's console producer)",
            (created("approved", by_console=True), approved()),
            _COMPLETED,
            PaymentStatus.CHARGED,
        ),
        Scenario(
            "cancelled",
            "cancelled before payment",
            (created("cancelled", encoding=Encoding.BINARY), cancelled),
            (*_ACCEPTED, "CANCELLED"),
        ),
        Scenario(
            "moved",
            "address updated before shipping",
            (created("moved"), moved, approved(ADDRESS_CHANGED)),
            (*_ACCEPTED, ADDRESS_CHANGED, "APPROVED", "PAID", *_SHIPPED),
            PaymentStatus.CHARGED,
            address="Rua do Carmo 2, Lisbon, 1100-048, PT",
        ),
        Scenario("ignored", "nobody approves", (created("ignored"),), (*_ACCEPTED, "EXPIRED")),
        Scenario(
            "early",
            "approval sent before its order",
            (approved(None), created("early", after=HELD)),
            _COMPLETED,
            PaymentStatus.CHARGED,
        ),
    )


def _endings(created: Any, approved: Any, run: str) -> tuple[Scenario, ...]:
    return (
        Scenario(
            "flaky",
            "shipping fails twice, then works",
            (created("flaky", {**LISBON, "zip_code": "FLAKY"}), approved(encoding=Encoding.STRUCTURED)),
            _COMPLETED,
            PaymentStatus.CHARGED,
            shipping_attempts=3,
        ),
        Scenario(
            "unshippable",
            "shipping fails three times",
            (created("unshippable", {**LISBON, "zip_code": "FAIL0"}), approved()),
            (*_ACCEPTED, "APPROVED", "PAID", "PACKAGE_PREPARED", "SHIPPING_FAILED", "REFUNDED"),
            PaymentStatus.REFUNDED,
            shipping_attempts=3,
        ),
        Scenario(
            "declined",
            "payment declined",
            (created("declined", fields={"payment_id": f"decline-{run}"}), approved()),
            (*_ACCEPTED, "APPROVED", "PAYMENT_DECLINED"),
            PaymentStatus.DECLINED,
        ),
        Scenario(
            "late",
            "cancelled after its end",
            (created("late"), approved(), Step(EventType.ORDER_CANCELLED, after="COMPLETED")),
            (*_COMPLETED, refused(ReasonCode.ORDER_CLOSED)),
            PaymentStatus.CHARGED,
        ),
    )


def _oddities(created: Any, run: str) -> tuple[Scenario, ...]:
    return (
        Scenario(
            "twice",
            "the same messages twice",
            (
                created("twice", fields={"event_id": f"created-{run}"}, times=2),
                Step(
                    EventType.ORDER_APPROVED,
                    {"approved_by": "ada", "event_id": f"approved-{run}"},
                    after="VALIDATED",
                    times=2,
                ),
            ),
            _COMPLETED,
            PaymentStatus.CHARGED,
        ),
        Scenario(
            "malformed",
            "a malformed message",
            (Step(EventType.ORDER_CREATED, raw=f'{{"order_id": "demo-{run}-malformed", "payment_id": '.encode()),),
            dead_letter="json_truncated",
        ),
    )
