"""A cancel that comes when its activity has just ended is no matter, neither for a worker nor for a test."""

import warnings
from typing import Any

import pytest
from temporalio import activity
from temporalio.bridge.proto.activity_task import Cancel
from temporalio.common import MetricMeter
from temporalio.converter import DataConverter
from temporalio.worker import _activity

from orders.processes.sdk_warnings import LATE_CANCEL, let_late_cancels_pass

NOBODY: Any = None


@activity.defn
async def nothing() -> None:
    """Does nothing."""


@pytest.fixture
def activities_worker() -> Any:
    """The SDK's part of a worker that asks for activities, and has none under way."""
    return _activity._ActivityWorker(
        bridge_worker=lambda: pytest.fail("nobody is to be asked"),
        task_queue="a queue",
        activities=[nothing],
        activity_executor=None,
        shared_state_manager=None,
        data_converter=DataConverter.default,
        interceptors=[],
        metric_meter=MetricMeter.noop,
        client=NOBODY,
        encode_headers=False,
    )


def test_the_sdk_still_warns_of_such_a_cancel(activities_worker: Any) -> None:
    with pytest.warns(UserWarning, match=LATE_CANCEL):
        activities_worker._handle_cancel_activity_task(b"over", Cancel())


def test_it_ends_no_test(activities_worker: Any) -> None:
    """By the filters of pyproject.toml, which make all other warnings errors."""
    activities_worker._handle_cancel_activity_task(b"over", Cancel())


def test_it_ends_no_worker_where_warnings_are_errors(activities_worker: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        let_late_cancels_pass()
        activities_worker._handle_cancel_activity_task(b"over", Cancel())
        with pytest.raises(UserWarning, match="another"):
            warnings.warn("another", stacklevel=1)
