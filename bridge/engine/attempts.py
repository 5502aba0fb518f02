"""One attempt to settle a record: make its call, or set it aside."""

import random
import time
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from bridge.calls import Call, CallOutcome
from bridge.config import BridgeConfig
from bridge.dead_letters.limit import DeadLetterGuard, DeadLetterLimitError
from bridge.decisions import (
    Decision,
    classify_dispatch_error,
    classify_kafka_error,
    ended_with_its_connection,
    is_of_one_run,
)
from bridge.engine.work import Work
from bridge.failpoints import Failpoint
from bridge.health import Dependency, Health
from bridge.metrics import BridgeMetrics
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, Stage

if TYPE_CHECKING:
    from bridge.traces import BridgeTraces


class Outcome(StrEnum):
    """How a record was settled: by one of a call's outcomes, by its dead letter, or by nothing at all."""

    DELIVERED = "delivered"
    LATE = "late"
    DUPLICATE = "duplicate"
    DEAD_LETTERED = "dead_lettered"
    PASSED_OVER = "passed_over"
    """A tombstone that the mapping refuses, where the configuration says that those are passed over."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The record is acknowledged, by Temporal or by the dead-letter topic; or nobody has to."""

    outcome: Outcome
    error_code: str | None = None


_OUTCOMES = {outcome: Settled(Outcome(outcome.value)) for outcome in CallOutcome}


