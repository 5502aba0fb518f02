"""A plan of records: what is produced, in which phase, and what must become of each order and each record."""

from dataclasses import dataclass

from schemas.event_types import EventType
from tests.helpers.messages.messages import Message

EARLY, MAIN, LATE = range(3)
"""Phases. `LATE` begins when every order that came before is at its end."""


@dataclass(frozen=True, slots=True)
class PlannedRecord:
    """A record to be produced, and what may become of it."""

    phase: int
    event_type: EventType
    message: Message
    order_id: str
    fates: frozenset[str]
    """``applied``, ``rejected order_closed``, ``dead json_truncated`` ...: one of them must come true."""


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """An order, and how it may end."""

    order_id: str
    scenario: str
    states: frozenset[str | None]
    """Final states, one of which must be reached; None where nothing was ever accepted."""
    address: dict[str, str] | None = None
    """The address it must have at the end; None where that is open."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed stands for."""

    seed: int
    records: tuple[PlannedRecord, ...]
    """In the order in which they are produced."""
    orders: tuple[PlannedOrder, ...]
    rivals: tuple[tuple[str, str], ...]
    """Pairs of orders with one payment id: exactly one of each is COMPLETED."""
    confidential: tuple[str, ...]
    """Personal data in the messages: must turn up in no log."""
