"""What came of a measurement, and what it says of where the limit is. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from orders.operations.bench.driving import Course
from orders.operations.bench.sampling import Highest
from orders.operations.bench.sizes import Histories
from schemas.states import OrderState

_SLOWER: Final = 1.5
"""An order that takes so many times as long as alone waits for something that is used up."""
_USED_UP: Final = 0.9
"""The share of a machine's processors from which on there are none left."""
_WAITED_SECONDS: Final = 1.0
"""A task that has waited so long for a worker has found none."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of an order's way, and who works on it."""

    name: str
    workers: str
    begin: OrderState | None
    """None for when its `order.created` was acknowledged."""
    end: OrderState


STAGES: Final = (
    Stage("handed over and validated", "bridges, then workflows of order-tq", None, OrderState.VALIDATED),
    Stage("approved", "bridges, then workflows of order-tq", OrderState.VALIDATED, OrderState.APPROVED),
    Stage("charged", "activities of order-tq and the payment provider", OrderState.APPROVED, OrderState.PAID),
    Stage("shipped", "shipping-tq and the carrier", OrderState.PAID, OrderState.CARRIER_DISPATCHED),
    Stage("completed", "workflows of order-tq", OrderState.CARRIER_DISPATCHED, OrderState.COMPLETED),
)


@dataclass(frozen=True, slots=True)
class StageTimes:
    """How long a stage took in the middle, in seconds."""

    stage: Stage
    alone: float
    together: float


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All that was measured."""

    prefix: str
    """Of the ids of its orders."""
    ends: Mapping[str, int]
    """How many orders came to which end."""
    open_max: int
    seconds: float
    """From the first record of those that ran together to the last one's end."""
    together: tuple[float, ...]
    """How long each order took, in seconds, of those that ran together and were completed."""
    alone: tuple[float, ...]
    """The same, of those that ran one after the other before."""
    stages: tuple[StageTimes, ...]
    highest: Highest
    cores: int
    postgres_bytes: Mapping[str, float]
    """Bytes an order by table, indexes included."""
    kafka_bytes: Mapping[str, float] | None
    """Bytes an order by topic, over all replicas; None where Kafka did not say."""
    histories: Histories | None
    """None where no order was completed."""

    @property
    def rate(self) -> float:
        """Orders a second that were completed."""
        return len(self.together) / self.seconds

    @property
    def is_whole(self) -> bool:
        """Whether every order was completed."""
        return set(self.ends) == {OrderState.COMPLETED.value}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed (nearest rank); 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0.0


def ends_of(courses: Iterable[Course]) -> dict[str, int]:
    """How many came to which end."""
    return dict(Counter(next(state.value for state in reversed(one.reached) if state.is_final) for one in courses))


def stage_times(alone: Sequence[Course], together: Sequence[Course]) -> tuple[StageTimes, ...]:
    """The stages of completed orders; none where there are none."""
    if not alone or not together:
        return ()
    return tuple(StageTimes(stage, _middle(alone, stage), _middle(together, stage)) for stage in STAGES)


def _middle(courses: Sequence[Course], stage: Stage) -> float:
    return median(_took(course, stage) for course in courses)


def _took(course: Course, stage: Stage) -> float:
    end = course.reached[stage.end]
    if stage.begin is None:
        return end - course.sent_at
    # An approval may be decided before the sender knows that Kafka has it.
    begin = course.approved_at if stage.end is OrderState.APPROVED else course.reached[stage.begin]
    return max(0.0, end - begin)


def what_binds(report: BenchReport) -> list[str]:
    """Sentences that say where the limit is, the surest first."""
    found = []
    busy = report.highest.cores_busy
    if busy is not None and busy >= _USED_UP * report.cores:
        each = f", at most {busy / report.rate * 1000:.0f} ms an order" if report.rate else ""
        found.append(
            f"the processors of this machine, on which all servers run, and maybe more: {busy:.1f} of {report.cores} "
            f"were busy{each}"
        )
    waited = {name: age for name, age in report.highest.backlog_seconds.items() if age >= _WAITED_SECONDS}
    found += [
        f"workers: a task of {name} waited {age:.0f} s for one: start more, or give them more of the processor"
        for name, age in sorted(waited.items(), key=lambda one: -one[1])
    ]
    slower = percentile(report.together, 0.5) / alone if (alone := percentile(report.alone, 0.5)) else 0.0
    if slower >= _SLOWER and report.stages:
        worst = max(report.stages, key=lambda one: one.together - one.alone)
        found.append(
            f"with {report.open_max} open an order takes {slower:.1f} times as long as alone; most of it until it is "
            f"{worst.stage.name}: {worst.stage.workers}"
        )
    if not found:
        found.append(
            f"nothing: with {report.open_max} open an order takes {slower:.1f} times as long as alone; "
            "a higher --open brings more orders a second"
        )
    return found


def report_json(report: BenchReport) -> dict[str, Any]:
    """The report for a program: seconds and bytes."""
    histories = report.histories
    return {
        "orders": sum(report.ends.values()),
        "ends": dict(report.ends),
        "prefix": report.prefix,
        "open": report.open_max,
        "seconds": report.seconds,
        "orders_per_second": report.rate,
        "latency": {
            "together": {"p50": percentile(report.together, 0.5), "p99": percentile(report.together, 0.99)},
            "alone": {"p50": percentile(report.alone, 0.5), "p99": percentile(report.alone, 0.99)},
        },
        "stages": [
            {"stage": one.stage.name, "by": one.stage.workers, "alone_p50": one.alone, "together_p50": one.together}
            for one in report.stages
        ],
        "binds": what_binds(report),
        "highest": {
            "unsettled_records": report.highest.unsettled,
            "task_backlog_seconds": dict(report.highest.backlog_seconds),
            "postgres_connections": dict(report.highest.connections),
            "cores_busy": report.highest.cores_busy,
            "cores": report.cores,
        },
        "bytes_an_order": {
            "postgres": dict(report.postgres_bytes),
            "kafka": None if report.kafka_bytes is None else dict(report.kafka_bytes),
            "temporal_history": None if histories is None else histories.bytes_each,
        },
        "temporal": None
        if histories is None
        else {
            "orders_read": histories.orders,
            "history_events_an_order": histories.events_each,
            "actions_an_order": histories.actions,
            "actions": dict(histories.actions_each),
        },
    }
