"""How long activities are retried."""

from datetime import timedelta

import pytest

from schemas.order import OrderPolicy
from workflows.policies import attempts_within, until_handed_over

SECOND = timedelta(seconds=1)


def pauses(attempts: int, first: timedelta, longest: timedelta) -> timedelta:
    found, pause = timedelta(0), first
    for _ in range(attempts - 1):
        found, pause = found + pause, min(2 * pause, longest)
    return found


@pytest.mark.parametrize("first", [0.05 * SECOND, SECOND, 40 * SECOND])
@pytest.mark.parametrize("span", [timedelta(0), SECOND, 3 * SECOND, timedelta(minutes=1), timedelta(hours=1)])
def test_the_pauses_of_so_many_attempts_reach_the_span_and_those_of_one_less_do_not(
    span: timedelta, first: timedelta
) -> None:
    longest = max(first, 30 * SECOND)

    attempts = attempts_within(span, first, longest)

    assert attempts >= 2
    assert pauses(attempts, first, longest) >= span
    assert attempts == 2 or pauses(attempts - 1, first, longest) < span


def test_a_wait_of_a_day_is_some_thousand_attempts() -> None:
    retries = until_handed_over(OrderPolicy(), timedelta(days=1))["retry_policy"]

    assert retries.maximum_interval == 30 * SECOND
    assert 2_880 <= retries.maximum_attempts <= 2_900


def test_a_policy_whose_attempt_lasts_longer_than_the_provider_may_take_is_refused() -> None:
    with pytest.raises(ValueError, match="provider_time_allowed is shorter than activity_start_to_close"):
        OrderPolicy(activity_start_to_close=2 * SECOND, provider_time_allowed=SECOND)
