"""Works through the lanes: order within a lane, concurrency across them, all of it bounded."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Final, cast

import structlog

from bridge.calls import Call
from bridge.config import EngineLimits
from bridge.engine.attempts import Attempt, Retry, ToSetAside
from bridge.engine.counts import Counts, count_by_partition
from bridge.engine.deferred import Deferred
from bridge.engine.lanes import SET_ASIDE_LANES_MAX, Lane, Lanes
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.engine.reporter import Reporter
from bridge.engine.stuck import StuckLanes
from bridge.engine.translation import OneATurn, Translator, Turns
from bridge.engine.work import LARGE_CALL_BYTES, LaneKey, Work
from bridge.health import Dependency, Health
from bridge.mapping import Mapping
from bridge.record import Record
from bridge.refusal import Refusal

_ROOM_MADE_EVERY_SECONDS: Final = 0.1
"""How often lanes are cut short while the room is used up: it takes a look at each of them, some 0.2 ms in all."""
_REPEATS_A_SECOND_MAX: Final = 400
"""The most attempts a second at records that were tried in vain, however many they are: those of 2,000 lanes come every
5 s, as by the longest back-off, and what they cost leaves the processor to others."""
_HANGING_SECONDS: Final = 1.0
"""An attempt that takes longer may take as long as a call is allowed to: its lane then counts as held up."""


class Engine:
    """Holds what is delivered until it is settled.

    The poll loop waits for nobody: `take_in_turns` only gives others their turn. A fixed pool of workers makes the
    attempts; a record that is to be tried again waits on a timer and occupies no worker. A second pool does nothing but
    set records aside: a dead-letter topic that keeps it waiting keeps no other lane waiting (I10).

    A lane that is full defers what comes behind (`bridge.engine.lanes`).

    Args:
        mapping: Says what each record means.
        attempt: Makes one attempt at a record: `bridge.engine.attempts.Attempter.attempt`.
        tracker: Knows which records are delivered and not settled.
        health: Knows whether a configuration has to be corrected.
        limits: How much is held and done at once.
        reporter: Says what became of records; None for one that logs what has to be looked at.
    """

    def __init__(
        self,
        mapping: Mapping,
        attempt: Callable[[Work], Awaitable[Attempt]],
        tracker: OffsetTracker,
        health: Health,
        limits: EngineLimits,
        *,
        reporter: Reporter | None = None,
    ) -> None:
        self._reporter = reporter or Reporter()
        self._translator = Translator(mapping)
        self._attempt = attempt
        self._tracker = tracker
        self._health = health
        self._limits = limits
        self._log = structlog.get_logger("bridge").bind()
        self._large_begins = OneATurn()
        self._lanes = Lanes(limits)
        self._stuck = StuckLanes(limits.stuck_after)
        self._ready: asyncio.Queue[Lane] = asyncio.Queue()
        """Lanes whose head is to be delivered."""
        self._given_up: asyncio.Queue[Lane] = asyncio.Queue()
        """Lanes whose head is to be set aside. A lane is in one queue at most: the records held bound them both."""
        self._workers: set[asyncio.Task[None]] = set()
        self._busy: dict[asyncio.Task[None], tuple[asyncio.Queue[Lane], Lane]] = {}
        """Each worker that is in the middle of an attempt, the queue that it works through, and the lane."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: asyncio.TaskGroup | None = None
        self._draining = False
        self._full = self._deferred_full = False
        self._room_made_at = 0.0
        """When lanes were last cut short."""
        self._at_limit = False
        """Whether a record is one too many to be set aside: the bridge ends once the ones before it are."""
        self.deferred = Deferred(self._translator, self._lanes, tracker, self._put, self._stuck_while_others_move)
        """Takes deferred records once they were read again."""
        self.is_paused = False
        """Whether `update_paused` last said so."""
        self.attempts_ended = 0
        """Attempts that came to any end so far; the watchdog looks whether it rises."""
        self.last_timestamps_ms: dict[Partition, int] = {}
        """The timestamp of the last record that each partition delivered; below 0 where it had none."""
        self.records_taken = 0
        """Records taken so far; the same."""
        self.records_held_peak = 0
        """The most records that were held at once."""

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Starts the workers, in the group that ends them."""
        self._tasks = tasks
        for _ in range(self._limits.calls_in_flight_max):
            self._start_worker(self._ready)
        for _ in range(SET_ASIDE_LANES_MAX):
            self._start_worker(self._given_up)

    def take(self, partition: Partition, records: Iterable[Record]) -> None:
        """Takes one partition's delivered records into their lanes. Does not wait.

        Raises:
            UnexpectedDeliveryError: The Kafka client handed out what it cannot have.
        """
        for record in records:
            self._take(partition, record, None)
        self._note_taken()

    async def take_in_turns(self, batches: dict[Partition, Iterable[Record]]) -> None:
        """Takes what one poll has delivered, and lets others have their turn of the loop every few milliseconds.

        Where the assignment ends meanwhile, the rest is dropped: it is delivered again, to whoever has it then.

        Raises:
            UnexpectedDeliveryError: The Kafka client handed out what it cannot have.
        """
        epoch, turns = self._tracker.epoch, Turns(self._translator)
        for partition, records in batches.items():
            for record in records:
                translated: Call | Refusal | None = None
                if turns.are_others_due(record):
                    translated = await turns.give(record)
                    if not self._tracker.is_assigned or epoch != self._tracker.epoch:
                        return
                self._take(partition, record, translated)
                self._note_taken()

    def _take(self, partition: Partition, record: Record, translated: Call | Refusal | None) -> None:
        self.records_taken += 1
        self.last_timestamps_ms[partition] = record.timestamp_ms
        ticket = self._tracker.deliver(partition, record)
        if ticket is None:
            return  # An earlier owner of the partition had settled it.
        work = Work.of(record, translated or self._translator.now(record), ticket)
        self._place(work.key, work)

    def _note_taken(self) -> None:
        self.records_held_peak = max(self.records_held_peak, self._lanes.records_held)
        for inherited in self._tracker.take_inherited():
            self._reporter.inherited(inherited)

    def _place(self, key: LaneKey, work: Work) -> None:
        """Puts a delivered record into its lane, or has the lane defer it."""
        partition, lane = work.ticket.partition, self._lanes.get(key)
        if work.refusal is not None or not self._lanes.keeps_call(lane):
            work.let_call_go()
        # A record that ends the bridge, instead of being set aside, must not be forgotten.
        if (
            lane is not None
            and work.beyond_limit is None
            and self._lanes.must_defer(lane, partition, work.weight_bytes)
        ):
            self._lanes.defer(lane, partition, work.ticket.offset)
            self._tracker.defer(work.ticket)
            return
        ready = self._lanes.add(key, work)
        if ready is not None:
            self._put(ready)

    @property
    def records_held(self) -> int:
        """Records delivered and not yet settled, without those that are deferred."""
        return self._lanes.records_held

    @property
    def records_deferred(self) -> int:
        """Records delivered and not yet settled that are to be read again."""
        return self._lanes.records_deferred

    @property
    def stuck(self) -> tuple[str, ...]:
        """The lanes whose first record has been tried in vain for long, in words."""
        return self._stuck.words()

    @property
    def bytes_held(self) -> int:
        """What the held records weigh."""
        return self._lanes.bytes_held

    @property
    def attempts_in_flight(self) -> int:
        """Attempts under way, at calls and at setting records aside."""
        return len(self._busy)

    def counts(self) -> dict[Partition, Counts]:
        """What is held and deferred of each partition that has any."""
        return count_by_partition(self._lanes, self._stuck)

    @property
    def has_more_ready(self) -> bool:
        """Whether there is more to begin than there are workers free to begin it."""
        return not self._ready.empty()

    @property
    def free_records(self) -> int:
        """How many more records may be taken; at least 1, for a poll that has been decided on."""
        return max(1, self._lanes.free_records(self._stuck_while_others_move()))

    def update_paused(self) -> bool:
        """Whether nothing is to be taken now.

        From the upper bounds on, until half of it is settled (hysteresis). While a configuration has to be corrected:
        what is held then asks now and then whether it has been. And from the first deferred record on while Temporal as
        a whole does not answer: reading on would help nobody.
        """
        temporal_is_away = self._health.is_away(Dependency.TEMPORAL)
        self._update_full()
        if self._full and not temporal_is_away:
            self._make_room(time.monotonic())
            self._update_full()
        self._update_deferred_full()
        waits_for_a_person = self._lanes.records_held > 0 and self._health.needs_a_person
        waits_for_temporal = self._lanes.records_deferred > 0 and temporal_is_away
        self.is_paused = self._full or self._deferred_full or self._at_limit or waits_for_a_person or waits_for_temporal
        return self.is_paused

    def _update_full(self) -> None:
        self._full = self._lanes.is_full(was_full=self._full, stuck=self._stuck_while_others_move())

    def _stuck_while_others_move(self) -> int:
        return 0 if self._health.is_away(Dependency.TEMPORAL) else len(self._stuck)

    def _make_room(self, now: float) -> None:
        """Defers what long lanes hold, and what waits behind records that cannot be settled now: others can go on."""
        if now < self._room_made_at + _ROOM_MADE_EVERY_SECONDS:
            return
        self._room_made_at = now
        hanging = {
            lane
            for _, lane in self._busy.values()
            if lane.head is not None and now - lane.head.begun_at > _HANGING_SECONDS
        }
        for work in self._lanes.shorten(hanging):
            self._tracker.defer(work.ticket)

    def _update_deferred_full(self) -> None:
        """Keeps whether too many records are deferred, from the bound on until a tenth of them was read again."""
        deferred, deferred_max = self._lanes.records_deferred, self._limits.deferred_records_max
        if self._deferred_full:
            self._deferred_full = deferred > deferred_max - deferred_max // 10
        elif deferred >= deferred_max and (lane := self._lanes.longest()) is not None:
            self._deferred_full = True
            self._log.error(
                "bridge.deferred.full",
                records=deferred,
                lane=str(lane.key),
                records_of_lane=lane.deferred_count,
                partitions=sorted(f"{partition.topic}:{partition.partition}" for partition in lane.deferred),
                detail="so many records wait behind stuck ones that nothing more is taken",
                action="see why the lane's first record is not taken (bridge.lane.stuck); raise the bound if need be",
            )

    async def drain(self, budget: timedelta) -> bool:
        """Starts nothing more, and waits for what is in flight.

        What waits in the lanes is not started: it would only make the others of the group wait, or the shutdown.

        Returns:
            Whether all of it was settled within the budget.
        """
        self._draining = self.deferred.is_closed = True
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
        self._stuck.clear()
        self.last_timestamps_ms.clear()
        for worker, (queue, _) in tuple(self._busy.items()):
            worker.cancel()
            self._start_worker(queue)
        self._draining = self.deferred.is_closed = False
        self._full = self._deferred_full = self._at_limit = False
        return dropped

    def close(self) -> None:
        """Ends the workers; what is in flight is cancelled and stays unsettled."""
        self._draining = self.deferred.is_closed = True
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
            self._busy[worker] = queue, lane
            self._idle.clear()
            try:
                await self._work_on(lane)
            finally:
                del self._busy[worker]
                if not self._busy:
                    self._idle.set()

    async def _work_on(self, lane: Lane) -> None:
        """Settles the lane's records one after the other, until the lane holds none or has to wait."""
        while not self._draining and (work := lane.head) is not None:
            work.begun_at = time.monotonic()
            if work.first_begun_at is None:
                work.first_begun_at = work.begun_at
            try:
                if work.size_bytes > LARGE_CALL_BYTES:
                    await self._prepare_large(lane, work)
                result = await self._attempt(work)
            finally:
                self.attempts_ended += 1
            if isinstance(result, Retry):
                self._hold_up(lane, work)
                delay_seconds = max(result.delay.total_seconds(), self._lanes.held_up_count / _REPEATS_A_SECOND_MAX)
                asyncio.get_running_loop().call_later(delay_seconds, self._put, lane)
                return
            self._lanes.remove_head(lane)
            if len(self._stuck):
                self._stuck.note_settled(lane, work)
            if isinstance(result, ToSetAside):
                self._set_aside(work)
            else:
                self._tracker.settle(work.ticket)
                self._reporter.settled(work, result)
            self.deferred.note_room()

    async def _prepare_large(self, lane: Lane, work: Work) -> None:
        if work.wants_call:
            translated, weight_before = await self._translator.in_thread(work.record), work.weight_bytes
            work.take_call(translated)
            self._lanes.weigh_again(lane, work, weight_before)
        await self._large_begins.wait()

    def _hold_up(self, lane: Lane, work: Work) -> None:
        self._lanes.hold_up(lane)
        if self._lanes.is_full_of_bytes:
            weight_before = work.weight_bytes
            work.let_call_go()
            self._lanes.weigh_again(lane, work, weight_before)
        if not self._health.is_away(Dependency.TEMPORAL) or lane.is_of_set_aside:
            self._stuck.note_attempt(lane, work, time.monotonic())

    def _set_aside(self, work: Work) -> None:
        """Moves a record that is to be set aside out of its lane, whose other records go on."""
        self._at_limit = self._at_limit or work.beyond_limit is not None
        self._place(self._lanes.set_aside_key(work.ticket.partition, work.ticket.offset), work)

    def _put(self, lane: Lane) -> None:
        """Queues a lane, so that its head is worked on. A dropped lane that comes back from its timer has no head."""
        if lane.head is not None:
            queue = self._given_up if lane.is_of_set_aside else self._ready
            queue.put_nowait(lane)
