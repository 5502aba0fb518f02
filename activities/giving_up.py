"""When an activity gives up on a provider: after calls without a known outcome for the time allowed.

Only time that the provider has cost counts: its calls that ended without a known outcome, and the pauses between two
of them. Time in a task queue, without a worker or without Postgres does not count, nor does a call that something of
ours kept from being made: each of these delays an order and never ends one (I19).

Temporal keeps the count from attempt to attempt, as the activity's heartbeat details. The activity of a run that goes
on where another run was terminated, or has continued as a new one, counts from the beginning: an order is given up
rather later than too early.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from typing import Final

import structlog
from temporalio import activity

from activities.ports import GatewayNotAskedError, GatewayUnavailableError
from schemas.base import Model
from schemas.order import Patience

SHARE_OF_AN_ATTEMPT: Final = 7 / 8
"""How much of an attempt's time the calls of a provider may take. The rest is for telling Temporal what they came to:
of an attempt that Temporal cuts off nothing is known, and so nothing counts."""

ALARM_EVERY_SECONDS: Final = 60.0
"""A provider that cannot be asked is told of so often, however many orders wait for it."""

_log = structlog.get_logger("activities")


class GivenUpError(Exception):
    """The provider left every call without a known outcome for the time allowed."""


class Unanswered(Model):
    """How long the calls of one activity have had no known outcome, as Temporal keeps it."""

    seconds: float
    ended_at: float
    """When the last of the calls ended, in seconds since 1970 by Temporal's clock."""
    counts_until: float
    """Up to when the time before the next call counts; what is longer than the longest pause is not the provider's."""


class ProviderAccess:
    """Whether a provider lets us ask it: raises the alarm while it does not, for as long as orders meet it."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self._trouble = ""
        self._met_at = self._told_at = 0.0

    @property
    def trouble(self) -> str:
        """What keeps the provider from being asked; empty where nothing does, or nobody has asked for a while."""
        return self._trouble if monotonic() - self._met_at < ALARM_EVERY_SECONDS else ""

    def denied(self, error: GatewayNotAskedError) -> None:
        """Notes what kept a call from being made."""
        now, before = monotonic(), self.trouble
        self._trouble, self._met_at = str(error), now
        if before != self._trouble or now - self._told_at >= ALARM_EVERY_SECONDS:
            self._told_at = now
            action = "mend it as the detail says; the orders wait, and go on by themselves"
            _log.error("provider.access.denied", provider=self.provider, detail=self._trouble, action=action)

    def granted(self) -> None:
        """Notes that the provider was asked."""
        if self._trouble:
            self._trouble = ""
            _log.info("provider.access.granted", provider=self.provider)


class ProviderCalls:
    """One attempt of an activity that asks a provider. Made at the attempt's beginning."""

    def __init__(self, access: ProviderAccess, patience: Patience) -> None:
        self._access = access
        self._patience = patience
        self._info = activity.info()
        self._began_at = monotonic()

    @asynccontextmanager
    async def made(self) -> AsyncIterator[None]:
        """Stands over the calls of the provider, and over nothing else.

        Raises:
            GivenUpError: the time allowed is over.
            GatewayUnavailableError: it is not; the calls may be repeated.
        """
        asked_at = monotonic()
        try:
            async with self._in_time():
                yield
        except GatewayNotAskedError as error:
            self._access.denied(error)
            # Nothing is gained by asking soon again.
            error.retry_after = self._patience.longest_pause
            raise
        except GatewayUnavailableError as error:
            self._access.granted()
            self._count(asked_at, error)
            raise
        self._access.granted()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        limit = self._attempt_seconds * SHARE_OF_AN_ATTEMPT
        try:
            async with asyncio.timeout(limit):
                yield
        except TimeoutError as error:
            raise GatewayUnavailableError("the provider did not answer in time") from error

    def _count(self, asked_at: float, error: GatewayUnavailableError) -> None:
        """Adds a call without a known outcome.

        Raises:
            GivenUpError: with it the time allowed is over.
        """
        allowed = self._patience.time_allowed
        if allowed is None:
            return
        unanswered = self._unanswered(asked_at, error.retry_after or timedelta())
        if unanswered.seconds >= allowed.total_seconds():
            raise GivenUpError(
                f"the provider left every call without a known outcome, for {unanswered.seconds:.0f} s in all "
                f"({allowed.total_seconds():g} s are allowed); the last time: {error}"
            ) from error
        activity.heartbeat(unanswered)

    def _unanswered(self, asked_at: float, retry_after: timedelta) -> Unanswered:
        now = monotonic()
        # No call takes longer than its attempt; a process that was stopped meanwhile would find it so.
        seconds = min(now - asked_at, self._attempt_seconds)
        ended_at = self._info.started_time.timestamp() + (now - self._began_at)
        if self._info.heartbeat_details:
            before = Unanswered.model_validate(self._info.heartbeat_details[0])
            pause = min(ended_at - seconds, before.counts_until) - before.ended_at
            seconds += before.seconds + max(0.0, pause)
        longest_pause = max(self._patience.longest_pause, retry_after)
        return Unanswered(
            seconds=seconds, ended_at=ended_at, counts_until=ended_at + longest_pause.total_seconds()
        )  # fmt: skip

    @property
    def _attempt_seconds(self) -> float:
        limit = self._info.start_to_close_timeout
        return limit.total_seconds() if limit else float("inf")
