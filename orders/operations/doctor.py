"""How the installation is, on one page: what is reached, what runs, what waits, and what to do first."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from bridge.record import moment_of
from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.operations.dead_letters.finding import Listing, list_letters
from orders.operations.dead_letters.selection import Selection
from orders.operations.listing import list_orders
from orders.operations.overview import (
    BridgesOverview,
    PartitionOverview,
    WorkersOverview,
    bridges_overview,
    workers_overview,
)
from schemas.states import OrderState

STANDS_AFTER: Final = timedelta(seconds=30)
"""A record that is not handed over for so long is worth a look: handing one over takes milliseconds."""
OVERDUE_AFTER: Final = timedelta(minutes=5)
"""An order that waits for no person changes within seconds, unless a provider is away and is asked again and again."""
_OVERDUE_SHOWN_MAX: Final = 1_000

Side = TypeVar("Side")


@dataclass(frozen=True, slots=True)
class Condition:
    """The installation at one moment; a side that is None could not be looked at."""

    at: datetime
    bridges: BridgesOverview | None = None
    workers: WorkersOverview | None = None
    counts: dict[OrderState, int] | None = None
    """How many orders are in each state."""
    standing: tuple[str, ...] | None = None
    """Orders that wait for no person, and have not changed for `OVERDUE_AFTER`; the longest first."""
    dead_letters: Counter[str] | None = None
    """How many there are of each reason."""
    newest_letter_at: datetime | None = None
    problems: tuple[str, ...] = ()
    """Why a side could not be looked at."""

    @property
    def unsettled(self) -> int:
        """Records that are not handed over to Temporal."""
        return sum(one.unsettled for one in self.bridges.partitions) if self.bridges else 0

    @property
    def late(self) -> tuple[PartitionOverview, ...]:
        """Partitions whose oldest record waits for too long, the longest first."""
        partitions = self.bridges.partitions if self.bridges else ()
        late = [one for one in partitions if one.oldest_at is not None and self.at - one.oldest_at > STANDS_AFTER]
        return tuple(sorted(late, key=lambda one: one.oldest_at or self.at))


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to do, the first first."""

    what: str
    stops_orders: bool = field(default=True)
    """Whether orders stand still, or will, until it is done."""


async def examine(clients: Clients) -> Condition:
    """Looks at everything at once; reads only.

    Of a server that does not answer it says so and looks at the others.
    """
    (
        (bridges, no_kafka),
        (workers, no_temporal),
        (counts, no_postgres),
        (standing, _),
        (letters, no_letters),
    ) = await asyncio.gather(
        _reached(bridges_overview(clients)),
        _reached(workers_overview(clients)),
        _reached(_counts(clients)),
        _reached(_standing(clients)),
        _reached(list_letters(clients, Selection(), limit=1)),
    )
    problems = [one for one in (no_kafka, no_temporal, no_postgres, no_letters) if one]
    return Condition(
        at=datetime.now(UTC),
        bridges=bridges,
        workers=workers,
        counts=counts,
        standing=standing,
        dead_letters=None if letters is None else letters.by_reason,
        newest_letter_at=_newest_at(letters),
        problems=tuple(dict.fromkeys(problems)),
    )


def advice(condition: Condition) -> Iterator[Advice]:
    """What to do about what was seen, in the order in which it should be done. Pure."""
    bridges, workers = condition.bridges, condition.workers
    if bridges is not None and not bridges.members:
        yield Advice("no bridge runs, so nothing that comes to Kafka is handed over: start one, `orders bridge`")
    for queue in workers.unserved if workers else ():
        yield Advice(f"no worker asks the queue {queue} for work: start one, `orders worker --queue {queue}`")
    if bridges is not None and bridges.members and condition.late:
        oldest = condition.late[0]
        minutes = (condition.at - (oldest.oldest_at or condition.at)).total_seconds() / 60
        yield Advice(
            f"{oldest.name}:{oldest.oldest_offset} waits for {minutes:.0f} min to be handed over, and is the oldest of "
            f'{len(condition.late)} partitions\': see `orders health bridge` and "Lag grows" in docs/operating.md'
        )
    if condition.standing:
        first = condition.standing[0]
        count = f"{len(condition.standing)}{'+' if len(condition.standing) >= _OVERDUE_SHOWN_MAX else ''}"
        yield Advice(
            f"{count} orders have not changed for over {OVERDUE_AFTER.total_seconds() / 60:.0f} min, and wait for no "
            f"person: see why, `orders explain {first}`"
        )
    if condition.dead_letters:
        reason, most = condition.dead_letters.most_common(1)[0]
        yield Advice(
            f"{condition.dead_letters.total()} dead letters, {most} of them {reason}: look at them, "
            f"`orders dlq list --reason {reason}`; docs/dead-letters.md says what to do about each reason",
            stops_orders=False,
        )
    waiting = (condition.counts or {}).get(OrderState.VALIDATED, 0)
    if waiting:
        yield Advice(f"somebody has to approve {waiting} orders: `orders list --state validated`", stops_orders=False)


async def _counts(clients: Clients) -> dict[OrderState, int]:
    async with clients.order_reader() as reader:
        return await reader.count_by_state()


async def _standing(clients: Clients) -> tuple[str, ...]:
    """Orders that are at work, or should be: whatever is open and does not wait for approval."""
    states = [state for state in OrderState if not state.is_final and state is not OrderState.VALIDATED]
    found = await list_orders(clients, states, until=datetime.now(UTC) - OVERDUE_AFTER, limit=_OVERDUE_SHOWN_MAX)
    return tuple(one.row.order_id for one in found)


def _newest_at(letters: Listing | None) -> datetime | None:
    newest = letters.newest if letters is not None else []
    return moment_of(newest[-1].timestamp_ms) if newest else None


async def _reached(looking: Awaitable[Side]) -> tuple[Side | None, str | None]:
    try:
        return await looking, None
    except OrdersError as error:
        return None, str(error)
