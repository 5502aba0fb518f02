"""What counts towards giving up on a provider, and the alarm over one that cannot be asked."""

import asyncio
import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import structlog.testing
from temporalio.testing import ActivityEnvironment

from activities import giving_up
from activities.giving_up import (
    ALARM_EVERY_SECONDS,
    GivenUpError,
    ProviderAccess,
    ProviderCalls,
    Unanswered,
)
from activities.ports import DatabaseUnavailableError, GatewayNotAskedError, GatewayUnavailableError
from schemas.order import Patience

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ATTEMPT_SECONDS = 4
PATIENCE = Patience(time_allowed=timedelta(minutes=1), longest_pause=timedelta(seconds=10))
UNKNOWN = GatewayUnavailableError("the provider did not answer in time")
ASKED_TO_WAIT = GatewayUnavailableError("the provider asks to come back later (429)", timedelta(seconds=30))
WRONG_KEY = GatewayNotAskedError("the provider refuses the key (401)")
OUR_OUTAGE = DatabaseUnavailableError("the database does not answer")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> "Clock":
    clock = Clock()
    monkeypatch.setattr(giving_up, "monotonic", lambda: clock.seconds)
    return clock


@dataclass
class Clock:
    """Seconds since noon, and since whenever the process counts from."""

    seconds: float = 1_000.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: when it starts, how long our own part of it takes and how long the call, and how that ends."""

    at: float
    takes: float = 0.0
    ends: Exception | None = UNKNOWN
    before: float = 0.0


async def counted(clock: Clock, attempts: Sequence[Attempt], patience: Patience = PATIENCE) -> float:
    """Seconds that count after these attempts of one activity."""
    kept: list[dict[str, float]] = []
    for attempt in attempts:
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info,
            started_time=NOON + timedelta(seconds=attempt.at),
            start_to_close_timeout=timedelta(seconds=ATTEMPT_SECONDS),
            heartbeat_details=kept,
        )
        heard: list[Unanswered] = []
        environment.on_heartbeat = heard.append

        async def work(attempt: Attempt = attempt) -> None:
            calls = ProviderCalls(ProviderAccess("payment provider"), patience)
            clock.seconds += attempt.before
            async with calls.made():
                clock.seconds += attempt.takes
                if attempt.ends is not None:
                    raise attempt.ends

        if attempt.ends is None:
            await environment.run(work)
        else:
            with pytest.raises(type(attempt.ends)):
                await environment.run(work)
        kept = [heard[-1].model_dump()] if heard else kept
    return kept[0]["seconds"] if kept else 0.0


COUNTED = {
    "one call": ([Attempt(0, 3)], 3),
    "two calls and the pause between them": ([Attempt(0, 3), Attempt(5, 3)], 8),
    "an hour without a worker": ([Attempt(0, 3), Attempt(3_600, 3)], 16),
    "an hour in the queue each time": ([Attempt(3_600 * n, 1) for n in range(4)], 34),
    "a wait that the provider asked for": ([Attempt(0, 1, ASKED_TO_WAIT), Attempt(31, 1)], 32),
    "a process that is stopped in a call": ([Attempt(0, 3_600)], ATTEMPT_SECONDS),
    "a slow claim": ([Attempt(0, 1, before=3)], 1),
    "a slow claim after a failed call": ([Attempt(0, 1), Attempt(2, 1, before=3)], 6),
    "a wrong key": ([Attempt(10 * n, 1, WRONG_KEY) for n in range(100)], 0),
    "our own outage": ([Attempt(10 * n, 1, OUR_OUTAGE) for n in range(100)], 0),
    "an hour of our own outage between two calls": (
        [Attempt(0, 1), *(Attempt(10 * n, 1, OUR_OUTAGE) for n in range(1, 360)), Attempt(3_600, 1)],
        12,
    ),
    "clocks that disagree": ([Attempt(100, 1), Attempt(0, 1)], 2),
    "an answer": ([Attempt(0, 1, None)], 0),
}


@pytest.mark.parametrize(("attempts", "seconds"), COUNTED.values(), ids=list(COUNTED))
async def test_calls_without_a_known_outcome_and_the_pauses_between_them_count(
    clock: Clock, attempts: list[Attempt], seconds: float
) -> None:
    assert await counted(clock, attempts) == pytest.approx(seconds)


async def test_a_provider_is_given_up_at_the_call_with_which_the_time_allowed_is_over(clock: Clock) -> None:
    attempts = [Attempt(13 * number, 3) for number in range(5)]
    assert await counted(clock, attempts[:4]) == pytest.approx(42)
    assert await counted(clock, attempts) == pytest.approx(55)
    with pytest.raises(GivenUpError, match="for 68 s in all"):
        await counted(clock, [*attempts, Attempt(65, 3)])


async def test_a_provider_has_the_time_allowed_and_not_a_second_more(clock: Clock) -> None:
    with pytest.raises(GivenUpError, match="for 3 s in all"):
        await counted(clock, [Attempt(0, 3)], Patience(time_allowed=timedelta(seconds=3)))
    assert await counted(clock, [Attempt(0, 2)], Patience(time_allowed=timedelta(seconds=3))) == 2


async def test_endless_patience_never_gives_up(clock: Clock) -> None:
    endless = Patience(time_allowed=None)
    assert await counted(clock, [Attempt(13 * number, 3) for number in range(100)], endless) == 0


async def test_calls_that_would_outlive_their_attempt_are_ended_while_they_can_be_told_of() -> None:
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, start_to_close_timeout=timedelta(seconds=0.2))

    async def work() -> None:
        async with ProviderCalls(ProviderAccess("carrier"), PATIENCE).made():
            await asyncio.sleep(60)

    with pytest.raises(GatewayUnavailableError, match="in time"):
        await environment.run(work)


async def test_an_eighth_of_an_attempt_is_left_for_telling_what_came_of_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float | None] = []
    real = asyncio.timeout

    def noted(limit: float | None) -> asyncio.Timeout:
        limits.append(limit)
        return real(limit)

    monkeypatch.setattr(asyncio, "timeout", noted)
    await counted(clock, [Attempt(0, 1, None)])
    assert limits == [ATTEMPT_SECONDS * 7 / 8]


async def test_a_wrong_key_is_tried_again_after_the_longest_pause(clock: Clock) -> None:
    error = GatewayNotAskedError("the provider refuses the key (401)")
    await counted(clock, [Attempt(0, 1, error)])
    assert error.retry_after == PATIENCE.longest_pause


@pytest.mark.parametrize("next_call", [UNKNOWN, None], ids=["no known outcome", "an answer"])
async def test_a_provider_is_in_trouble_from_a_refused_key_until_it_was_asked_whatever_it_said(
    next_call: Exception | None,
) -> None:
    access = ProviderAccess("carrier")

    async def call(ends: Exception | None) -> None:
        async with ProviderCalls(access, PATIENCE).made():
            if ends is not None:
                raise ends

    with pytest.raises(GatewayNotAskedError):
        await ActivityEnvironment().run(call, WRONG_KEY)
    assert access.trouble == str(WRONG_KEY)
    with pytest.raises(type(next_call)) if next_call else nullcontext():
        await ActivityEnvironment().run(call, next_call)
    assert access.trouble == ""


def test_a_provider_that_cannot_be_asked_raises_the_alarm_once_a_minute_and_says_when_it_is_over(clock: Clock) -> None:
    access = ProviderAccess("carrier")
    with structlog.testing.capture_logs() as logged:
        for _ in range(13):  # Each 10 s: two minutes.
            access.denied(WRONG_KEY)
            clock.seconds += ALARM_EVERY_SECONDS / 6
        assert access.trouble == str(WRONG_KEY)
        access.granted()
        access.granted()
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [
        *[("provider.access.denied", "error")] * 3,
        ("provider.access.granted", "info"),
    ]
    assert (logged[0]["provider"], logged[0]["detail"]) == ("carrier", str(WRONG_KEY))
    assert access.trouble == ""


def test_trouble_that_nobody_has_met_for_a_while_is_no_reason_any_more(clock: Clock) -> None:
    access = ProviderAccess("carrier")
    access.denied(WRONG_KEY)
    clock.seconds += ALARM_EVERY_SECONDS
    assert access.trouble == ""
