"""One attempt to settle a record: route and dispatch it, or set it aside."""

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from bridge.backoff import delay_before
from bridge.config import BackOff
from bridge.dead_letters import Reason
from bridge.decode_errors import DecodeError
from bridge.decoder import DecodedRecord
from bridge.dispatcher import Settlement
from bridge.errors import Decision, classify_dispatch_error, classify_kafka_error
from bridge.health import Dependency, Health
from bridge.lanes import Work
from bridge.records import Record
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


_OUTCOMES = {
    Settlement.DELIVERED: Outcome.DELIVERED,
    Settlement.LATE: Outcome.LATE,
    Settlement.DUPLICATE: Outcome.DUPLICATE,
}


@dataclass(frozen=True, slots=True)
class Settled:
    """The record is acknowledged, by Temporal or by the dead-letter topic."""

    outcome: Outcome
    order_id: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Nothing is acknowledged; the record is tried again after a wait."""

    delay: timedelta


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

    def __init__(self, dispatcher: Dispatches, dead_letters: SetsAside, health: Health, back_off: BackOff) -> None:
        self._dispatcher = dispatcher
        self._dead_letters = dead_letters
        self._health = health
        self._back_off = back_off

    async def attempt(self, work: Work) -> Settled | Retry:
        """Tries once. Cancelling it is safe at any point: the record is then unsettled, and delivered again."""
        work.attempts += 1
        decoded = work.decoded
        if isinstance(decoded, DecodeError):
            reason = Reason(decoded.stage.value, decoded.code.value, decoded.message, work.attempts)
            return await self._set_aside(work, reason, order_id=None)
        return await self._dispatch(work, decoded)

    async def _dispatch(self, work: Work, decoded: DecodedRecord) -> Settled | Retry:
        call = route(decoded.order_id, decoded.event_type, decoded.event)
        try:
            settlement = await self._dispatcher.dispatch(call)
        except Exception as error:  # noqa: BLE001 -- every failure of the boundary is classified, in one place
            decision = classify_dispatch_error(error)
            if decision is not Decision.RECORD:
                self._health.failed(Dependency.TEMPORAL, decision, error)
                return self._retry(work)
            return await self._set_aside(work, _refusal(error, work.attempts), order_id=decoded.order_id)
        self._health.answered(Dependency.TEMPORAL)
        return Settled(_OUTCOMES[settlement], decoded.order_id)

    async def _set_aside(self, work: Work, reason: Reason, *, order_id: str | None) -> Settled | Retry:
        try:
            await self._dead_letters.set_aside(work.record, reason)
        except Exception as error:  # noqa: BLE001 -- as above
            self._health.failed(Dependency.DEAD_LETTERS, classify_kafka_error(error), error)
            return self._retry(work)
        self._health.answered(Dependency.DEAD_LETTERS)
        return Settled(Outcome.DEAD_LETTERED, order_id, reason.error_code)

    def _retry(self, work: Work) -> Retry:
        share = random.random()  # noqa: S311 -- spreads repeats over time, guards nothing
        return Retry(delay_before(work.attempts + 1, self._back_off, random_share=share))


def _refusal(error: Exception, attempts: int) -> Reason:
    """What Temporal refused, without its message: that may quote the payload."""
    status = getattr(getattr(error, "status", None), "name", type(error).__name__)
    message = f"Temporal does not take this event ({status}); compare it with the message contract, then replay it"
    return Reason(DISPATCH_STAGE, REFUSED_BY_TEMPORAL, message, attempts)
