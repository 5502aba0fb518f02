"""What ``orders explain`` makes of what was found: outcomes, what is waited for, and a page that obeys nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from activities.adapters.postgres.reader import JournalRecord
from orders.cli.rendering.explain_page import page
from orders.clients.progress import OffsetRange
from orders.operations.dead_letters.finding import Summary
from orders.operations.explain.database_side import DatabaseSide
from orders.operations.explain.documents import as_json
from orders.operations.explain.gathering import Explanation
from orders.operations.explain.kafka_side import FOUND_MAX, KafkaSide, NamingRecord, newest
from orders.operations.explain.temporal_side import TemporalSide
from orders.operations.open_runs import FailingTask, OpenRun, PendingActivity
from schemas.activity_io import EventOutcome
from schemas.states import InboundOutcome, OrderStep, ReasonCode
from schemas.workflow_io import OrderStatus
from tests.helpers.console.made_up import an_order

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
IDENTITY = "order.created:0:7:9f86d081884c7d65"
RECORD = NamingRecord("order.created", 0, 7, 1_769_860_800_000, "e-1", "order.created", None, IDENTITY, taken=True)
LETTER = Summary("2:3", 1_769_860_800_000, "order.created:0:7", IDENTITY, "json", "json_invalid", "m", b"o-1", False, 0)
APPLIED = EventOutcome(
    event_id="e-1", type="order.created", outcome=InboundOutcome.REJECTED, reason=ReasonCode.STALE, at=NOW
)
NOTHING_STORED = DatabaseSide(None, None, (), (), None, cut=False)
NOTHING_RUNS = TemporalSide((), False, None, None, None, ())

OPEN_RUN = OpenRun("order:o-1", "order-tq", workers=2, last_poll_at=NOW, failing=None, pending=())


def known(
    *records: NamingRecord,
    letters: tuple[Summary, ...] = (),
    temporal: TemporalSide | None = NOTHING_RUNS,
    database: DatabaseSide | None = NOTHING_STORED,
    unreachable: tuple[str, ...] = (),
) -> Explanation:
    kafka = KafkaSide(records, letters, scanned=10, skipped=0, cut=False)
    return Explanation("o-1", kafka, temporal, database, unreachable)


def shown(explanation: Explanation) -> str:
    """The page as a terminal without colours has it."""
    console = Console(width=10_000, color_system=None)
    with console.capture() as captured:
        for line in page(explanation):
            console.print(line)
    return captured.get()


def test_what_became_of_a_record_is_told_by_whoever_knows() -> None:
    decided = replace(NOTHING_STORED, inbound=(APPLIED,))
    unread = replace(RECORD, event_id=None, error_code="json_invalid")
    outcomes = [
        known(letters=(LETTER,)).outcome_of(RECORD),
        known(database=decided).outcome_of(RECORD),
        known().outcome_of(replace(RECORD, taken=False)),
        known().outcome_of(RECORD),
        known().outcome_of(replace(RECORD, taken=None)),
        known(database=None).outcome_of(RECORD),
        known().outcome_of(unread),
        known().outcome_of(replace(unread, taken=False)),
    ]
    assert outcomes == [
        "set aside (json_invalid) at 2:3",
        "rejected (stale)",
        "waits in Kafka: no bridge has settled it",
        "handed to the workflow; not decided yet",
        "not decided yet",
        "not known: Postgres could not be reached",
        "cannot be read (json_invalid)",
        "will be set aside (json_invalid)",
    ]


def test_what_it_waits_for_is_said_by_each_side() -> None:
    status = OrderStatus(order_id="o-1", step=OrderStep.CHARGING_PAYMENT, waits_for="the payment provider")
    pending = PendingActivity("charge_payment", 5, "gateway timed out", NOW)
    run = replace(OPEN_RUN, workers=0, answers=False, pending=(pending,))
    explanation = known(
        replace(RECORD, taken=False),
        temporal=replace(NOTHING_RUNS, status=status, open_runs=(run,)),
        database=replace(NOTHING_STORED, journal=JournalRecord("o-1", 5, 3)),
    )
    worker, provider, activity, bridge, kafka = explanation.waits_for
    assert "orders worker" in worker
    assert provider == "the payment provider"
    assert "failed 4 times" in activity
    assert "gateway timed out" in activity
    assert "1 of its records" in bridge
    assert "2 recorded events" in kafka
    assert known(RECORD).waits_for == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"answers": True, "workers": 0}, None),
        ({}, None),
        ({"workers": 0}, "a worker: none asks order-tq for work; start one with `orders worker`"),
        ({"answers": False, "workers": 0}, "a worker: none asks order-tq for work"),
        ({"answers": False}, "a worker's answer: 2 workers ask order-tq for work, and none has answered within 5 s"),
        ({"answers": False, "refusal": "no such step"}, "the one that was asked says: no such step"),
        (
            {"answers": False, "failing": FailingTask(7, "non_deterministic_error", "[TMPRL1100] odd", NOW)},
            "a workflow task of order:o-1 that succeeds: 2 workers ask order-tq for work, but the task has failed 7 "
            "times, the last time at 2026-01-31T12:00:00Z (non_deterministic_error: [TMPRL1100] odd)",
        ),
        (
            {"workers": 0, "failing": FailingTask(1, None, None, None)},
            "no worker asks order-tq for work now, but the task has failed 1 times (the history does not say why)",
        ),
    ],
)
def test_what_holds_a_run_up_is_told_by_its_kind(change: dict[str, Any], sentence: str | None) -> None:
    held_up_by = replace(OPEN_RUN, **change).held_up_by
    assert held_up_by is None if sentence is None else sentence in str(held_up_by)


def test_an_order_is_known_by_any_trace_of_it_and_by_nothing_else() -> None:
    assert not known().is_known
    assert not Explanation("o-1", None, None, None, ("Kafka does not answer",)).is_known
    assert known(RECORD).is_known
    assert known(letters=(LETTER,)).is_known
    assert known(database=replace(NOTHING_STORED, inbound=(APPLIED,))).is_known


@given(st.text(max_size=30))
def test_the_page_obeys_nothing_that_strangers_wrote(text: str) -> None:
    failing = FailingTask(3, text, text, NOW)
    run = replace(OPEN_RUN, workflow_id=text, failing=failing, pending=(PendingActivity(text, 2, text, None, text),))
    explanation = replace(
        known(
            replace(RECORD, event_id=text),
            letters=(replace(LETTER, message=text, error_code=text, key=text.encode("utf-8", "replace")),),
            temporal=replace(NOTHING_RUNS, open_runs=(run,), failure=text),
            unreachable=(text,),
        ),
        order_id=text,
    )
    assert all(character.isprintable() for character in shown(explanation).replace("\n", ""))
    assert as_json(explanation)["order_id"] == text


ranges = st.dictionaries(
    st.integers(0, 8).map(lambda number: TopicPartition("t", number)),
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: OffsetRange(pair[0], sum(pair))),
)


@given(ranges, st.integers(1, 200))
def test_a_limit_leaves_the_newest_and_is_used_up(given_ranges: dict[TopicPartition, OffsetRange], limit: int) -> None:
    parts = newest(given_ranges, limit)
    size = sum(part.end - part.start for part in parts.values())
    everything = sum(part.end - part.start for part in given_ranges.values())
    assert all(
        part.end == given_ranges[key].end and part.start >= given_ranges[key].start for key, part in parts.items()
    )
    assert min(limit, everything) == size


def test_what_was_erased_and_what_is_in_the_archive_is_said() -> None:
    order = an_order("o-1", forgotten_at=NOW, archived_sequence=4, archived_in=("[2026]-01.jsonl.gz",))
    text = shown(known(database=replace(NOTHING_STORED, order=order)))
    assert "personal data erased on " in text
    assert "events up to 4 are in the archive: [2026]-01.jsonl.gz" in text


def test_each_part_that_is_cut_says_so() -> None:
    explanation = known(temporal=replace(NOTHING_RUNS, runs_cut=True), database=replace(NOTHING_STORED, cut=True))
    assert explanation.kafka is not None
    text = shown(replace(explanation, kafka=replace(explanation.kafka, cut=True)))
    cut = [line.strip() for line in text.splitlines() if "cut:" in line]
    assert cut == [
        f"cut: only the last {FOUND_MAX} records and dead letters that name it are shown",
        "cut: only 0 runs are shown",
        "cut: there are more than are shown",
    ]
