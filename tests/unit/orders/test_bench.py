"""The measurement's own reckoning: what it refuses, what counts as an action, and what it says of the limit."""

from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    ActivityTaskStartedEventAttributes,
    HistoryEvent,
    MarkerRecordedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)

from orders.cli.common import console
from orders.cli.rendering.bench_page import bench_page
from orders.errors import UsageError, WrongSettingsError
from orders.operations.bench.actions import actions_of
from orders.operations.bench.driving import Course
from orders.operations.bench.report import (
    BenchReport,
    ends_of,
    percentile,
    report_json,
    stage_times,
    what_binds,
)
from orders.operations.bench.running import Plan, refuse_production
from orders.operations.bench.sampling import Highest
from orders.operations.bench.sizes import Histories
from orders.settings import Settings
from schemas.states import OrderState

MOMENTS = (
    (OrderState.RECEIVED, 0.1),
    (OrderState.VALIDATED, 0.2),
    (OrderState.APPROVED, 0.4),
    (OrderState.PAID, 0.5),
    (OrderState.PACKAGE_PREPARED, 0.6),
    (OrderState.CARRIER_DISPATCHED, 0.7),
    (OrderState.SHIPPED, 0.8),
    (OrderState.COMPLETED, 1.0),
)


def course(*, times: float = 1.0, slow_charge: float = 0.0) -> Course:
    made = Course("bench-1", sent_at=10.0, approved_at=10.0 + 0.3 * times)
    for state, moment in MOMENTS:
        later = slow_charge if moment >= 0.5 else 0.0
        made.note(state, 10.0 + moment * times + later)
    return made


def report(**given: Any) -> BenchReport:
    alone, together = [course()] * 3, given.pop("courses", [course()] * 10)
    defaults: dict[str, Any] = {
        "prefix": "bench-0",
        "ends": ends_of([*alone, *together]),
        "open_max": 40,
        "seconds": 2.0,
        "together": tuple(one.wait for one in together),
        "alone": tuple(one.wait for one in alone),
        "stages": stage_times(alone, together),
        "highest": Highest(),
        "cores": 2,
        "postgres_bytes": {"orders": 1024.0, "events": 5 * 1024.0},
        "kafka_bytes": {"order.events": 2048.0},
        "histories": Histories(20, 30_000.0, 80.0, {"activities": 9.0, "child workflows": 2.0}),
    }
    return BenchReport(**{**defaults, **given})


def event(number: int, kind: str, **attributes: Any) -> HistoryEvent:
    return HistoryEvent(event_id=number, event_type=EventType.Value(f"EVENT_TYPE_{kind}"), **attributes)


def test_a_start_with_a_signal_is_one_action_and_records_of_one_workflow_task_are_one() -> None:
    marker = MarkerRecordedEventAttributes(workflow_task_completed_event_id=5)
    history = [
        event(1, "WORKFLOW_EXECUTION_STARTED"),
        event(2, "WORKFLOW_EXECUTION_SIGNALED"),
        event(6, "MARKER_RECORDED", marker_recorded_event_attributes=marker),
        event(7, "MARKER_RECORDED", marker_recorded_event_attributes=marker),
        event(8, "TIMER_STARTED"),
        event(9, "WORKFLOW_EXECUTION_SIGNALED"),
        event(10, "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"),
        event(11, "WORKFLOW_TASK_COMPLETED"),
    ]
    assert actions_of(history) == {
        "signals": 2,
        "records within workflow tasks": 1,
        "timers": 1,
        "search attributes": 1,
    }


def test_a_child_is_two_actions_at_its_parent_and_none_of_its_own_and_a_repeated_activity_one_more() -> None:
    started = ActivityTaskStartedEventAttributes(attempt=3)
    parent = [
        event(1, "WORKFLOW_EXECUTION_STARTED"),
        event(2, "WORKFLOW_TASK_SCHEDULED"),
        event(5, "ACTIVITY_TASK_SCHEDULED"),
        event(6, "ACTIVITY_TASK_STARTED", activity_task_started_event_attributes=started),
        event(7, "START_CHILD_WORKFLOW_EXECUTION_INITIATED"),
    ]
    assert actions_of(parent) == {"starts": 1, "activities": 1, "activities tried again": 2, "child workflows": 2}
    of_a_child = WorkflowExecutionStartedEventAttributes(parent_workflow_execution=WorkflowExecution(workflow_id="o"))
    assert (
        actions_of([event(1, "WORKFLOW_EXECUTION_STARTED", workflow_execution_started_event_attributes=of_a_child)])
        == {}
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"payment_gateway_url": "https://pay.example"}, "PAYMENT_GATEWAY_URL"),
        ({"carrier_gateway_url": "https://carrier.example"}, "CARRIER_GATEWAY_URL"),
        (
            {
                "orders_environment": "production",
                "payment_gateway_url": "https://pay.example",
                "carrier_gateway_url": "https://carrier.example",
            },
            "ORDERS_ENVIRONMENT",
        ),
    ],
)
def test_what_may_be_real_is_refused_by_what_speaks_for_it(given: dict[str, Any], said: str) -> None:
    with pytest.raises(WrongSettingsError, match=f"{said}.*--yes"):
        refuse_production(Settings(**given))
    refuse_production(Settings())


