"""What the processes' log lines look like."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orders.telemetry.logs import REPEAT_SECONDS, _Repeats, configure_logging
from tests.helpers.system.command_line import logging_as_it_was


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


def say_what_kafka_s_client_says(times: int) -> None:
    for number in range(times):
        logging.getLogger("aiokafka.conn").error("Unable connect to node with id %s: %s", number, "closed")
        logging.getLogger("aiokafka.cluster").error("Topic %s is not available", number)
        logging.getLogger("aiokafka.cluster").info("assigned %s", number)
        logging.getLogger("orders").error("Unable connect to node with id %s: %s", number, "closed")


def how_often(log: io.StringIO, beginning: str) -> int:
    return [json.loads(line)["event"].startswith(beginning) for line in log.getvalue().splitlines()].count(True)


def test_what_kafka_s_client_says_again_and_again_is_said_once(log: io.StringIO) -> None:
    say_what_kafka_s_client_says(5)
    assert how_often(log, "Topic") == 1
    assert how_often(log, "assigned") == 5


def test_that_a_broker_is_away_is_left_to_the_process_unless_all_is_logged(log: io.StringIO) -> None:
    say_what_kafka_s_client_says(5)
    assert how_often(log, "Unable connect") == 5, "those that are no library's"
    log.truncate(0)
    log.seek(0)
    configure_logging(level="debug", form="json", stream=log)
    say_what_kafka_s_client_says(5)
    assert how_often(log, "Unable connect") == 1 + 5


def test_it_is_said_again_when_it_goes_on_for_long() -> None:
    now = [0.0]
    repeats = _Repeats(lambda: now[0])
    line = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "Topic %s is not available", None, None)
    passed = []
    for seconds in (0.0, REPEAT_SECONDS - 1, REPEAT_SECONDS, REPEAT_SECONDS + 1):
        now[0] = seconds
        passed.append(repeats.filter(line))
    assert passed == [True, False, True, False]
