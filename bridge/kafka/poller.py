"""The poll loop: takes records from the Kafka client and hands them to the engine."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, cast

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError

from bridge.config import BridgeConfig
from bridge.decisions import Decision, classify_kafka_error
from bridge.engine.engine import Engine
from bridge.engine.offsets import Partition, UnexpectedDeliveryError
from bridge.failpoints import Failpoint
from bridge.health import Dependency, Health
from bridge.kafka.beginnings import Beginnings, is_of_a_position
from bridge.kafka.membership import fenced, is_fenced
from bridge.kafka.poll_bounds import bound_next_poll
from bridge.kafka.positions import Positions, is_of_one_partition
from bridge.record import Record

log = structlog.get_logger("bridge")

_POLL_TIMEOUT_MS = 200
"""How long one poll waits for records: how soon a stop is seen."""
_PAUSED_POLL_FIRST_MS, _PAUSED_POLL_LAST_MS = 2, 100
"""The same while the engine is full, when a poll ends only by the clock; longer the longer nothing is settled."""
_BUSY_POLL_RECORDS_MAX = 10
"""Most records of one poll while more are held than can be begun: to translate a few takes less than a call, so calls
which end meanwhile are followed by the next at once. With 500 the calls of 5 ms took 9 (measured on 2026-11-23)."""
_POLL_BYTES_MAX = 4 * 1024 * 1024
"""Most bytes of one poll, but for its last record: what is held is looked at between polls (I11)."""
_FAILED_POLL_PAUSE_SECONDS = 1.0
_CAREFUL_SECONDS = 5.0
"""How long after a failed poll each partition is asked for itself: until what raised is fetched again, and found."""
_CAREFUL_POLL_RECORDS_MAX = 100
"""Most records of a partition in one such turn; each is asked for alone, so that no error takes others with it."""
_CAREFUL_WAIT_MS = 20
"""How long such a turn waits where there was nothing to take."""
_PASS_MARKERS_SECONDS = 0.5

_NOTHING = TopicPartition("(nothing)", 0)
"""No partition has this name, so polling for it returns no record. It is how the bridge pauses: the client stays
alive in its group and keeps what it has fetched, which `AIOKafkaConsumer.pause` makes it throw away and fetch again
(seen in aiokafka 0.14, `FetchResult.check_assignment`)."""


class Poller:
    """The poll loop: polls Kafka, and hands each batch of records to the engine before it polls again."""

    def __init__(
        self,
        consumer: Any,
        engine: Engine,
        *,
        positions: Positions,
        beginnings: Beginnings,
        health: Health,
        config: BridgeConfig,
    ) -> None:
        self._consumer = consumer
        self._engine = engine
        self._positions = positions
        self._beginnings = beginnings
        self._config = config
        self._health = health
        self._records_max = config.poll_records_max
        self._failpoints = config.failpoints
        self._stopping = False
        self.turns = 0
        """How often the loop has turned; the watchdog looks whether it rises."""
        self._paused_poll_ms = _PAUSED_POLL_FIRST_MS
        self._held_when_paused = -1
        """How much the engine held at the last poll at which it was full."""
        self._must_go_back = False
        """Whether a poll has failed, and the client may stand beyond records that it never handed out."""
        self._careful_until: float | None = None
        self._misplaced: Exception | None = None
        """Why a partition has no position from which it can be read; None where all have one."""
        self._markers_passed_at = 0.0

    def stop(self) -> None:
        """Ends the loop after the poll that is under way."""
        self._stopping = True

    async def run(self, subscribe: Callable[[], None]) -> None:
        """Subscribes, and polls until stopped. Must not be cancelled while the consumer is to be used any further.

        Args:
            subscribe: Subscribes to the topics; called again where the group has refused this member. The client would
                otherwise go on raising what its last heartbeat met, long after the member may join (aiokafka 0.14).
        """
        # What the engine raises at records is not caught with what a poll raises: it ends the bridge.
        async with aclosing(self._polls(subscribe)) as polls:
            async for batches in polls:
                await self._hand_over(batches)

    async def _polls(self, subscribe: Callable[[], None]) -> AsyncGenerator[dict[Any, Any], None]:
        """What the consumer hands out, poll after poll; a poll that fails is noted and repeated."""
        subscribe()
        while not self._stopping:
            self.turns += 1
            is_careful = self._is_careful()
            try:
                await self._find_positions()
                if is_careful:
                    async for batches in self._careful_polls():
                        yield batches
                else:
                    batches = await self._poll()
                    yield batches
                    if not batches:
                        await self._pass_markers()
            except Exception as error:
                if is_fenced(error):
                    raise fenced(self._config.group_id, self._config.instance_id) from error
                await self._note_failure(error, is_careful=is_careful, subscribe=subscribe)
                continue
            self._health.answered(Dependency.GROUP)
            # A poll that finds records in the client's buffer does not suspend: without this turn of the loop, many in
            # a row would hold up the calls that have ended meanwhile, and so those that could begin.
            await asyncio.sleep(0)

    async def _find_positions(self) -> None:
        """Has the consumer stand where the next poll has to begin, if the last one has failed."""
        if self._must_go_back:
            await self._positions.go_back()
            self._must_go_back = False
        if self._misplaced is not None:
            await self._beginnings.place(self._misplaced)
            self._misplaced = None

    async def _pass_markers(self) -> None:
        """Now and then while nothing comes: whoever looks at the group's lag sees that there is nothing to read."""
        if time.monotonic() - self._markers_passed_at > _PASS_MARKERS_SECONDS:
            await self._positions.pass_markers()
            self._markers_passed_at = time.monotonic()

    async def _hand_over(self, batches: dict[Any, Any]) -> None:
        if self._stopping:
            return  # Delivered to nobody, so never committed.
        if batches and self._failpoints:
            self._failpoints.hit(Failpoint.AFTER_POLL)
        await self._engine.take_in_turns(
            {Partition(tp.topic, tp.partition): map(Record.from_consumed, batch) for tp, batch in batches.items()}
        )

    async def _poll(self) -> dict[Any, Any]:
        """One poll; never cancelled nor timed: a cancelled getmany leaves the client's idle clock at zero for ever."""
        if self._engine.update_paused():
            timeout_ms = self._next_paused_poll_ms()
            return cast("dict[Any, Any]", await self._consumer.getmany(_NOTHING, timeout_ms=timeout_ms))
        records_max = min(self._records_max, self._engine.free_records)
        if self._engine.has_more_ready:
            records_max = min(records_max, _BUSY_POLL_RECORDS_MAX)
        bound_next_poll(_POLL_BYTES_MAX)
        polled = self._consumer.getmany(timeout_ms=_POLL_TIMEOUT_MS, max_records=records_max)
        return cast("dict[Any, Any]", await polled)

    def _is_careful(self) -> bool:
        """Whether partitions are polled one by one, as one of them may raise."""
        if self._positions.retry_due():
            self._careful_until = time.monotonic() + _CAREFUL_SECONDS
        elif self._careful_until is not None and time.monotonic() > self._careful_until:
            self._careful_until = None
            self._positions.end_retries()
        return self._careful_until is not None

    async def _careful_polls(self) -> AsyncGenerator[dict[Any, Any], None]:
        """Polls each partition for itself, so that what one of them raises costs no other a record, nor any time."""
        await self._consumer.getmany(_NOTHING, timeout_ms=0)  # Raises what is no partition's.
        taken = self._engine.records_taken
        for partition in self._consumer.assignment():
            for _ in range(_CAREFUL_POLL_RECORDS_MAX):
                if self._stopping or self._engine.update_paused():
                    break
                try:
                    batches = await self._consumer.getmany(partition, timeout_ms=0, max_records=1)
                except Exception as error:
                    if not is_of_one_partition(error):
                        raise
                    await self._positions.hold(partition, error)
                    break
                if not batches:
                    break
                yield batches
        timeout_ms = _CAREFUL_WAIT_MS if self._engine.records_taken == taken else 0
        await self._consumer.getmany(_NOTHING, timeout_ms=timeout_ms)

    def _next_paused_poll_ms(self) -> int:
        """Short while records are being settled, as there may be room at any moment; longer the longer none is."""
        held = self._engine.records_held
        if held == self._held_when_paused:
            self._paused_poll_ms = min(self._paused_poll_ms * 2, _PAUSED_POLL_LAST_MS)
        else:
            self._paused_poll_ms = _PAUSED_POLL_FIRST_MS
        self._held_when_paused = held
        return self._paused_poll_ms

    async def _note_failure(self, error: Exception, *, is_careful: bool, subscribe: Callable[[], None]) -> None:
        """Decides what the next poll has to do first; waits a moment where the group or the servers have failed.

        Raises:
            UnexpectedDeliveryError: That is what has failed: going on could lose records.
        """
        if isinstance(error, UnexpectedDeliveryError):
            raise error
        if is_of_a_position(error):
            self._misplaced = error
            return
        self._must_go_back = True
        self._careful_until = time.monotonic() + _CAREFUL_SECONDS
        if not is_careful and is_of_one_partition(error):
            return
        decision = classify_kafka_error(error)
        if decision is not Decision.LOST_OWNERSHIP:
            self._health.failed(Dependency.GROUP, decision, error)
        if isinstance(error, GroupAuthorizationFailedError):
            subscribe()
        await asyncio.sleep(_FAILED_POLL_PAUSE_SECONDS)