def test_as_many_are_open_as_run_together_unless_a_number_is_given() -> None:
    assert (Plan.of(1_000, None, 900).alone, Plan.of(1_000, None, 900).open_max) == (10, 40)
    assert (Plan.of(20, None, 900).alone, Plan.of(20, None, 900).open_max) == (2, 18)
    with pytest.raises(UsageError, match="--open 19 is more than the 18 orders that run together"):
        Plan.of(20, 19, 900)
    assert Plan.of(20, None, 900).prefix != Plan.of(20, None, 900).prefix


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)) == (50.0, 99.0, 100.0)
    assert percentile([3.0], 0.5) == 3.0
    assert percentile([], 0.5) == 0.0


def test_an_order_s_stages_add_up_but_for_the_wait_until_it_was_approved() -> None:
    (times,) = [[one.together for one in stage_times([course()], [course(times=2)])]]
    assert times == pytest.approx([0.4, 0.2, 0.2, 0.4, 0.6])


def test_where_no_order_was_completed_there_are_no_stages() -> None:
    assert stage_times([], [course()]) == stage_times([course()], []) == ()


def test_a_state_that_is_published_again_counts_when_it_came_first() -> None:
    made = course()
    made.note(OrderState.PAID, 99.0)
    assert made.reached[OrderState.PAID] == 10.5


def test_nothing_binds_where_orders_take_as_long_as_alone() -> None:
    (sentence,) = what_binds(report())
    assert "nothing" in sentence
    assert "--open" in sentence


def test_the_stage_that_grew_most_binds() -> None:
    (sentence,) = what_binds(report(courses=[course(slow_charge=2.0)] * 10))
    assert "charged: activities of order-tq and the payment provider" in sentence


def test_processors_that_are_used_up_and_tasks_that_waited_are_said_first() -> None:
    highest = Highest(cores_busy=1.9, backlog_seconds={"order-tq workflows": 3.0, "shipping-tq workflows": 0.2})
    first, second = what_binds(report(highest=highest))
    assert "1.9 of 2 were busy, at most 380 ms an order" in first
    assert "order-tq workflows waited 3 s" in second


def test_an_order_that_ended_otherwise_is_told_and_makes_the_report_no_whole() -> None:
    declined = Course("bench-2", sent_at=1.0)
    declined.note(OrderState.VALIDATED, 1.1)
    declined.note(OrderState.PAYMENT_DECLINED, 1.5)
    ends = ends_of([course(), declined])
    assert ends == {"COMPLETED": 1, "PAYMENT_DECLINED": 1}
    assert report().is_whole
    assert not report(ends=ends).is_whole


def test_the_page_and_the_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    made = report(highest=Highest(unsettled=7, cores_busy=1.0))
    out = console()
    for part in bench_page(made):
        out.print(part)
    page = capsys.readouterr().out
    document = report_json(made)
    assert document["orders_per_second"] == 5.0
    assert "5.0 orders a second" in page
    assert document["bytes_an_order"] == {
        "postgres": {"orders": 1024.0, "events": 5120.0},
        "kafka": {"order.events": 2048.0},
        "temporal_history": 30_000.0,
    }
    assert "Postgres, with indexes" in page
    assert " 6.0 " in page
    assert document["temporal"]["actions_an_order"] == 11.0
    assert "11.0 actions" in page
    assert "7 records not handed over" in page


def test_a_kafka_that_does_not_say_how_large_its_logs_are_is_said_to(capsys: pytest.CaptureFixture[str]) -> None:
    out = console()
    for part in bench_page(report(kafka_bytes=None, histories=None)):
        out.print(part)
    assert "needs Describe on the cluster" in capsys.readouterr().out
    assert report_json(report(kafka_bytes=None))["bytes_an_order"]["kafka"] is None
