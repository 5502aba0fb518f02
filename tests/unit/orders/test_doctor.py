import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from rich.text import Text
from typer.testing import CliRunner

from bridge.dead_letters.letter import Letter
from bridge.record import Record
from orders.cli.app import app
from orders.cli.doctor import _condition_json, _condition_lines, _from_findings
from orders.cli.rendering.findings import finding_lines
from orders.installation.connections.findings import Finding, Verdict
from orders.operations.dead_letters.finding import Listing
from orders.operations.doctor import Condition, _newest_at, advice
from orders.operations.overview import (
    BridgeMember,
    BridgesOverview,
    PartitionOverview,
    WorkerOverview,
    WorkersOverview,
)
from orders.processes.exit_status import ExitStatus
from schemas.states import OrderState

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BRIDGE = BridgeMember("m", "c", "h", ())
QUEUES = ("order-tq", "shipping-tq")


def partition(*, oldest_at: datetime | None) -> PartitionOverview:
    return PartitionOverview("order.created", 3, "c", 7, 0, 10, 3, oldest_at)


def bridges(*partitions: PartitionOverview, members: tuple[BridgeMember, ...] = (BRIDGE,)) -> BridgesOverview:
    return BridgesOverview("order-bridge", "Stable", members, partitions)


def workers(*queues: str) -> WorkersOverview:
    return WorkersOverview(QUEUES, tuple(WorkerOverview(queue, "w", NOW) for queue in queues))


def test_there_is_nothing_to_do_where_all_runs_and_nothing_waits() -> None:
    fresh = partition(oldest_at=NOW - timedelta(seconds=1))
    condition = Condition(NOW, bridges(fresh), workers(*QUEUES), {OrderState.COMPLETED: 5}, (), Counter())
    assert list(advice(condition)) == []
    assert condition.unsettled == 7


def test_what_keeps_orders_from_running_comes_first() -> None:
    condition = Condition(
        NOW,
        bridges(partition(oldest_at=NOW - timedelta(hours=1)), members=()),
        workers("order-tq"),
        {OrderState.VALIDATED: 2},
        ("o-1", "o-2"),
        Counter({"json_truncated": 3, "key_mismatch": 1}),
    )
    said = [(one.stops_orders, one.what) for one in advice(condition)]
    assert [stops for stops, _ in said] == [True, True, True, False, False]
    for (_, what), expected in zip(
        said,
        [
            "`orders bridge`",
            "`orders worker --queue shipping-tq`",
            "`orders explain o-1`",
            "4 dead letters, 3 of them json_truncated",
            "somebody has to approve 2 orders",
        ],
        strict=True,
    ):
        assert expected in what


def test_records_that_wait_are_named_by_the_oldest_of_them() -> None:
    partitions = [partition(oldest_at=NOW - timedelta(minutes=age)) for age in (2, 9)]
    [todo] = advice(Condition(NOW, bridges(*partitions), workers(*QUEUES)))
    assert "order.created:3:3 waits for 9 min" in todo.what
    assert "2 partitions" in todo.what


def test_a_side_that_was_not_seen_gives_no_advice() -> None:
    assert list(advice(Condition(NOW, problems=("Kafka does not answer",)))) == []


def test_what_was_said_of_a_server_is_not_said_again() -> None:
    away = Finding("kafka", "connection", Verdict.MISSING, "Kafka does not answer", None)
    condition = Condition(NOW, problems=("Kafka does not answer", "Temporal does not answer"))
    [line] = _condition_lines(condition, [away])
    assert "Temporal does not answer" in line


@pytest.mark.parametrize("timestamp_ms", [-1, 2**62, -(2**62)])
def test_a_dead_letter_of_a_time_that_no_calendar_has_is_counted_without_it(timestamp_ms: int) -> None:
    listing = Listing(limit=1)
    listing.add(Letter.from_record(Record("order.dead_letters", 0, 0, timestamp_ms, b"o-1", b"{}")))
    condition = Condition(NOW, dead_letters=listing.by_reason, newest_letter_at=_newest_at(listing))
    [line] = _condition_lines(condition, ())
    assert line.endswith(" 1")
    assert _condition_json(condition)["newest_dead_letter_at"] is None


def test_what_a_server_lacks_comes_first_with_what_to_do() -> None:
    findings = [
        Finding("kafka", "topic t", Verdict.MISSING, "it is not there", "run `orders migrate`"),
        Finding("temporal", "rights", Verdict.UNKNOWN, "Temporal does not say", "look yourself"),
        Finding("postgres", "tables", Verdict.MISSING, "they are old"),
    ]
    assert [one.what for one in _from_findings(findings)] == [
        "kafka, topic t: it is not there: run `orders migrate`",
        "postgres, tables: they are old",
    ]


def test_below_what_was_found_stands_what_to_do() -> None:
    lacking = Finding("kafka", "topic [t]", Verdict.MISSING, "it is not there", "run orders migrate")
    fine = Finding("postgres", "tables", Verdict.OK, "are there")
    lines = [Text.from_markup(line).plain.split() for line in finding_lines([lacking, fine])]
    assert lines == [
        ["missing", "kafka", "topic", "[t]:", "it", "is", "not", "there"],
        ["→", "run", "orders", "migrate"],
        ["ok", "postgres", "tables:", "are", "there"],
    ]


@pytest.mark.usefixtures("alone")
def test_where_no_server_is_known_that_is_the_first_thing_to_do() -> None:
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == ExitStatus.FAILURE
    assert "servers from nowhere" in shown.stdout
    assert "1. no server" in shown.stdout
    told = CliRunner().invoke(app, ["doctor", "--json"])
    assert told.exit_code == ExitStatus.FAILURE
    document = json.loads(told.stdout)
    assert (document["healthy"], document["condition"]) == (False, None)
    assert [one["stops_orders"] for one in document["first"]] == [True]
