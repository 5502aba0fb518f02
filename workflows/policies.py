"""How activities are retried, by the policy in the workflow's input: all of them until they have worked."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypedDict

from temporalio.common import RetryPolicy

from activities.errors import NON_RETRYABLE
from schemas.order import OrderPolicy

BACKOFF_COEFFICIENT: Final = 2.0
"""Each pause between two attempts is twice the one before, up to the policy's longest."""

PUBLISHED_WITHIN: Final = timedelta(seconds=3)
"""How long a run that is to continue as a new one waits for what it has decided to be published. What is not by then,
as the database is away, the next run publishes: under the same numbers, so that nothing is doubled."""

CONTINUED_AGAIN_AFTER_EVENTS: Final = 2_000
"""By how many events of its history a run grows before it tries again to hand over a state that was too large. Temporal
suggests to continue at 4,096 events, and ends a run at 51,200."""

CONFLICTS_MAX: Final = 20
"""Sequence conflicts that an order takes. One is possible after a run was terminated while it published. More of them
mean that two runs of one order write at the same time, which no new beginning can heal."""

ANEW_PAUSE_MAX: Final = timedelta(minutes=5)
"""Longest pause before an activity or a shipping attempt is begun anew. Each time costs about ten events, of which
Temporal allows a run 51,200: enough for half a year."""


class ActivityOptions(TypedDict):
    """Keyword arguments of `workflow.execute_activity_method`."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


def until_it_works(policy: OrderPolicy) -> ActivityOptions:
    """Options of activities that are retried without limit: every one that an order takes on.

    Temporal sees time pass, and not what it passes with: a limit of its own would also count time in the task queue,
    without a worker or without Postgres, and end orders for it. The activities that ask a provider count themselves
    (`activities.giving_up`), and say when they give up. Temporal shows each activity with its attempts and its last
    error.
    """
    return ActivityOptions(
        start_to_close_timeout=policy.activity_start_to_close, retry_policy=retry_policy(policy)
    )  # fmt: skip


def pause_before_anew(first: timedelta, times: int) -> timedelta:
    """The pause before something is begun anew that Temporal does not retry.

    Args:
        first: the first pause; doubled each time, up to `ANEW_PAUSE_MAX`.
        times: how often it was begun anew before.
    """
    longest = max(first, ANEW_PAUSE_MAX).total_seconds()
    return timedelta(seconds=min(first.total_seconds() * BACKOFF_COEFFICIENT ** min(times, 30), longest))


HANDOVER_ATTEMPT_MAX: Final = timedelta(seconds=15)
"""Longest that one question to Kafka may take: it looks at all inbound partitions, and reads a few records."""
HANDOVER_PAUSE_FACTOR: Final = 3
"""How much longer the longest pause between two questions is than that of other activities: 30 s (I12)."""


def until_handed_over(policy: OrderPolicy, within: timedelta) -> ActivityOptions:
    """Options of the question before a deadline is acted upon: asked until all is handed over, or for so long.

    It is asked less and less often. An outage may let thousands of orders wait, and no charge is to wait behind them.
    The time allowed is counted in attempts: where no worker runs, or Temporal is away, nobody asks, and no time passes.
    """
    longest = max(policy.retry_initial_interval, HANDOVER_PAUSE_FACTOR * policy.retry_maximum_interval)
    patient = retry_policy(policy.model_copy(update={"retry_maximum_interval": longest}))
    return ActivityOptions(
        start_to_close_timeout=HANDOVER_ATTEMPT_MAX,
        retry_policy=replace(patient, maximum_attempts=attempts_within(within, policy.retry_initial_interval, longest)),
    )


def attempts_within(span: timedelta, first: timedelta, longest: timedelta) -> int:
    """How many attempts there are before the pauses between them come to a span; at least two.

    Args:
        span: of time.
        first: the first pause; each is `BACKOFF_COEFFICIENT` times the one before.
        longest: the longest pause.
    """
    attempts, pause = 1, first
    while pause < longest and span > pause:
        attempts, span, pause = attempts + 1, span - pause, pause * BACKOFF_COEFFICIENT
    return attempts + max(1, math.ceil(span / min(pause, longest)))


def retry_policy(policy: OrderPolicy) -> RetryPolicy:
    """Exponential with a bounded pause; attempts are unlimited, and only the listed error types are not retried."""
    return RetryPolicy(
        initial_interval=policy.retry_initial_interval,
        backoff_coefficient=BACKOFF_COEFFICIENT,
        # The SDK refuses a longest pause below the first.
        maximum_interval=max(policy.retry_initial_interval, policy.retry_maximum_interval),
        non_retryable_error_types=NON_RETRYABLE,
    )
