"""The installation at one moment. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orders.operations.overview import BridgesOverview, PartitionOverview, WorkersOverview
from orders.web.console.rendering.moments import duration
from orders.web.console.rendering.words import counted
from orders.web.console.views.pace import Pace
from schemas.states import OrderState

STANDS_AFTER: Final = timedelta(seconds=30)
"""A record that is not handed over for so long is worth a look: it takes milliseconds."""


@dataclass(frozen=True, slots=True)
class BridgeRow:
    """A bridge."""

    name: str
    host: str
    partitions: int


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker."""

    queue: str
    identity: str
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class SystemPage:
    """The installation, as its page shows it."""

    at: datetime
    group: str
    problems: tuple[str, ...]
    """Servers that do not answer."""
    findings: tuple[str, ...]
    """What stands still."""
    bridges: tuple[BridgeRow, ...] | None
    """None where Kafka did not answer."""
    partitions: tuple[PartitionOverview, ...]
    rate: str | None
    """How fast records come and are handed over; None until that can be told."""
    workers: tuple[WorkerRow, ...] | None
    """None where Temporal did not answer."""
    counts: tuple[tuple[OrderState, str], ...] | None
    """None where Postgres did not answer."""


def system_page(
    at: datetime,
    bridges: BridgesOverview | None,
    workers: WorkersOverview | None,
    counts: Mapping[OrderState, int] | None,
    problems: Sequence[str],
    *,
    count_max: int,
    pace: Pace | None,
) -> SystemPage:
    """The page of what was found; a side that is None did not answer."""
    found = [*_about_bridges(at, bridges), *_about_workers(workers)]
    rows = (
        None
        if bridges is None
        else tuple(BridgeRow(one.client_id, one.host, len(one.partitions)) for one in bridges.members)
    )
    partitions = () if bridges is None else bridges.partitions
    return SystemPage(
        at=at,
        group=bridges.group if bridges else "",
        problems=tuple(problems),
        findings=tuple(found),
        bridges=rows,
        partitions=tuple(sorted(partitions, key=lambda one: (-one.unsettled, one.topic, one.partition))),
        rate=None if pace is None or bridges is None else rate_words(pace, sum(one.unsettled for one in partitions)),
        workers=None
        if workers is None
        else tuple(WorkerRow(one.queue, one.identity, one.last_poll_at) for one in workers.workers),
        counts=None
        if counts is None
        else tuple(
            (state, f"{number:,}{'+' if number >= count_max else ''}")
            for state, number in counts.items()
            if number and not state.is_final
        ),
    )


def rate_words(pace: Pace, unsettled: int) -> str:
    """How fast records come and are handed over, and when nothing is left at this pace.

    Args:
        pace: of the last minute or less.
        unsettled: records that are not handed over now.
    """
    seconds = pace.over.total_seconds()
    if not pace.came and not pace.settled:
        return f"In the last {seconds:.0f} s no record came, and none was handed over."
    told = (
        f"In the last {seconds:.0f} s {counted(pace.came, 'record')} came ({pace.came / seconds:,.1f} a second), and "
        f"{pace.settled:,} {'was' if pace.settled == 1 else 'were'} handed over or set aside "
        f"({pace.settled / seconds:,.1f} a second)."
    )
    gains = (pace.settled - pace.came) / seconds
    if unsettled and gains > 0:
        return f"{told} At this pace nothing is left in about {duration(timedelta(seconds=unsettled / gains))}."
    return told


def _about_bridges(at: datetime, bridges: BridgesOverview | None) -> list[str]:
    if bridges is None:
        return []
    found = []
    if not bridges.members:
        found.append(f"No bridge runs: nothing that comes to Kafka is handed over. The group {bridges.group} is empty.")
    elif bridges.group_state != "Stable":
        found.append(f"The bridges are sharing their partitions out anew ({bridges.group_state}).")
    late = [one for one in bridges.partitions if one.oldest_at is not None and at - one.oldest_at > STANDS_AFTER]
    if late:
        oldest = min(late, key=lambda one: one.oldest_at or at)
        waited = duration(at - (oldest.oldest_at or at))
        found.append(
            f"{counted(len(late), 'partition has', 'partitions have')} records that have waited for over "
            f"{duration(STANDS_AFTER)} to be handed over; the oldest, {oldest.name}:{oldest.oldest_offset}, for "
            f"{waited}."
        )
    return found


def _about_workers(workers: WorkersOverview | None) -> list[str]:
    if workers is None:
        return []
    return [
        f"No worker asks the queue {queue} for work: orders that need it stand still." for queue in workers.unserved
    ]
