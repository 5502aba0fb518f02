"""The bridge as a whole: starts when the servers are there, runs until it is stopped, and leaves nothing behind."""

import asyncio
import gc
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from traceback import extract_tb
from typing import Any

import structlog
from temporalio.client import Client

from bridge.calls import Dispatcher
from bridge.config import BridgeConfig
from bridge.dead_letters.writer import DeadLetters
from bridge.engine.attempts import Dispatches, RecordProcessor
from bridge.engine.engine import Engine
from bridge.engine.offsets import OffsetTracker
from bridge.health import BridgeStatus, Dependency, Health
from bridge.kafka.committer import Committer
from bridge.kafka.poller import Poller
from bridge.kafka.positions import Positions
from bridge.kafka.rebalancer import Rebalancer
from bridge.reading.event import DecodedRecord, decode
from bridge.record import Record
from bridge.refusal import DecodeError
from bridge.supervision.probe import Prober, ask_temporal
from bridge.supervision.startup import Startup
from bridge.supervision.watchdog import Signs, watch

log = structlog.get_logger("bridge")

_POLL_END_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Parts:
    """What runs once the servers are there."""

    tracker: OffsetTracker
    engine: Engine
    positions: Positions
    poller: Poller
    committer: Committer
    prober: Prober


class Bridge:
    """Turns each Kafka record into one call on Temporal, and commits its offset afterwards.

    Args:
        config: What it is told.
        client: Connected or lazy, with the pydantic data converter and `bridge.calls.SINGLE_ATTEMPT`.
        dispatcher: What makes the calls; None for the real one. Measurements give another.
    """

    def __init__(self, config: BridgeConfig, client: Client, dispatcher: Dispatches | None = None) -> None:
        self._config = config
        self._client = client
        self._dispatcher = dispatcher or Dispatcher(
            client,
            config.policy,
            config.run_timeout,
            task_queue=config.task_queue,
            rpc_timeout=config.rpc_timeout,
        )
        self._health = Health()
        self._stop_requested = asyncio.Event()
        self._parts: _Parts | None = None
        self._turned = (0, 0.0)
        """The last count of poll turns seen, and when it was new."""
        self._failure: str | None = None
        """Why `run` has ended by itself."""

    def stop(self) -> None:
        """Asks `run` to drain and return. May be called any number of times, from a signal handler of the loop too."""
        self._stop_requested.set()

    def status(self) -> BridgeStatus:
        """How it is. Does not wait, and asks nobody."""
        parts = self._parts
        if self._failure is not None:
            return BridgeStatus(live=True, ready=False, reasons=(self._failure,), partitions=0, records_held=0)
        reasons = [f"{dependency.value} does not answer" for dependency in sorted(self._health.troubled)]
        if parts is None:
            return BridgeStatus(live=True, ready=False, reasons=(*reasons, "starting"), partitions=0, records_held=0)
        if not parts.tracker.is_assigned:
            reasons.append("no partitions are assigned")
        reasons.extend(f"what is at {place} is damaged and cannot be read" for place in parts.positions.held)
        return BridgeStatus(
            live=self._poll_loop_turns(parts.poller),
            ready=not reasons,
            reasons=tuple(reasons),
            partitions=len(parts.tracker.partitions),
            records_held=parts.engine.records_held,
        )

    async def run(self) -> None:
        """Runs until `stop`, then drains what is in flight, commits, leaves the group and returns.

        While a server is away it waits.

        Raises:
            DeadLetterLimitError: Too many records would have been set aside.
            StuckError: Nothing moved any more.
            UnexpectedDeliveryError: Going on could lose records.
        """
        log.info("bridge.started", topics=sorted(self._config.topics), group_id=self._config.group_id)
        startup = Startup(self._config, self._health, self._stop_requested)
        async with AsyncExitStack() as resources:
            if not await startup.reach_temporal(lambda: ask_temporal(self._client)):
                return
            producer = await startup.connect_producer(resources)
            consumer = await startup.connect_consumer(resources)
            if producer is not None and consumer is not None:
                await self._bridge(consumer, producer)
        log.info("bridge.stopped")

    async def _bridge(self, consumer: Any, producer: Any) -> None:
        """Keeps the parts running until stopped; whatever ends them, what is settled is committed."""
        parts = self._parts = self._make_parts(consumer, producer)
        _spare_the_collector()
        try:
            async with asyncio.TaskGroup() as tasks:
                listener = Rebalancer(
                    consumer,
                    parts.engine,
                    tracker=parts.tracker,
                    committer=parts.committer,
                    health=self._health,
                    config=self._config,
                )

                def subscribe() -> None:
                    consumer.subscribe(topics=list(self._config.topics), listener=listener)

                parts.engine.start(tasks)
                polling = tasks.create_task(parts.poller.run(subscribe), name="bridge-poller")
                others = [
                    tasks.create_task(parts.committer.run(), name="bridge-committer"),
                    tasks.create_task(parts.prober.run(), name="bridge-prober"),
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
        dead_letters = DeadLetters(producer, config.dead_letter_topic)
        processor = RecordProcessor(self._dispatcher, dead_letters, health, config)
        engine = Engine(self._decode, processor, tracker, health, config.engine)
        positions = Positions(consumer, tracker)
        return _Parts(
            tracker=tracker,
            engine=engine,
            positions=positions,
            poller=Poller(consumer, engine, positions, health, config),
            committer=Committer(consumer, tracker, health, config),
            prober=Prober(consumer, self._client, engine=engine, tracker=tracker, health=health, config=config),
        )

    def _decode(self, record: Record) -> DecodedRecord | DecodeError:
        if record.defect is not None:
            return record.defect
        try:
            return decode(record, self._config.topics, self._config.limits)
        except DecodeError as error:
            if error.__cause__ is not None:
                _log_own_mistake(record, error.__cause__)
            return _alone(error)

    async def _watch(self, parts: _Parts) -> None:
        def look() -> Signs:
            return Signs(
                poll_turns=parts.poller.turns,
                attempts_ended=parts.engine.attempts_ended,
                records_held=parts.engine.records_held,
                records_taken=parts.engine.records_taken,
                kafka_answers=Dependency.KAFKA not in self._health.troubled,
                assigned=parts.tracker.is_assigned,
                paused=parts.engine.is_paused,
                lagging=parts.prober.is_lagging,
            )

        await watch(look, self._config.watchdog_timeout.total_seconds())

    def _poll_loop_turns(self, poller: Poller) -> bool:
        """Whether the loop has turned since the last question, or was asked after not long ago."""
        turns, now = poller.turns, time.monotonic()
        if turns != self._turned[0]:
            self._turned = (turns, now)
        waited_seconds = now - self._turned[1]
        return (
            waited_seconds < self._config.watchdog_timeout.total_seconds() or Dependency.KAFKA in self._health.troubled
        )


def _alone(error: DecodeError) -> DecodeError:
    """The error without where it comes from: that holds the record's text and document, 22 times its bytes (I11)."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def _log_own_mistake(record: Record, cause: BaseException) -> None:
    """Says where the decoder failed. Without the cause's own words, which may quote the record (I16)."""
    log.error(
        "bridge.decoder.failed",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        error=type(cause).__name__,
        trace=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(cause.__traceback__)],
        action="report it; the record is set aside",
    )


_COLLECTOR_THRESHOLD = 10_000
"""Objects made and not freed before the garbage collector looks at them; by default 700. A record is some twenty,
and is freed without the collector; by then most are (1 of the 9 us that the engine adds, measured on 2026-11-23)."""


def _spare_the_collector() -> None:
    """Takes what is loaded by now, and stays, out of the garbage collector's rounds, and has fewer of them.

    The records that wait in lanes keep it busy, and each of its full rounds would walk some 300,000 objects of modules
    and message types: 12 us of the 24 us that the engine adds to a record (measured on 2026-11-23, Python 3.11).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTOR_THRESHOLD, *gc.get_threshold()[1:])


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What ended the parts; the rest was cancelled for it, or failed in the same moment."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
