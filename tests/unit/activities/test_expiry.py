"""The question before an order expires, on the port in memory."""

import asyncio
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import KAFKA_UNAVAILABLE, NOT_HANDED_OVER
from activities.expiry import ExpiryActivities
from schemas.activity_io import AwaitBacklog, Backlog, FindBacklog, FoundBacklog
from schemas.event_types import EventType
from tests.helpers.fake_backlog import InMemoryInboundBacklog

APPROVED, CANCELLED = EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED
WANTED = FindBacklog(order_id="o-1", event_types=(APPROVED, CANCELLED))


@pytest.fixture
def kafka() -> InMemoryInboundBacklog:
    return InMemoryInboundBacklog()


async def run(activity: Any, argument: object) -> Any:
    return await ActivityEnvironment().run(activity, argument)


async def test_what_is_not_handed_over_is_found(kafka: InMemoryInboundBacklog) -> None:
    activities = ExpiryActivities(kafka)
    assert await run(activities.find_backlog, WANTED) == FoundBacklog()

    kafka.produce("o-1", APPROVED)

    found = await run(activities.find_backlog, WANTED)
    assert found == FoundBacklog(partitions=(Backlog(topic="order.approved", partition=0, end=1, records=1),))


async def test_a_backlog_is_asked_for_until_it_is_handed_over_and_says_how_much_is_left(
    kafka: InMemoryInboundBacklog,
) -> None:
    activities = ExpiryActivities(kafka)
    kafka.produce("o-2", APPROVED)
    kafka.produce("o-1", APPROVED)
    found = await run(activities.find_backlog, WANTED)
    wait = AwaitBacklog(order_id="o-1", partitions=found.partitions)

    with pytest.raises(ApplicationError) as failed:
        await run(activities.await_backlog, wait)

    assert (failed.value.type, failed.value.non_retryable) == (NOT_HANDED_OVER, False)
    assert failed.value.message == "not handed over to Temporal yet: up to 2 records in order.approved:0"
    kafka.hand_over(APPROVED)
    await run(activities.await_backlog, wait)


@pytest.mark.parametrize("method", ["find", "left_of"])
async def test_while_kafka_does_not_answer_it_is_asked_again(kafka: InMemoryInboundBacklog, method: str) -> None:
    activities = ExpiryActivities(kafka)
    asked = {
        "find": run(activities.find_backlog, WANTED),
        "left_of": run(activities.await_backlog, AwaitBacklog(order_id="o-1", partitions=())),
    }
    kafka.fail_next(1, method)

    failures = await asyncio.gather(*asked.values(), return_exceptions=True)

    failed = dict(zip(asked, failures, strict=True))
    assert {name: getattr(failure, "type", None) for name, failure in failed.items()} == {
        **dict.fromkeys(asked),
        method: KAFKA_UNAVAILABLE,
    }
