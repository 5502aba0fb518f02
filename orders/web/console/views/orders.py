"""Orders found by a search, by state and by age. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from activities.adapters.postgres.reader import OrderRecord
from orders.web.console.rendering.money import money
from schemas.states import OrderState

AGES: Final[Mapping[str, str]] = {
    "": "any",
    "1h": "placed in the last hour",
    "1d": "placed in the last day",
    "7d": "placed in the last 7 days",
    "still-1h": "unchanged for over an hour",
    "still-1d": "unchanged for over a day",
    "still-7d": "unchanged for over 7 days",
}
"""The ages that the filter offers."""
SORTS: Final[Mapping[str, str]] = {"newest": "newest first", "longest_waiting": "unchanged for longest first"}
"""In which order orders are listed, as the filter offers it."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for."""

    text: str = ""
    """An order's, a customer's or a payment's id."""
    state: OrderState | None = None
    age: str = ""
    """A key of `AGES`."""
    order: str = "newest"
    """A key of `SORTS`."""
    after: str | None = None
    """The cursor of the page."""

    def link(self, *, state: OrderState | str | None = "", after: str | None = None) -> str:
        """The address of the same search with another state or page; the page begins anew unless it is given."""
        chosen = self.state if state == "" else state
        values = {"q": self.text, "state": chosen or "", "age": self.age, "order": self.order, "after": after or ""}
        said = {name: value for name, value in values.items() if value and (name, value) != ("order", "newest")}
        return f"/console/orders{f'?{urlencode(said)}' if said else ''}"

    @property
    def is_narrow(self) -> bool:
        """Whether anything is left out."""
        return bool(self.text or self.state or self.age)


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A line of the table."""

    order_id: str
    state: OrderState
    amount: str | None
    customer: str | None
    payment_id: str
    created_at: datetime
    updated_at: datetime
    decided_by: str | None

    @classmethod
    def of(cls, record: OrderRecord) -> "OrderRow":
        """The line of an order."""
        details = record.details
        return cls(
            order_id=record.order_id,
            state=record.state,
            amount=money(details.amount, details.currency) if details.is_priced else None,
            customer=details.customer_id,
            payment_id=details.payment_id,
            created_at=record.created_at,
            updated_at=record.updated_at,
            decided_by=record.decided_by,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Orders that were found in one way."""

    heading: str | None
    """How they were found; None where there is but one way."""
    rows: tuple[OrderRow, ...]


@dataclass(frozen=True, slots=True)
class OrdersPage:
    """What a search found, as its page shows it."""

    query: Query
    groups: tuple[Group, ...]
    counts: tuple[tuple[OrderState, int], ...]
    count_max: int
    """A count as high as this stands for so many or more."""
    following: str | None

    @property
    def found(self) -> int:
        """How many are shown."""
        return sum(len(group.rows) for group in self.groups)

    def counted(self, number: int) -> str:
        """A count as it is shown."""
        return f"{number:,}{'+' if number >= self.count_max else ''}"
