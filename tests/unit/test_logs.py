"""What the processes' log lines look like."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orders.logs import configure_logging
from tests.helpers.command_line import logging_as_it_was


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    with logging_as_it_was():
        configure_logging(level="info", form="json", stream=written)
        yield written


def fail_as_the_sdk_does(error: Exception) -> None:
    try:
        raise error
    except type(error):
        activity.logger.warning(
            "Completing activity as failed", exc_info=True, extra={"__temporal_error_identifier": "ActivityFailure"}
        )


def test_a_failed_activity_is_one_line_that_names_it_and_its_error(log: io.StringIO) -> None:
    ActivityEnvironment().run(
        fail_as_the_sdk_does, ApplicationError("the database is away", type="DatabaseUnavailable")
    )

    (line,) = map(json.loads, log.getvalue().splitlines())
    assert line["event"] == "activity.failed"
    assert (line["activity"], line["workflow_id"], line["attempt"]) == ("unknown", "test", 1)
    assert (line["error_type"], line["error"]) == ("DatabaseUnavailable", "the database is away")
    assert not {"exception", "temporal_activity", "__temporal_error_identifier"} & set(line)


def test_any_other_failure_keeps_its_traceback(log: io.StringIO) -> None:
    ActivityEnvironment().run(fail_as_the_sdk_does, KeyError("x"))

    assert "KeyError" in json.loads(log.getvalue())["exception"]


def test_a_library_that_would_log_secrets_stays_above_debug(log: io.StringIO) -> None:
    configure_logging(level="debug", form="json", stream=log)
    logging.getLogger("aiokafka").debug("password")

    assert log.getvalue() == ""
