"""What the engine says of settled records: a line for those to look at, for all where it is wished, and counts."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from bridge import BridgeMetrics, Record
from bridge.calls import Call
from bridge.engine.attempts import Outcome, Settled
from bridge.engine.offsets import Partition, Ticket
from bridge.engine.reporter import Reporter
from bridge.engine.work import Work
from bridge.refusal import Refusal, RefusalCode, Stage

RECORD = Record("t", 3, 7, 0, b"k", b"v")
TICKET = Ticket(Partition("t", 3), 7, 1)
DELIVERED = Work.of(RECORD, Call("Any", "w-1", "any"), TICKET)
REFUSED = Work.of(RECORD, Refusal(Stage.BYTES, RefusalCode.VALUE_EMPTY, "empty"), TICKET)


def lines_of(reporter: Reporter) -> list[Any]:
    with capture_logs() as logs:
        reporter.settled(DELIVERED, Settled(Outcome.DELIVERED))
        reporter.settled(REFUSED, Settled(Outcome.DEAD_LETTERED, RefusalCode.VALUE_EMPTY))
    return logs


def test_by_default_only_what_was_set_aside_has_a_line() -> None:
    (line,) = lines_of(Reporter())
    assert (line["event"], line["outcome"], line["error_code"]) == (
        "bridge.record.settled",
        "dead_lettered",
        "value_empty",
    )
    assert (line["topic"], line["partition"], line["offset"], line["workflow_id"]) == ("t", 3, 7, None)


def test_where_it_is_wished_every_record_has_one() -> None:
    line, _ = lines_of(Reporter(logs_settled=True))
    assert (line["outcome"], line["workflow_id"], line["error_code"]) == ("delivered", "w-1", None)


@pytest.mark.parametrize("logs_settled", [True, False])
def test_all_are_counted_whether_or_not_they_are_logged(logs_settled: bool) -> None:
    registry = CollectorRegistry()
    lines_of(Reporter(BridgeMetrics(registry), logs_settled=logs_settled))
    counted = {
        outcome: registry.get_sample_value("bridge_records_settled_total", {"topic": "t", "outcome": outcome})
        for outcome in ("delivered", "dead_lettered")
    }
    assert counted == {"delivered": 1, "dead_lettered": 1}
