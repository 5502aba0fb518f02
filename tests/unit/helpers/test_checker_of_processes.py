"""The checker's rules of processes: each is shown evidence that breaks it, and evidence that does not."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.helpers.checker.checker import check
from tests.helpers.checker.evidence import Evidence, ProcessEnd, StuckOrder
from tests.helpers.checker.sample_evidence import GOOD, letter_of
from tests.helpers.messages.kafka_io import StoredRecord

T0 = 1_790_000_000.0
"""Some moment, in seconds since 1970."""


def violated(evidence: Evidence) -> set[str]:
    return {violation.invariant for violation in check(evidence, drained=False)}


def line(event: str, at: float, **fields: object) -> str:
    moment = datetime.fromtimestamp(T0 + at, UTC).isoformat()
    return json.dumps({**fields, "event": event, "logger": "bridge", "timestamp": moment})


def settled(record: StoredRecord, at: float) -> str:
    return line(
        "bridge.record.settled", at, topic=record.topic, partition=record.partition, offset=record.offset, attempts=1
    )


def with_log(*lines: str, evidence: Evidence = GOOD) -> Evidence:
    return replace(evidence, logs={**evidence.logs, "3-bridge": "\n".join(lines)})


ENDS = {
    "told to stop, in time": (ProcessEnd("b", 0, ("SIGTERM",), stopping_seconds=24.0), None),
    "killed": (ProcessEnd("b", -9, ("SIGKILL",)), None),
    "killed while it stopped": (ProcessEnd("b", -9, ("SIGTERM", "SIGKILL"), stopping_seconds=99.0), None),
    "at a failpoint": (ProcessEnd("b", -9, may_end=True), None),
    "told twice, at once": (ProcessEnd("b", 143, ("SIGTERM", "SIGTERM")), None),
    "told twice, and already done": (ProcessEnd("b", 0, ("SIGTERM", "SIGTERM")), None),
    "at the limit of dead letters": (ProcessEnd("b", 5, ("SIGTERM",), expected_status=5), None),
    "by itself": (ProcessEnd("b", 1), "I10"),
    "by itself with 0": (ProcessEnd("b", 0), "I10"),
    "told to stop, too late": (ProcessEnd("b", 0, ("SIGTERM",), stopping_seconds=25.1), "I13"),
    "told to stop, with another status": (ProcessEnd("b", 1, ("SIGTERM",), stopping_seconds=1.0), "I13"),
    "by the signal that it should handle": (ProcessEnd("b", -15, ("SIGTERM",), stopping_seconds=0.1), "I13"),
    "told twice, with another status": (ProcessEnd("b", 1, ("SIGTERM", "SIGTERM")), "I13"),
    "aborted while it stopped": (ProcessEnd("b", 134, ("SIGTERM",)), "I13"),
    "aborted by a signal, where it might end": (ProcessEnd("b", -6, may_end=True), "I13"),
}


@pytest.mark.parametrize(("end", "invariant"), ENDS.values(), ids=ENDS.keys())
def test_an_end_is_judged_by_what_the_process_was_told(end: ProcessEnd, invariant: str | None) -> None:
    assert violated(replace(GOOD, ends=(end,))) == ({invariant} if invariant else set())


@pytest.mark.parametrize("name", ["records_left", "records_dropped", "records_held_peak"])
def test_more_records_than_a_bridge_may_hold_are_found(name: str) -> None:
    bounded = replace(GOOD, records_held_max=50)
    assert violated(with_log(line("bridge.drained", 0, **{name: 50}), evidence=bounded)) == set()
    assert violated(with_log(line("bridge.drained", 0, **{name: 51}), evidence=bounded)) == {"I11"}


@pytest.mark.parametrize(
    ("settled_after", "between", "expected"), [(29.9, (), False), (30.1, (), True), (99.0, (5.0,), False)]
)
def test_what_waited_for_a_server_has_to_be_settled_soon_after_its_return(
    settled_after: float, between: Sequence[float], expected: bool
) -> None:
    waiting = replace(GOOD.inputs[0], timestamp_ms=int((T0 - 60) * 1_000))
    evidence = with_log(
        line("bridge.dependency.recovered", 0, dependency="temporal"),
        *(line("bridge.dependency.lost", at, dependency="temporal") for at in between),
        settled(waiting, settled_after),
        evidence=replace(GOOD, inputs=(waiting, *GOOD.inputs[1:])),
    )
    assert violated(evidence) == ({"I12"} if expected else set())


def test_nothing_is_expected_of_a_server_s_return_while_there_is_nothing_to_do() -> None:
    later = replace(GOOD.inputs[0], timestamp_ms=int((T0 + 50) * 1_000))
    evidence = with_log(
        line("bridge.dependency.recovered", 0, dependency="kafka"),
        settled(later, 51),
        evidence=replace(GOOD, inputs=(later, *GOOD.inputs[1:])),
    )
    assert violated(evidence) == set()


def behind_bad_records(delay: float, *, both: float = 0.0, others: Sequence[str] = ()) -> Evidence:
    """Six bad records, each followed by a good one in its partition, and as many good ones in another partition."""

    def record(partition: int, offset: int) -> StoredRecord:
        return StoredRecord("order.created", partition, offset, b"x", timestamp_ms=int((T0 + offset) * 1_000))

    bad = [record(0, 10 * number) for number in range(1, 7)]
    behind = [replace(record(0, one.offset + 1), timestamp_ms=one.timestamp_ms) for one in bad]
    beside = [replace(record(1, one.offset + 1), timestamp_ms=one.timestamp_ms) for one in bad]
    lines = [
        *(settled(one, one.timestamp_ms / 1_000 - T0 + both + delay) for one in behind),
        *(settled(one, one.timestamp_ms / 1_000 - T0 + both) for one in beside),
    ]
    letters = tuple(letter_of(one, offset) for offset, one in enumerate(bad, start=10))
    evidence = replace(GOOD, inputs=(*GOOD.inputs, *bad, *behind, *beside), dead_letters=(*GOOD.dead_letters, *letters))
    return with_log(*lines, *others, evidence=evidence)


def test_good_records_that_waited_for_bad_ones_are_found() -> None:
    assert violated(behind_bad_records(0.9)) == set()
    assert violated(behind_bad_records(1.1)) == {"I10"}


def test_what_waited_for_a_killed_bridge_to_start_again_is_not_the_bad_records_fault() -> None:
    times = [one.timestamp_ms / 1_000 - T0 for one in behind_bad_records(1.1).inputs[len(GOOD.inputs) :]]
    starts = [line("bridge.started", at + 0.5) for at in sorted(set(times))]
    assert violated(behind_bad_records(1.1, others=starts)) == set()


def test_an_outage_that_delays_all_alike_is_not_the_bad_records_fault() -> None:
    assert violated(behind_bad_records(0.0, both=300.0)) == set()


def beside_a_stuck_order(*lines: str) -> Evidence:
    """An order that was let go at 50, and one record of another order that was sent at 10, one at 70."""
    own, other, later = (
        StoredRecord("order.approved", 3, offset, b"x", timestamp_ms=int((T0 + sent_at) * 1_000))
        for offset, sent_at in ((0, 5), (1, 10), (2, 70))
    )
    stuck = StuckOrder("o-9", frozenset({own.coordinates}), others_sent_at=T0 + 20, released_at=T0 + 50)
    settled_before = [settled(record, -1.0) for record in GOOD.inputs]
    evidence = replace(GOOD, inputs=(*GOOD.inputs, own, other, later), stuck_orders=(stuck,))
    return with_log(*settled_before, *lines, evidence=evidence)


OTHER = StoredRecord("order.approved", 3, 1, b"x")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [((settled(OTHER, 49.0),), False), ((settled(OTHER, 51.0),), True), ((), True)],
    ids=["before it was let go", "only then", "never"],
)
def test_what_waited_until_a_stuck_order_was_let_go_is_found(lines: Sequence[str], expected: bool) -> None:
    assert violated(beside_a_stuck_order(*lines)) == ({"I18"} if expected else set())


def test_a_stuck_order_s_own_records_are_no_outage_that_goes_on() -> None:
    recovered = line("bridge.dependency.recovered", 11, dependency="temporal")
    own = replace(OTHER, offset=0)
    assert violated(beside_a_stuck_order(recovered, settled(OTHER, 12.0), settled(own, 51.0))) == set()
