"""The bridge as a whole: starts when the servers are there, runs until it is stopped, and leaves nothing behind."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from temporalio.client import Client

from bridge.calls import Caller
from bridge.collector import spare_the_collector
from bridge.config import BridgeConfig, Kafka
from bridge.dead_letters.signature import Signer
from bridge.dead_letters.writer import DeadLetterWriter
from bridge.engine.attempts import Attempter, CallMaker, Outcome
from bridge.engine.counts import NOTHING, Counts
from bridge.engine.engine import Engine
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.engine.reporter import Reporter
from bridge.engine.rereader import Rereader
from bridge.health import BridgeStatus, Dependency, Explain, Health, PartitionProgress
from bridge.kafka.beginnings import Beginnings
from bridge.kafka.committer import Committer
from bridge.kafka.membership import Membership
from bridge.kafka.past_records import KafkaPastRecords
from bridge.kafka.poller import Poller
from bridge.kafka.positions import Positions
from bridge.kafka.rebalancer import Rebalancer
from bridge.mapping import Mapping
from bridge.metrics import BridgeMetrics
from bridge.settled_before import LookUps, SettledBefore
from bridge.supervision.probe import Prober, ask_temporal
from bridge.supervision.startup import Startup
from bridge.supervision.watchdog import Signs, watch

if TYPE_CHECKING:
    from bridge.traces import BridgeTraces

log = structlog.get_logger("bridge")

_POLL_END_TIMEOUT_SECONDS = 1.0
_PARTITIONS_A_TURN = 250
"""How many are looked at in one turn of the loop: about a millisecond."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a bridge that run once the servers are there."""

    tracker: OffsetTracker
    engine: Engine
    positions: Positions
    beginnings: Beginnings
    poller: Poller
    committer: Committer
    membership: Membership
    prober: Prober
    rereader: Rereader


