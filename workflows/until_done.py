"""Activities that are done in the end: no outage, no queue and no defect of ours ends an order (I19)."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.errors import PROVIDER_GIVEN_UP, SHIPMENT_REFUSED
    from schemas.order import OrderPolicy
    from workflows.policies import pause_before_anew, until_it_works

Owner = TypeVar("Owner")
Request = TypeVar("Request")
Answer = TypeVar("Answer")

LOST_WITH: Final = frozenset({SHIPMENT_REFUSED, PROVIDER_GIVEN_UP})
"""Failures that lose a shipping attempt: the carrier's answer, or that there is none."""


async def until_done(
    activity: Callable[[Owner, Request], Awaitable[Answer]],
    request: Request,
    policy: OrderPolicy,
    *,
    fails_with: Collection[str] = (),
) -> Answer:
    """The result of an activity, however long it takes.

    Temporal retries it without limit. What Temporal does not retry, such as an activity that an operator has failed by
    hand, is begun anew: a run that failed of it would lose the events that it has accepted.

    Args:
        activity: a method with ``@activity.defn``.
        request: its parameter.
        policy: the order's.
        fails_with: types of the failures that have a meaning for the order.

    Raises:
        ActivityError: the activity has failed with one of these types.
    """
    times = 0
    while True:
        try:
            answer: Answer = await workflow.execute_activity_method(
                activity, request, **until_it_works(policy)
            )  # fmt: skip
        except ActivityError as error:
            if failure_type(error) in fails_with:
                raise
            workflow.logger.warning("order.activity.begun_anew", exc_info=error)
        else:
            return answer
        await workflow.sleep(pause_before_anew(policy.retry_maximum_interval, times))
        times += 1


def failure_type(error: BaseException) -> str | None:
    """The type of the failure that the error has come from; None where it was no failure of an activity's work."""
    cause: Any = error
    while cause is not None and not isinstance(cause, ApplicationError):
        cause = cause.__cause__
    return cause.type if cause is not None else None
