"""What is counted and measured of the questions before an expiry."""

import pytest
from prometheus_client import REGISTRY
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.adapters.measured import MeasuredBacklog
from activities.expiry import ExpiryActivities
from activities.ports import KafkaUnavailableError
from schemas.activity_io import AwaitBacklog, FindBacklog
from schemas.event_types import EventType
from tests.helpers.fake_backlog import InMemoryInboundBacklog

APPROVED = EventType.ORDER_APPROVED


class Counted:
    """By how much a sample has grown since."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = self._now()

    def _now(self) -> float:
        return REGISTRY.get_sample_value(self._name, self._labels) or 0.0

    @property
    def more(self) -> float:
        return self._now() - self._before


async def test_a_question_counts_by_its_answer_and_only_a_wait_that_is_over_is_measured() -> None:
    nothing, something = (Counted("orders_expiry_questions_total", outcome=one) for one in ("nothing", "something"))
    waited = Counted("orders_expiry_wait_seconds_count")
    backlog = InMemoryInboundBacklog()
    asked, environment = ExpiryActivities(MeasuredBacklog(backlog)), ActivityEnvironment()
    question = FindBacklog(order_id="o-1", event_types=(APPROVED,))
    assert not (await environment.run(asked.find_backlog, question)).partitions
    assert (nothing.more, something.more) == (1, 0)

    backlog.produce("o-1", APPROVED)
    found = await environment.run(asked.find_backlog, question)
    wait = AwaitBacklog(order_id="o-1", partitions=found.partitions)
    with pytest.raises(ApplicationError, match="not handed over"):
        await environment.run(asked.await_backlog, wait)
    assert (nothing.more, something.more, waited.more) == (1, 2, 0)

    backlog.hand_over(APPROVED)
    await environment.run(asked.await_backlog, wait)
    assert (nothing.more, something.more, waited.more) == (2, 2, 1)


async def test_a_question_that_kafka_does_not_answer_counts_as_unknown() -> None:
    unknown = Counted("orders_expiry_questions_total", outcome="unknown")
    backlog = InMemoryInboundBacklog()
    backlog.fail_next(1, "find")
    with pytest.raises(KafkaUnavailableError):
        await MeasuredBacklog(backlog).find("o-1", (APPROVED,))
    assert unknown.more == 1
