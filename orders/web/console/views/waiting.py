"""Orders that wait for a person's approval. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from activities.adapters.postgres.reader import OrderRecord
from orders.errors import UsageError
from orders.web.console.rendering.money import money
from orders.web.console.rendering.words import STATES
from schemas.order import Address, Item
from schemas.states import OrderState

ITEMS_SHOWN: Final = 3
"""Lines of an order that its row in the list names; the order's own page has all."""


def dom_id(order_id: str) -> str:
    """The id of the element that stands for an order: a digest, as in a selector an order's own id may mean more."""
    return f"order-{hashlib.sha256(order_id.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Shown:
    """An order as a person saw it: the decision counts for this, and for nothing that came since."""

    order_id: str
    sequence: int

    @property
    def token(self) -> str:
        """The order as a form's field holds it."""
        return f"{self.sequence}:{self.order_id}"

    @classmethod
    def parse(cls, token: str) -> "Shown":
        """The order from what a form has sent.

        Raises:
            UsageError: it is none of ours.
        """
        sequence, colon, order_id = token.partition(":")
        if not (colon and order_id and sequence.isascii() and sequence.isdecimal() and len(sequence) < 10):  # noqa: PLR2004 - what an integer column holds
            raise UsageError("the form names no order: load the page again, and decide once more")
        return cls(order_id, int(sequence))


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """A row of the list."""

    order_id: str
    sequence: int
    amount: str | None
    """None where the order does not say what it costs."""
    items: tuple[str, ...]
    items_left: int
    customer: str | None
    address: str | None
    since: datetime
    deadline: datetime | None
    """None for an order of a version that did not record it."""
    left: timedelta | None

    @property
    def dom_id(self) -> str:
        """The id of its element on the page."""
        return dom_id(self.order_id)

    @property
    def token(self) -> str:
        """What a form says of it."""
        return Shown(self.order_id, self.sequence).token

    @property
    def is_over(self) -> bool:
        """Whether its time for approval is over."""
        return self.left is not None and self.left <= timedelta(0)


@dataclass(frozen=True, slots=True)
class GoneOrder:
    """An order that stood in the list a moment ago. It keeps its place a while: nothing moves under a hand."""

    order_id: str
    state: OrderState
    decided_by: str | None

    @property
    def dom_id(self) -> str:
        """The id of its element on the page."""
        return dom_id(self.order_id)

    @property
    def words(self) -> str:
        """What became of it."""
        if self.state in (OrderState.EXPIRED, OrderState.REJECTED):
            return STATES[self.state]
        verb = "cancelled" if self.state is OrderState.CANCELLED else "approved"
        return f"{verb} by {self.decided_by}" if self.decided_by else verb


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """A page of the list, as a window shows it."""

    now: datetime
    orders: tuple[WaitingOrder | GoneOrder, ...]
    total: int
    is_more: bool
    """Whether there are more than `total`, which is as far as they were counted."""
    longest: timedelta | None
    """How long the one that waits longest has waited."""
    after: str | None
    """The cursor of this page; None for the first."""
    following: str | None
    """The cursor of the next page; None for the last."""
    may_decide: bool
    batch: str
    """Names what this page's forms send, so that a form that is sent twice is one decision."""

    @property
    def digest(self) -> str:
        """Tells this content from another: the same as long as nothing but time has passed."""
        told = (self.total, self.after, self.following, self.may_decide)
        rows = [(type(one).__name__, one.order_id, getattr(one, "sequence", 0)) for one in self.orders]
        return hashlib.sha256(repr((told, rows)).encode("utf-8", "backslashreplace")).hexdigest()[:16]

    @property
    def waiting(self) -> tuple[WaitingOrder, ...]:
        """Those that can be decided."""
        return tuple(one for one in self.orders if isinstance(one, WaitingOrder))


def waiting_order(record: OrderRecord, now: datetime) -> WaitingOrder:
    """The row of an order."""
    details = record.details
    deadline = record.approval_deadline
    return WaitingOrder(
        order_id=record.order_id,
        sequence=record.last_sequence,
        amount=money(details.amount, details.currency) if details.is_priced else None,
        items=tuple(item_line(item) for item in details.items[:ITEMS_SHOWN]),
        items_left=max(0, len(details.items) - ITEMS_SHOWN),
        customer=details.customer_id,
        address=address_line(details.address),
        since=record.created_at,
        deadline=deadline,
        left=None if deadline is None else deadline - now,
    )


def with_gone(
    orders: Sequence[WaitingOrder], gone: Sequence[GoneOrder], before: Sequence[str]
) -> tuple[WaitingOrder | GoneOrder, ...]:
    """The list with those that have gone from it, each behind the one that it stood behind.

    Args:
        orders: those that wait now.
        gone: those that have gone a moment ago.
        before: the ids of the list as it was shown last, in its order.
    """
    shown: list[WaitingOrder | GoneOrder] = list(orders)
    leaving = {one.order_id: one for one in gone}
    for position, order_id in enumerate(before):
        if order_id not in leaving:
            continue
        ahead = set(before[:position])
        behind = max((index + 1 for index, one in enumerate(shown) if one.order_id in ahead), default=0)
        shown.insert(behind, leaving[order_id])
    return tuple(shown)


def item_line(item: Item) -> str:
    """An item in a few words."""
    return f"{item.quantity:,} \N{MULTIPLICATION SIGN} {item.sku}"


def address_line(address: Address) -> str | None:
    """An address on one line; None where none is known."""
    parts = (address.street, " ".join(filter(None, (address.zip_code, address.city))), address.state, address.country)
    return ", ".join(part for part in parts if part) or None
