"""The watchdog: it bites when nothing moves although it should, and never otherwise."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.supervision.watchdog import Signs, StuckError, Watchdog

MOVING = Signs(
    poll_turns=1,
    attempts_ended=1,
    records_held=5,
    records_taken=1,
    kafka_answers=True,
    assigned=True,
    assignments=1,
    refused=False,
    paused=False,
    lagging=True,
)


def run(watchdog: Watchdog, signs: Signs, *, first: int, last: int, moves: tuple[str, ...]) -> None:
    """Looks once a second; what moves is higher each time."""
    for second in range(first, last):
        moved: dict[str, Any] = dict.fromkeys(moves, second)
        watchdog.check(replace(signs, **moved), second)


ALL = ("poll_turns", "attempts_ended", "records_taken")


def test_it_is_quiet_while_everything_moves() -> None:
    run(Watchdog(60), MOVING, first=0, last=1_000, moves=ALL)


@pytest.mark.parametrize(
    ("stands", "message"),
    [("poll_turns", "poll loop"), ("attempts_ended", "attempt"), ("records_taken", "Kafka has records")],
)
def test_it_bites_when_one_thing_stands(stands: str, message: str) -> None:
    moves = tuple(name for name in ALL if name != stands)
    watchdog = Watchdog(60)
    run(watchdog, MOVING, first=0, last=61, moves=moves)
    with pytest.raises(StuckError, match=message):
        run(watchdog, MOVING, first=61, last=63, moves=moves)


def test_it_waits_while_kafka_is_away() -> None:
    run(Watchdog(60), replace(MOVING, kafka_answers=False), first=0, last=1_000, moves=("attempts_ended",))


def test_it_waits_while_the_engine_is_full_as_long_as_attempts_end() -> None:
    run(Watchdog(60), replace(MOVING, paused=True), first=0, last=1_000, moves=("poll_turns", "attempts_ended"))


def test_it_waits_where_there_is_nothing_to_do() -> None:
    idle = replace(MOVING, records_held=0, lagging=False)
    run(Watchdog(60), idle, first=0, last=1_000, moves=("poll_turns",))


def test_it_gives_the_whole_time_after_a_wait_that_was_right() -> None:
    watchdog = Watchdog(60)
    away = replace(MOVING, kafka_answers=False)
    run(watchdog, away, first=0, last=500, moves=("attempts_ended",))
    run(watchdog, MOVING, first=500, last=555, moves=("attempts_ended",))


def test_it_does_not_bite_after_the_process_was_suspended() -> None:
    watchdog = Watchdog(60)
    watchdog.check(MOVING, 0)
    watchdog.check(MOVING, 3_600)
    run(watchdog, MOVING, first=3_601, last=3_655, moves=())


UNASSIGNED = replace(MOVING, records_held=0, assigned=False, lagging=False)


def test_it_bites_where_the_group_gives_no_assignment_though_polls_come_back() -> None:
    """As where the client's task for the group has died: every poll raises, and the loop turns all the same."""
    watchdog = Watchdog(60)
    run(watchdog, UNASSIGNED, first=0, last=61, moves=("poll_turns",))
    with pytest.raises(StuckError, match="no assignment"):
        run(watchdog, UNASSIGNED, first=61, last=63, moves=("poll_turns",))


def test_a_bridge_that_stands_by_has_an_assignment_of_no_partitions() -> None:
    standing_by = replace(UNASSIGNED, assigned=True)
    run(Watchdog(60), standing_by, first=0, last=1_000, moves=("poll_turns",))


def test_it_waits_for_an_assignment_while_rebalances_end_and_while_a_person_has_to_act() -> None:
    run(Watchdog(60), UNASSIGNED, first=0, last=1_000, moves=("poll_turns", "assignments"))
    run(Watchdog(60), replace(UNASSIGNED, refused=True), first=0, last=1_000, moves=("poll_turns",))
    run(Watchdog(60), replace(UNASSIGNED, kafka_answers=False), first=0, last=1_000, moves=())
