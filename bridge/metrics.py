"""What a bridge counts and measures, as Prometheus metrics.

Counts and times are taken as things happen, some 2 us a record. How the bridge is now, partition by partition, is
handed over before each scrape (`BridgeMetrics.update`), as only the bridge's own thread may look at it.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.health import BridgeStatus, DependencyState, PartitionProgress
from bridge.refusal import RefusalCode

_CALL_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DELAY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0)
_PARTITION: Final = ("topic", "partition")
_CODES_MAX: Final = 1_000
"""The most counts of dead letters that begin before there is one: codes times topics, each a line of every scrape."""


class BridgeMetrics:
    """Counts what one bridge does, and reports how it is.

    Args:
        registry: What the metrics are registered with. It may hold others' as well, but one bridge's to a prefix.
        prefix: What all names begin with; ``bridge`` makes ``bridge_records_settled_total``.
        dependency_prefix: What the names of the dependencies' metrics begin with, where other processes of an
            installation tell of theirs by the same names; None for the same as all others.
    """

    def __init__(
        self, registry: CollectorRegistry, prefix: str = "bridge", *, dependency_prefix: str | None = None
    ) -> None:
        self._settled = Counter(
            "records_settled",
            "Records that are settled, by what became of them.",
            ("topic", "outcome"),
            namespace=prefix,
            registry=registry,
        )
        self._dead_letters = Counter(
            "dead_letters",
            "Records that were set aside into the dead-letter topic, by the code of the refusal.",
            ("topic", "code"),
            namespace=prefix,
            registry=registry,
        )
        self._call_seconds = Histogram(
            "call_duration_seconds",
            "How long one attempt at a call on Temporal took, by its outcome; failed ones are tried again.",
            ("operation", "outcome"),
            namespace=prefix,
            registry=registry,
            buckets=_CALL_BUCKETS,
        )
        self._delay_seconds = Histogram(
            "hand_over_delay_seconds",
            "Time from a record's own timestamp until it is settled.",
            ("topic",),
            namespace=prefix,
            registry=registry,
            buckets=_DELAY_BUCKETS,
        )
        # To find a metric by its labels takes longer than to count: each is looked for once.
        self._counts: dict[tuple[str, str], Counter] = {}
        self._delays: dict[str, Histogram] = {}
        self._calls: dict[tuple[str, str], Histogram] = {}
        self._now = _Now(prefix, prefix if dependency_prefix is None else dependency_prefix)
        registry.register(self._now)

    def begin(self, topics: Iterable[str], outcomes: Iterable[str]) -> None:
        """Begins to count at 0: else the first of a kind would be no increase to Prometheus, but a count that is there.

        Codes of a mapping's own are not known here, so each of them begins with its first dead letter. With more than
        some 17 topics all codes do.

        Args:
            topics: That the bridge reads.
            outcomes: What may become of a record.
        """
        topics, outcomes = tuple(topics), tuple(outcomes)
        for topic in topics:
            self._delays[topic] = self._delay_seconds.labels(topic)
            for outcome in outcomes:
                self._counts[topic, outcome] = self._settled.labels(topic, outcome)
        if len(topics) * len(RefusalCode) <= _CODES_MAX:
            for topic, code in product(topics, RefusalCode):
                self._dead_letters.labels(topic, code)

    def settled(self, topic: str, timestamp_ms: int, outcome: str, error_code: str | None) -> None:
        """Counts a record that is settled.

        Args:
            topic: Of the record.
            timestamp_ms: Of the record; below 0 where it has none.
            outcome: What became of it.
            error_code: The code of its refusal; None where it was not refused.
        """
        count = self._counts.get((topic, outcome))
        if count is None:
            count = self._counts[topic, outcome] = self._settled.labels(topic, outcome)
        count.inc()
        if timestamp_ms >= 0:
            delay = self._delays.get(topic)
            if delay is None:
                delay = self._delays[topic] = self._delay_seconds.labels(topic)
            delay.observe(max(0.0, time.time() - timestamp_ms / 1000))
        if error_code is not None:
            self._dead_letters.labels(topic, error_code).inc()

    def called(self, operation: str, outcome: str, seconds: float) -> None:
        """Counts an attempt at a call.

        Args:
            operation: ``signal_with_start`` or ``start``.
            outcome: What the call came to, or ``failed`` or ``refused``.
            seconds: How long it took.
        """
        call = self._calls.get((operation, outcome))
        if call is None:
            call = self._calls[operation, outcome] = self._call_seconds.labels(operation, outcome)
        call.observe(seconds)

    def update(self, status: BridgeStatus) -> None:
        """Takes how the bridge is (`Bridge.status`): what the next scrape shows."""
        self._now.status = status


def dependency_metrics(prefix: str, dependencies: Iterable[DependencyState]) -> Iterator[Metric]:
    """Whether each dependency of a process does what is asked of it, and since when it does not.

    Args:
        prefix: What both names begin with; ``bridge`` makes ``bridge_dependency_up``.
        dependencies: Those of which something is known.
    """
    up = GaugeMetricFamily(
        f"{prefix}_dependency_up", "Whether a dependency does what is asked of it.", labels=("dependency",)
    )
    since = GaugeMetricFamily(
        f"{prefix}_dependency_lost_timestamp_seconds",
        "Since when a dependency does not, as Unix time; there only while it does not.",
        labels=("dependency",),
    )
    for one in dependencies:
        up.add_metric((one.name,), float(one.lost_at is None))
        if one.lost_at is not None:
            since.add_metric((one.name,), one.lost_at)
    yield up
    yield since


class _Now(Collector):
    """How the bridge was when it was last asked."""

    def __init__(self, prefix: str, dependency_prefix: str) -> None:
        self._prefix, self._dependency_prefix = prefix, dependency_prefix
        self.status: BridgeStatus | None = None

    def collect(self) -> Iterator[Metric]:
        """Each metric with its samples; called by the registry, in any thread."""
        status = self.status or BridgeStatus(live=True, ready=False, reasons=(), partitions=0, records_held=0)
        yield self._gauge("ready", "Whether the bridge has an assignment, and Kafka and Temporal answer.", status.ready)
        yield self._gauge("assigned_partitions", "Partitions that this bridge has.", status.partitions)
        yield self._gauge(
            "records_held", "Records delivered by Kafka and not settled, of all partitions.", status.records_held
        )
        yield self._gauge("held_bytes", "Memory that the held records are reckoned to take.", status.bytes_held)
        yield self._gauge("records_deferred", "Records not settled that are to be read again.", status.records_deferred)
        yield self._gauge(
            "calls_in_flight", "Attempts under way, at calls and at setting records aside.", status.in_flight
        )
        yield self._gauge(
            "paused", "Whether nothing is taken from Kafka, as enough is held or something is away.", status.paused
        )
        yield self._gauge("stuck_lanes", "Lanes whose first record has been tried in vain for long.", len(status.stuck))
        yield self._commit_age(status)
        lost = CounterMetricFamily(
            f"{self._prefix}_records_lost",
            "Records that Kafka had deleted, by its retention, before they could be read.",
            value=status.records_lost,
        )
        yield lost
        yield from dependency_metrics(self._dependency_prefix, status.dependencies)
        yield from self._partitions(status.progress)

    def _gauge(self, name: str, documentation: str, value: float) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{self._prefix}_{name}", documentation, value=float(value))

    def _commit_age(self, status: BridgeStatus) -> GaugeMetricFamily:
        found = GaugeMetricFamily(
            f"{self._prefix}_commit_age_seconds", "Time since Kafka had all offsets that may be committed."
        )
        if status.commit_age_seconds is not None:
            found.add_metric((), status.commit_age_seconds)
        return found

    def _partitions(self, progress: tuple[PartitionProgress, ...]) -> Iterator[GaugeMetricFamily]:
        records = GaugeMetricFamily(
            f"{self._prefix}_partition_records",
            "Records of an assigned partition that are not settled: unread, held, or deferred; their sum is its lag.",
            labels=(*_PARTITION, "state"),
        )
        stuck = GaugeMetricFamily(
            f"{self._prefix}_partition_behind_stuck_records",
            "Those held and deferred that wait behind a record which has been tried in vain for long.",
            labels=_PARTITION,
        )
        age = GaugeMetricFamily(
            f"{self._prefix}_partition_oldest_unsettled_age_seconds",
            "Age of a partition's oldest record that is not settled, by its timestamp; at most, where it is unread.",
            labels=_PARTITION,
        )
        now = time.time()
        for one in progress:
            place = (one.topic, str(one.partition))
            if one.unread is not None:
                records.add_metric((*place, "unread"), one.unread)
            records.add_metric((*place, "held"), one.held)
            records.add_metric((*place, "deferred"), one.deferred)
            stuck.add_metric(place, one.behind_stuck)
            if one.oldest_at is not None:
                age.add_metric(place, max(0.0, now - one.oldest_at))
            elif one.unread is not None:
                age.add_metric(place, 0.0)
        yield records
        yield stuck
        yield age