@dataclass(frozen=True, slots=True)
class Retry:
    """Nothing is acknowledged; the record is tried again after a wait."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class ToSetAside:
    """Nothing is acknowledged; the record has a refusal now, and its next attempt sets it aside."""


Attempt = Settled | Retry | ToSetAside
"""What one attempt came to."""


class CallMaker(Protocol):
    """What makes calls on Temporal: a `bridge.calls.Caller`, or what stands for one in a test or a measurement."""

    async def make(self, call: Call) -> CallOutcome:
        """Makes the call; raises where its outcome is unknown or Temporal refuses it."""
        ...


class Writer(Protocol):
    """What writes dead letters."""

    async def set_aside(self, record: Record, refusal: Refusal, *, attempts: int) -> None:
        """Produces a dead letter and returns once it is acknowledged."""
        ...


class Attempter:
    """Makes one attempt at a time. The engine repeats them, so that no attempt waits for an outage to end."""

    def __init__(
        self,
        caller: CallMaker,
        writer: Writer,
        health: Health,
        config: BridgeConfig,
        *,
        metrics: BridgeMetrics | None = None,
        traces: "BridgeTraces | None" = None,
    ) -> None:
        self._caller = caller
        self._metrics = metrics
        self._traces = traces
        self._writer = writer
        self._health = health
        self._back_off = config.back_off
        self._guard = DeadLetterGuard(config.dead_letter_limits)
        self._passes_tombstones_over = config.tombstones == "pass_over"
        self._failpoints = config.failpoints

    async def attempt(self, work: Work) -> Attempt:
        """Tries once. Cancelling it is safe at any point: the record is then unsettled, and delivered again.

        Sets a record with a refusal aside, and gives a refusal to one that cannot be delivered. Never both in one
        attempt, as the dead-letter topic may keep whoever writes to it waiting for as long as the Kafka client tries.

        Raises:
            DeadLetterLimitError: Too many records would be set aside. Nothing goes on after this.
        """
        if self._traces is None:
            return await self._attempt(work)
        if not work.attempts:
            work.trace = self._traces.begin(work.record, work.translated)
        if work.trace is None:
            return await self._attempt(work)
        with work.trace.current():
            result = await self._attempt(work)
        if isinstance(result, Settled):
            work.trace.end(result.outcome, result.error_code)
        return result

    async def _attempt(self, work: Work) -> Attempt:
        if work.refusal is not None:
            return await self._set_aside(work, work.refusal)
        if work.translated is None:
            raise RuntimeError("the record's call was let go of: it is to be made again before an attempt")
        work.attempts += 1
        if isinstance(work.translated, Refusal):
            if self._passes_tombstones_over and work.record.is_tombstone:
                return Settled(Outcome.PASSED_OVER, work.translated.code)
            return self._give_up(work, work.translated)
        return await self._make(work, work.translated)

    async def _make(self, work: Work, call: Call) -> Attempt:
        if self._failpoints:
            await self._failpoints.reach(Failpoint.BEFORE_CALL)
        begun_at = time.perf_counter()
        try:
            outcome = await self._caller.make(call)
        except Exception as error:  # noqa: BLE001 -- every failure of the boundary is classified, in one place
            decision = classify_dispatch_error(error)
            self._measure(call, "refused" if decision is Decision.RECORD else "failed", begun_at)
            if decision is not Decision.RECORD:
                if is_of_one_run(error):
                    self._health.answered(Dependency.TEMPORAL)
                elif work.attempts > 1 or not ended_with_its_connection(error):
                    self._health.failed(Dependency.TEMPORAL, decision, error)
                return self._retry(work, decision)
            self._health.answered(Dependency.TEMPORAL)
            return self._give_up(work, refused_by_temporal(error))
        self._measure(call, outcome, begun_at)
        if self._failpoints:
            await self._failpoints.reach(Failpoint.AFTER_CALL)
        self._health.answered(Dependency.TEMPORAL)
        self._guard.note_delivered()
        return _OUTCOMES[outcome]

    def _measure(self, call: Call, outcome: str, begun_at: float) -> None:
        if self._metrics is not None:
            operation = "start" if call.signal is None else "signal_with_start"
            self._metrics.called(operation, outcome, time.perf_counter() - begun_at)

    def _give_up(self, work: Work, refusal: Refusal) -> ToSetAside:
        """Counts the record now, in its turn among those that are delivered, however long its dead letter then takes.

        Not a tombstone: a purge upstream sends thousands of them, and none of them says that a sender is at fault.
        One beyond the limit ends the bridge only when it is about to be set aside: by then all before it have been, and
        can be looked at.
        """
        work.refusal = refusal
        if work.record.is_tombstone:
            return ToSetAside()
        try:
            self._guard.admit(work.record.coordinates)
        except DeadLetterLimitError as error:
            work.beyond_limit = error
        return ToSetAside()

    async def _set_aside(self, work: Work, refusal: Refusal) -> Settled | Retry:
        if work.beyond_limit is not None:
            raise work.beyond_limit
        if self._failpoints:
            await self._failpoints.reach(Failpoint.BEFORE_DEAD_LETTER)
        try:
            await self._writer.set_aside(work.record, refusal, attempts=work.attempts)
        except Exception as error:  # noqa: BLE001 -- as above
            decision = classify_kafka_error(error)
            self._health.failed(Dependency.DEAD_LETTERS, decision, error)
            retry = self._retry(work, decision)
            work.attempts += 1
            return retry
        if self._failpoints:
            await self._failpoints.reach(Failpoint.AFTER_DEAD_LETTER)
        self._health.answered(Dependency.DEAD_LETTERS)
        return Settled(Outcome.DEAD_LETTERED, refusal.code)

    def _retry(self, work: Work, decision: Decision) -> Retry:
        if decision is Decision.CONFIGURATION:
            return Retry(self._back_off.maximum)  # A person takes longer than any back-off.
        share = random.random()  # noqa: S311 -- spreads repeats over time, guards nothing
        return Retry(self._back_off.delay_before(work.attempts + 1, random_share=share))


def refused_by_temporal(error: Exception | None = None) -> Refusal:
    """Why Temporal refused a call. Without Temporal's own message, which may quote the payload.

    Args:
        error: What Temporal said; None where that is not known any more.
    """
    status = "" if error is None else f" ({getattr(getattr(error, 'status', None), 'name', type(error).__name__)})"
    message = f"Temporal does not take this event{status}; compare it with the message contract, then replay it"
    return Refusal(Stage.DISPATCH, RefusalCode.REFUSED_BY_TEMPORAL, message)
