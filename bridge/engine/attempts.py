"""One attempt to settle a record: route and dispatch it, or set it aside."""

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from activities.failpoints import Failpoint
from bridge.backoff import delay_before
from bridge.calls import Settlement
from bridge.config import BridgeConfig
from bridge.dead_letters.headers import Reason
from bridge.dead_letters.limit import DeadLetterGuard, DeadLetterLimitError
from bridge.decisions import Decision, classify_dispatch_error, classify_kafka_error, is_of_one_run
from bridge.engine.lanes import Work
from bridge.health import Dependency, Health
from bridge.reading.event import DecodedRecord
from bridge.record import Record
from bridge.refusal import DecodeError
from bridge.router import WorkflowCall, route

DISPATCH_STAGE = "dispatch"
REFUSED_BY_TEMPORAL = "refused_by_temporal"
"""Error code of a record that follows the contract and that Temporal does not take."""


class Outcome(StrEnum):
    """What became of a settled record."""

    DELIVERED = "delivered"
    LATE = "late"
    DUPLICATE = "duplicate"
    DEAD_LETTERED = "dead_lettered"


@dataclass(frozen=True, slots=True)
class Settled:
    """The record is acknowledged, by Temporal or by the dead-letter topic."""

    outcome: Outcome
    error_code: str | None = None


_DISPATCHED = {settlement: Settled(Outcome(settlement.value)) for settlement in Settlement}


@dataclass(frozen=True, slots=True)
class Retry:
    """Nothing is acknowledged; the record is tried again after a wait."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class ToSetAside:
    """Nothing is acknowledged; the record's reason says why its next attempt is to set it aside."""


class Dispatches(Protocol):
    """What the processor needs of the dispatcher."""

    async def dispatch(self, call: WorkflowCall) -> Settlement:
        """Hands an event to Temporal."""
        ...


class SetsAside(Protocol):
    """What the processor needs of the dead letters."""

    async def set_aside(self, record: Record, reason: Reason) -> None:
        """Produces a dead letter and returns once it is acknowledged."""
        ...


class RecordProcessor:
    """Makes attempts; what repeats them is the engine, so that nobody waits in vain for an outage to end."""

    def __init__(self, dispatcher: Dispatches, dead_letters: SetsAside, health: Health, config: BridgeConfig) -> None:
        self._dispatcher = dispatcher
        self._dead_letters = dead_letters
        self._health = health
        self._back_off = config.back_off
        self._guard = DeadLetterGuard(config.dead_letter_limits)
        self._failpoints = config.failpoints or None  # Asked for twice a record.

    async def attempt(self, work: Work) -> Settled | Retry | ToSetAside:
        """Tries once. Cancelling it is safe at any point: the record is then unsettled, and delivered again.

        Sets aside what has a reason for it, and gives a reason to what cannot be delivered; never both at once, as the
        dead-letter topic may keep whoever writes to it waiting for as long as the Kafka client tries.

        Raises:
            DeadLetterLimitError: Too many records would be set aside. Nothing goes on after this.
        """
        if work.reason is not None:
            return await self._set_aside(work, work.reason)
        work.attempts += 1
        decoded = work.decoded
        if isinstance(decoded, DecodeError):
            return self._give_up(work, Reason(decoded.stage.value, decoded.code.value, decoded.message))
        return await self._dispatch(work, decoded)

    async def _dispatch(self, work: Work, decoded: DecodedRecord) -> Settled | Retry | ToSetAside:
        call = route(decoded.order_id, decoded.event_type, decoded.event)
        if self._failpoints:
            await self._failpoints.reach(Failpoint.BEFORE_CALL)
        try:
            settlement = await self._dispatcher.dispatch(call)
        except Exception as error:  # noqa: BLE001 -- every failure of the boundary is classified, in one place
            decision = classify_dispatch_error(error)
            if decision is not Decision.RECORD:
                if is_of_one_run(error):
                    self._health.answered(Dependency.TEMPORAL)
                else:
                    self._health.failed(Dependency.TEMPORAL, decision, error)
                return self._retry(work, decision)
            self._health.answered(Dependency.TEMPORAL)
            return self._give_up(work, _refusal(error))
        if self._failpoints:
            await self._failpoints.reach(Failpoint.AFTER_CALL)
        self._health.answered(Dependency.TEMPORAL)
        self._guard.note_delivered()
        return _DISPATCHED[settlement]

    def _give_up(self, work: Work, reason: Reason) -> ToSetAside:
        """Counts the record now, in its turn among those that are delivered, however long its dead letter then takes.

        One beyond the limit ends the bridge only when it is about to be set aside: by then all before it have been, and
        can be looked at.
        """
        work.reason = reason
        try:
            self._guard.admit()
        except DeadLetterLimitError as error:
            work.beyond_limit = error
        return ToSetAside()

    async def _set_aside(self, work: Work, reason: Reason) -> Settled | Retry:
        if work.beyond_limit is not None:
            raise work.beyond_limit
        if self._failpoints:
            await self._failpoints.reach(Failpoint.BEFORE_DEAD_LETTER)
        try:
            await self._dead_letters.set_aside(work.record, replace(reason, attempts=work.attempts))
        except Exception as error:  # noqa: BLE001 -- as above
            decision = classify_kafka_error(error)
            self._health.failed(Dependency.DEAD_LETTERS, decision, error)
            retry = self._retry(work, decision)
            work.attempts += 1
            return retry
        if self._failpoints:
            await self._failpoints.reach(Failpoint.AFTER_DEAD_LETTER)
        self._health.answered(Dependency.DEAD_LETTERS)
        return Settled(Outcome.DEAD_LETTERED, reason.error_code)

    def _retry(self, work: Work, decision: Decision) -> Retry:
        if decision is Decision.CONFIGURATION:
            return Retry(self._back_off.maximum)  # A person takes longer than any back-off.
        share = random.random()  # noqa: S311 -- spreads repeats over time, guards nothing
        return Retry(delay_before(work.attempts + 1, self._back_off, random_share=share))


def _refusal(error: Exception) -> Reason:
    """What Temporal refused, without its message: that may quote the payload."""
    status = getattr(getattr(error, "status", None), "name", type(error).__name__)
    message = f"Temporal does not take this event ({status}); compare it with the message contract, then replay it"
    return Reason(DISPATCH_STAGE, REFUSED_BY_TEMPORAL, message)
