"""Works through the lanes: order within a lane, concurrency across them, all of it bounded."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import cast

import structlog

from bridge.calls import Call
from bridge.config import EngineLimits
from bridge.engine.attempts import Attempt, Retry, Settled, ToSetAside
from bridge.engine.lanes import Lane, Lanes, Work
from bridge.engine.offsets import Inherited, OffsetTracker, Partition
from bridge.engine.translation import translate
from bridge.health import Health
from bridge.mapping import Mapping
from bridge.record import Record


class Engine:
    """Holds what is delivered until it is settled.

    `take` and `update_paused` never wait, so that the poll loop only polls. A fixed pool of workers makes the attempts;
    a record that is to be tried again waits on a timer and occupies no worker. A second pool, of the same size, does
    nothing but set records aside: a dead-letter topic that keeps it waiting keeps no other lane waiting (I10).

    Args:
        mapping: Says what each record means.
        attempt: Makes one attempt at a record: `bridge.engine.attempts.Attempter.attempt`.
        tracker: Knows which records are delivered and not settled.
        health: Knows whether a configuration has to be corrected.
        limits: How much is held and done at once.
    """

    def __init__(
        self,
        mapping: Mapping,
        attempt: Callable[[Work], Awaitable[Attempt]],
        tracker: OffsetTracker,
        health: Health,
        limits: EngineLimits,
    ) -> None:
        self._mapping = mapping
        self._attempt = attempt
        self._tracker = tracker
        self._health = health
        self._limits = limits
        self._log = structlog.get_logger("bridge").bind()  # Bound once: it is asked for every record.
        self._lanes = Lanes()
        self._ready: asyncio.Queue[Lane] = asyncio.Queue()
        """Lanes whose head is to be delivered."""
        self._given_up: asyncio.Queue[Lane] = asyncio.Queue()
        """Lanes whose head is to be set aside. A lane is in one queue at most: the records held bound them both."""
        self._workers: set[asyncio.Task[None]] = set()
        self._busy: dict[asyncio.Task[None], asyncio.Queue[Lane]] = {}
        """Each worker that is in the middle of an attempt, and the queue that it works through."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: asyncio.TaskGroup | None = None
        self._draining = False
        self._full = False
        self.is_paused = False
        """Whether `update_paused` last said so."""
        self.attempts_ended = 0
        """Attempts that came to any end so far; the watchdog looks whether it rises."""
        self.records_taken = 0
        """Records taken so far; the same."""
        self.records_held_peak = 0
        """The most records that were held at once."""

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Starts the workers, in the group that ends them."""
        self._tasks = tasks
        for _ in range(self._limits.calls_in_flight_max):
            self._start_worker(self._ready)
            self._start_worker(self._given_up)

    def take(self, partition: Partition, records: Iterable[Record]) -> None:
        """Takes one partition's delivered records into their lanes. Does not wait.

        Raises:
            UnexpectedDeliveryError: The Kafka client handed out what it cannot have.
        """
        mapping = self._mapping
        for record in records:
            self.records_taken += 1
            ticket = self._tracker.deliver(partition, record)
            if ticket is None:
                continue  # An earlier owner of the partition had settled it.
            lane = self._lanes.add(Work(record, translate(record, mapping), ticket, record.size_bytes))
            if lane is not None:
                self._ready.put_nowait(lane)
        self.records_held_peak = max(self.records_held_peak, self._lanes.records_held)
        for inherited in self._tracker.take_inherited():
            self._log_inherited(inherited)

    @property
    def records_held(self) -> int:
        """Records delivered and not yet settled."""
        return self._lanes.records_held

    @property
    def has_more_ready(self) -> bool:
        """Whether there is more to begin than there are workers free to begin it."""
        return not self._ready.empty()

    @property
    def free_records(self) -> int:
        """How many more records may be taken; at least 1, for a poll that has been decided on."""
        return max(1, self._limits.records_held_max - self._lanes.records_held)

    def update_paused(self) -> bool:
        """Whether nothing is to be taken now.

        From the upper bounds on, until half of it is settled (hysteresis). And while a configuration has to be
        corrected: what is held then asks now and then whether it has been.
        """
        records, held_bytes = self._lanes.records_held, self._lanes.bytes_held
        if self._full:
            self._full = records > self._limits.records_held_max // 2 or held_bytes > self._limits.bytes_held_max // 2
        else:
            self._full = records >= self._limits.records_held_max or held_bytes >= self._limits.bytes_held_max
        self.is_paused = self._full or (records > 0 and self._health.needs_a_person)
        return self.is_paused

    async def drain(self, budget: timedelta) -> bool:
        """Starts nothing more, and waits for what is in flight.

        What waits in the lanes is not started: it would only make the others of the group wait, or the shutdown.

        Returns:
            Whether all of it was settled within the budget.
        """
        self._draining = True
        try:
            async with asyncio.timeout(budget.total_seconds()):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def drop(self) -> int:
        """Forgets all that is held, and ends the attempts that are still in flight; then takes new records.

        An attempt that ends late could otherwise reach Temporal after the next record of its lane, which by then
        another bridge may have handed over (I3).

        Returns:
            How many records were dropped.
        """
        dropped = self._lanes.drop_all()
        for worker, queue in tuple(self._busy.items()):
            worker.cancel()
            self._start_worker(queue)
        self._draining = False
        self._full = False
        return dropped

    def close(self) -> None:
        """Ends the workers; what is in flight is cancelled and stays unsettled."""
        self._draining = True
        for worker in tuple(self._workers):
            worker.cancel()

    def _start_worker(self, queue: asyncio.Queue[Lane]) -> None:
        if self._tasks is None:
            raise RuntimeError("the engine has not been started")
        worker = self._tasks.create_task(self._work(queue), name="bridge-worker")
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def _work(self, queue: asyncio.Queue[Lane]) -> None:
        worker = cast("asyncio.Task[None]", asyncio.current_task())
        while True:
            # Without a wait where there is something: most lanes hold one record, and a coroutine for each adds up.
            lane = await queue.get() if queue.empty() else queue.get_nowait()
            if self._draining or lane.head is None:
                continue  # It is dropped, or about to be.
            self._busy[worker] = queue
            self._idle.clear()
            try:
                await self._work_on(lane, queue)
            finally:
                del self._busy[worker]
                if not self._busy:
                    self._idle.set()

    async def _work_on(self, lane: Lane, queue: asyncio.Queue[Lane]) -> None:
        """Settles the lane's records one after the other, until it is empty, has to wait, or is the other pool's."""
        while not self._draining and (work := lane.head) is not None:
            if self._queue_of(work) is not queue:
                self._put(lane)
                return
            try:
                result = await self._attempt(work)
            finally:
                self.attempts_ended += 1
            if isinstance(result, Retry):
                asyncio.get_running_loop().call_later(result.delay.total_seconds(), self._put, lane)
                return
            if isinstance(result, ToSetAside):
                continue
            self._lanes.remove_head(lane)
            self._tracker.settle(work.ticket)
            self._log_settled(work, result)

    def _put(self, lane: Lane) -> None:
        """Queues a lane, so that its head is worked on. A dropped lane that comes back from its timer has no head."""
        if lane.head is not None:
            self._queue_of(lane.head).put_nowait(lane)

    def _queue_of(self, work: Work) -> asyncio.Queue[Lane]:
        return self._ready if work.refusal is None else self._given_up

    def _log_inherited(self, inherited: Inherited) -> None:
        topic, partition = inherited.partition
        if inherited.is_trusted:
            self._log.info(
                "bridge.offsets.passed_over", topic=topic, partition=partition, records=inherited.records_passed_over
            )
        else:
            self._log.warning(
                "bridge.offsets.distrusted",
                topic=topic,
                partition=partition,
                detail="the committed offset holds another record than when it was committed: was the topic made anew?",
                action="none: everything from the committed offset on is handed to Temporal",
            )

    def _log_settled(self, work: Work, settled: Settled) -> None:
        record, translated = work.record, work.translated
        self._log.info(
            "bridge.record.settled",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            workflow_id=translated.workflow_id if isinstance(translated, Call) else None,
            outcome=settled.outcome,
            error_code=settled.error_code,
            attempts=work.attempts,
        )
