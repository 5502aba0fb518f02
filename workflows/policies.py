"""How long activities may take and how they are retried, by the policy in the workflow's input."""

from datetime import timedelta
from typing import Final, TypedDict

from temporalio.common import RetryPolicy

from activities.errors import NON_RETRYABLE
from schemas.order import OrderPolicy

BACKOFF_COEFFICIENT: Final = 2.0
"""Each pause between two attempts is twice the one before, up to the policy's longest."""

CARRIED_EVENTS_MAX: Final = 500
"""Undecided events that a run hands to its continuation; with more it decides first."""

CARRIED_BYTES_MAX: Final = 1_500_000
"""Largest state that a run hands to its continuation: Temporal refuses a payload above 2 MiB."""

CONFLICTS_MAX: Final = 20
"""Sequence conflicts that an order takes. One is possible after a run was terminated while it published. More of them
mean that two runs of one order write at the same time, which no new beginning can heal."""

CHILD_START_ATTEMPTS_MAX: Final = 30
"""Times that a shipping attempt is started anew while a child of a terminated run still holds its id."""


class ActivityOptions(TypedDict):
    """Keyword arguments of `workflow.execute_activity_method`."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta | None
    retry_policy: RetryPolicy


def until_it_works(policy: OrderPolicy) -> ActivityOptions:
    """Options of activities on our own records, and of giving money back: retried without limit.

    An order has no other branch to take there, and a run that failed would lose the events that it has accepted.
    Temporal shows such an activity with its attempts and its last error.
    """
    return ActivityOptions(
        start_to_close_timeout=policy.activity_start_to_close,
        schedule_to_close_timeout=None,
        retry_policy=retry_policy(policy),
    )


def within_the_time_allowed(policy: OrderPolicy) -> ActivityOptions:
    """Options of activities that ask a provider: retried until the policy's time is over.

    Then the order takes another branch.
    """
    return ActivityOptions(
        start_to_close_timeout=policy.activity_start_to_close,
        schedule_to_close_timeout=policy.activity_schedule_to_close,
        retry_policy=retry_policy(policy),
    )


def retry_policy(policy: OrderPolicy) -> RetryPolicy:
    """Exponential with a bounded pause; attempts are unlimited, and only the listed error types are not retried."""
    return RetryPolicy(
        initial_interval=policy.retry_initial_interval,
        backoff_coefficient=BACKOFF_COEFFICIENT,
        # The SDK refuses a longest pause below the first.
        maximum_interval=max(policy.retry_initial_interval, policy.retry_maximum_interval),
        non_retryable_error_types=NON_RETRYABLE,
    )