class Bridge:
    """Turns each Kafka record into one call on Temporal, and commits its offset afterwards.

    Several bridges of one group, in one process or many, share the partitions. One bridge runs once: to run again, make
    another. It needs a running event loop from its first call of `run` on, and is not safe for other threads.

    Args:
        config: How the bridge works.
        kafka: Where Kafka is.
        client: Temporal's client, connected or lazy, made with `SINGLE_ATTEMPT` and the data converter of the workers.
            Not closed with the bridge.
        mapping: Which topics are read, and what their records mean.
        settled_before: Knows which records of workflows that are over were answered before, so that reading them again
            costs no runs; None where nobody does.
        caller: What makes the calls; None for the real one. Tests and measurements give another.
        metrics: What it counts with; None where nobody looks.
        traces: What it traces with; None where nobody does, and then nothing of OpenTelemetry is imported.
        explain: Finds out why Kafka or Temporal does not let the bridge in, so that the log can say it; None where
            nobody can.

    Raises:
        ValueError: The mapping names no topic, or names the topic of the dead letters.
    """

    def __init__(
        self,
        config: BridgeConfig,
        kafka: Kafka,
        client: Client,
        mapping: Mapping,
        *,
        settled_before: SettledBefore | None = None,
        caller: CallMaker | None = None,
        metrics: BridgeMetrics | None = None,
        traces: "BridgeTraces | None" = None,
        explain: Explain | None = None,
    ) -> None:
        self._topics = sorted(mapping.topics)
        if not self._topics:
            raise ValueError("the mapping has no topics: the bridge has nothing to consume")
        if config.dead_letter_topic in self._topics:
            raise ValueError("dead_letter_topic is one of the mapping's topics: every dead letter would come back")
        self._config = config
        self._kafka = kafka
        self._client = client = client if traces is None else traces.traced(client)
        self._traces = traces
        self._mapping = mapping
        was_settled = None if settled_before is None else LookUps(settled_before).was_settled
        self._caller = caller or Caller(client, config.rpc_timeout, was_settled)
        self._metrics = metrics
        if metrics is not None:
            metrics.begin(self._topics, Outcome)
        self._health = Health(explain=explain)
        self._stop_requested = asyncio.Event()
        self._parts: _Parts | None = None
        self._turned = (0, 0.0)
        """The last count of poll turns seen, and when it was new."""
        self._failure: str | None = None
        """Why `run` has ended by itself; None as long as it has not."""

    def stop(self) -> None:
        """Asks `run` to drain and return. Does not wait.

        May be called before `run`, any number of times, after the end, and from a signal handler of the loop.
        """
        self._stop_requested.set()

    def status(self, *, with_progress: bool = True) -> BridgeStatus:
        """How the bridge is. Does not wait, and asks no server; may be called at any time, also after the end.

        Args:
            with_progress: Whether each partition is looked at, some 4 us each; else `BridgeStatus.progress` is empty.
        """
        parts = self._parts
        if parts is None or not with_progress:
            return self._status(())
        return self._status(tuple(_progress(parts, sorted(parts.tracker.partitions), parts.engine.counts())))

    async def status_in_turns(self) -> BridgeStatus:
        """As `status`, but with thousands of partitions others get their turns of the loop meanwhile."""
        parts, progress = self._parts, list[PartitionProgress]()
        if parts is not None:
            counts, partitions = parts.engine.counts(), sorted(parts.tracker.partitions)
            for begin in range(0, len(partitions), _PARTITIONS_A_TURN):
                await asyncio.sleep(0)
                progress += _progress(parts, partitions[begin : begin + _PARTITIONS_A_TURN], counts)
        return self._status(tuple(progress))

    def _status(self, progress: tuple[PartitionProgress, ...]) -> BridgeStatus:
        parts = self._parts
        if self._failure is not None:
            return BridgeStatus(live=True, ready=False, reasons=(self._failure,), partitions=0, records_held=0)
        reasons = [f"{dependency.value} does not answer" for dependency in sorted(self._health.troubled)]
        if parts is None:
            return BridgeStatus(
                live=True,
                ready=False,
                reasons=(*reasons, "starting"),
                partitions=0,
                records_held=0,
                dependencies=self._health.states,
            )
        if not parts.tracker.is_assigned:
            reasons.append("no partitions are assigned")
        reasons.extend(f"no broker leads {partition}" for partition in parts.prober.leaderless)
        reasons.extend(f"what is at {place} is damaged and cannot be read" for place in parts.positions.held)
        return BridgeStatus(
            live=self._poll_loop_turns(parts.poller),
            ready=not reasons,
            reasons=tuple(reasons),
            partitions=len(parts.tracker.partitions),
            records_held=parts.engine.records_held,
            records_deferred=parts.engine.records_deferred,
            records_lost=parts.beginnings.records_lost + parts.engine.deferred.records_lost,
            stuck=parts.engine.stuck,
            progress=progress,
            bytes_held=parts.engine.bytes_held,
            in_flight=parts.engine.attempts_in_flight,
            paused=parts.engine.is_paused,
            commit_age_seconds=parts.committer.commit_age_seconds,
            dependencies=self._health.states,
        )

    async def run(self) -> None:
        """Runs until `stop`, then drains what is in flight, commits, leaves the group and returns.

        While a server is away it waits, at the start as in the middle. The stop takes at most the drain time-out, two
        commit time-outs, and 3 s for each of Kafka's two clients. To cancel it is safe as a kill is: what is in flight
        is delivered again, to this bridge's successor.

        Raises:
            FencedError: Another bridge runs under this one's instance id, and has taken its place.
            DeadLetterLimitError: Too many records would be set aside. A person has to look before the next start.
            StuckError: Nothing moves any more, although both servers answer. A new process is to be started.
            UnexpectedDeliveryError: Going on could lose records. A new process is to be started.
        """
        log.info("bridge.started", topics=self._topics, group_id=self._config.group_id)
        startup = Startup(
            self._config, self._kafka, self._topics, health=self._health, stop_requested=self._stop_requested
        )
        async with AsyncExitStack() as resources:
            if not await startup.reach_temporal(lambda: ask_temporal(self._client)):
                return
            producer = await startup.connect_producer(resources)
            consumer = await startup.connect_consumer(resources)
            if producer is not None and consumer is not None:
                await self._bridge(consumer, producer)
        log.info("bridge.stopped")

    async def _bridge(self, consumer: Any, producer: Any) -> None:
        """Keeps the parts running until stopped. Whatever ends them, the settled records are committed."""
        parts = self._parts = self._make_parts(consumer, producer)
        spare_the_collector()
        try:
            async with asyncio.TaskGroup() as tasks:
                listener = Rebalancer(
                    consumer,
                    parts.engine,
                    tracker=parts.tracker,
                    committer=parts.committer,
                    beginnings=parts.beginnings,
                    membership=parts.membership,
                    health=self._health,
                    config=self._config,
                )

                def subscribe() -> None:
                    consumer.subscribe(topics=self._topics, listener=listener)

                parts.engine.start(tasks)
                polling = tasks.create_task(parts.poller.run(subscribe), name="bridge-poller")
                others = [
                    tasks.create_task(parts.committer.run(), name="bridge-committer"),
                    tasks.create_task(parts.membership.run(), name="bridge-membership"),
                    tasks.create_task(parts.prober.run(), name="bridge-prober"),
                    tasks.create_task(parts.rereader.run(), name="bridge-rereader"),
                    tasks.create_task(self._watch(parts), name="bridge-watchdog"),
                ]
                await self._stop_requested.wait()
                for task in others:
                    task.cancel()
                await self._drain(parts, polling)
        except BaseExceptionGroup as group:
            error = _first(group)
            self._failure = str(error)
            log.error("bridge.failed", error=type(error).__name__, detail=str(error))  # noqa: TRY400 -- it is raised
            await parts.committer.commit()
            raise error from None

    async def _drain(self, parts: _Parts, polling: "asyncio.Task[None]") -> None:
        parts.poller.stop()
        drained = await parts.engine.drain(self._config.drain_timeout)
        commit = await parts.committer.commit()
        log.info(
            "bridge.drained",
            drained=drained,
            commit=commit.value,
            records_left=parts.engine.records_held,
            records_held_peak=parts.engine.records_held_peak,
        )
        parts.engine.close()
        await asyncio.wait([polling], timeout=_POLL_END_TIMEOUT_SECONDS)
        # During a rebalance a poll waits without a limit; now it may be cancelled, as nobody polls after it.
        polling.cancel()

    def _make_parts(self, consumer: Any, producer: Any) -> _Parts:
        config, health, tracker = self._config, self._health, OffsetTracker()
        reporter = Reporter(self._metrics, logs_settled=config.logs_settled)
        signer = Signer(config.dead_letter_keys) if config.dead_letter_keys else None
        writer = DeadLetterWriter(producer, config.dead_letter_topic, signer)
        attempter = Attempter(self._caller, writer, health, config, metrics=self._metrics, traces=self._traces)
        engine = Engine(self._mapping, attempter.attempt, tracker, health, config.engine, reporter=reporter)
        beginnings = Beginnings(consumer, tracker, config)
        positions = Positions(consumer, tracker, beginnings)
        membership = Membership(
            consumer,
            config.group_id,
            config.instance_id,
            timeout=min(config.commit_timeout, config.group.session_timeout / 2),
        )
        return _Parts(
            tracker=tracker,
            engine=engine,
            positions=positions,
            beginnings=beginnings,
            poller=Poller(consumer, engine, positions=positions, beginnings=beginnings, health=health, config=config),
            committer=Committer(consumer, tracker, health, config),
            membership=membership,
            prober=Prober(
                consumer,
                self._client,
                engine=engine,
                tracker=tracker,
                health=health,
                config=config,
                kafka=self._kafka,
            ),
            rereader=Rereader(engine.deferred, tracker, KafkaPastRecords(config, self._kafka), health, config.back_off),
        )

    async def _watch(self, parts: _Parts) -> None:
        deferred = parts.engine.deferred

        def look() -> Signs:
            return Signs(
                poll_turns=parts.poller.turns,
                attempts_ended=parts.engine.attempts_ended,
                records_held=parts.engine.records_held,
                records_taken=parts.engine.records_taken,
                kafka_answers=Dependency.KAFKA not in self._health.troubled,
                assigned=parts.tracker.is_assigned,
                assignments=parts.tracker.epoch,
                refused=self._health.needs_a_person,
                paused=parts.engine.is_paused,
                lagging=parts.prober.is_lagging,
                records_taken_again=deferred.records_taken,
                wants_records=Dependency.REREADS not in self._health.troubled and bool(deferred.wanted()),
            )

        await watch(look, self._config.watchdog_timeout.total_seconds())

    def _poll_loop_turns(self, poller: Poller) -> bool:
        """Whether the poll loop has turned within the watchdog's time; one that waits for Kafka counts as turning."""
        turns, now = poller.turns, time.monotonic()
        if turns != self._turned[0]:
            self._turned = (turns, now)
        waited_seconds = now - self._turned[1]
        return (
            waited_seconds < self._config.watchdog_timeout.total_seconds() or Dependency.KAFKA in self._health.troubled
        )


def _progress(
    parts: _Parts, partitions: Iterable[Partition], counts: dict[Partition, Counts]
) -> Iterator[PartitionProgress]:
    for partition in partitions:
        end, position = parts.prober.ends.get(partition), parts.tracker.next_offset(partition)
        unread = None if end is None or position is None else max(0, end - position)
        count = counts.get(partition, NOTHING)
        oldest_ms = count.oldest_ms
        if oldest_ms is None and (unread or count.deferred):
            oldest_ms = parts.engine.last_timestamps_ms.get(partition)
        oldest_at = None if oldest_ms is None or oldest_ms < 0 else oldest_ms / 1000
        yield PartitionProgress(*partition, unread, count.held, count.deferred, count.behind_stuck, oldest_at)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the parts; the others were cancelled for it, or failed in the same moment."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
