"""What the database says of all orders together: a few figures for whoever watches, each read from an index."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres.engine import single_statements
from activities.adapters.postgres.schema import AWAITED_UNTIL, events, journals, orders
from schemas.states import OrderState

COUNTED_MAX: Final = 10_000
"""So many are counted and no more, as a figure must not cost what a report does. There it means "at least"."""
_UNPUBLISHED_LOOKED_AT_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Figures:
    """How many orders wait for what, and since when."""

    awaiting_approval: int
    """Orders that wait for a decision; at most `COUNTED_MAX`."""
    oldest_awaiting_at: datetime | None
    """When the order was made whose deadline is first; None where none waits."""
    unpublished: int
    """Orders with events that are recorded and not known to be published; at most `COUNTED_MAX`."""
    oldest_unpublished_at: datetime | None
    """When the first event of these was recorded; None where there is none."""
    as_of: datetime
    """When they were read, by the clock that the other moments are of: Postgres'."""


# Written out, so that the planner sees that the index has all of them.
_is_awaiting: Final = orders.c.state == literal_column(f"'{OrderState.VALIDATED.value}'")
_is_unpublished: Final = journals.c.last_published_sequence < journals.c.last_sequence
_awaiting: Final = select(orders.c.id).where(_is_awaiting).limit(COUNTED_MAX).subquery()
_first_awaiting: Final = (
    select(orders.c.created_at).where(_is_awaiting).order_by(AWAITED_UNTIL, orders.c.id).limit(1).scalar_subquery()
)
# In the index's order: else the planner takes a third of all journals for unpublished, and reads the table.
_unpublished: Final = (
    select(journals.c.order_id).where(_is_unpublished).order_by(journals.c.order_id).limit(COUNTED_MAX).subquery()
)
_looked_at: Final = (
    select(journals.c.order_id, journals.c.last_published_sequence)
    .where(_is_unpublished)
    .order_by(journals.c.order_id)
    .limit(_UNPUBLISHED_LOOKED_AT_MAX)
    .subquery()
)
_first_unpublished: Final = (
    select(func.min(events.c.recorded_at))
    .select_from(_looked_at)
    .join(
        events,
        (events.c.order_id == _looked_at.c.order_id) & (events.c.sequence == _looked_at.c.last_published_sequence + 1),
    )
    .scalar_subquery()
)
FIGURES: Final = select(
    select(func.count()).select_from(_awaiting).scalar_subquery(),
    _first_awaiting,
    select(func.count()).select_from(_unpublished).scalar_subquery(),
    _first_unpublished,
    func.now(),
)
"""One statement for all of them."""


async def read_figures(engine: AsyncEngine) -> Figures:
    """The figures as of now.

    Raises:
        DatabaseUnavailableError: the database did not answer.
    """
    async with single_statements(engine) as connection:
        row = (await connection.execute(FIGURES)).one()
    return Figures(*row)
