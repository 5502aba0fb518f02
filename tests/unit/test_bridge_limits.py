"""The dead-letter limit, the failpoints, the back-off and the configuration's own checks."""

from datetime import timedelta

import pytest

from bridge.backoff import delay_before
from bridge.config import BackOff, BridgeConfig, EngineLimits, GroupTimings
from bridge.dead_letter_limit import DeadLetterGuard, DeadLetterLimitError, DeadLetterLimits
from bridge.failpoints import Failpoint, FailpointError, Failpoints
from schemas.states import EventType


def admit(guard: DeadLetterGuard, count: int) -> None:
    for _ in range(count):
        guard.admit()


def test_so_many_in_a_row_are_set_aside_and_not_one_more() -> None:
    guard = DeadLetterGuard(DeadLetterLimits(in_a_row_max=3))
    admit(guard, 3)
    with pytest.raises(DeadLetterLimitError, match="BRIDGE_DEAD_LETTERS_IN_A_ROW_MAX"):
        guard.admit()


def test_a_good_record_begins_the_row_anew() -> None:
    guard = DeadLetterGuard(DeadLetterLimits(in_a_row_max=3))
    for _ in range(10):
        admit(guard, 3)
        guard.note_delivered()


def test_a_limit_of_none_lifts_it_and_of_zero_sets_nothing_aside() -> None:
    admit(DeadLetterGuard(DeadLetterLimits(in_a_row_max=None, share_max=None)), 5_000)
    with pytest.raises(DeadLetterLimitError):
        DeadLetterGuard(DeadLetterLimits(in_a_row_max=0)).admit()


def test_the_share_counts_over_the_last_records_only() -> None:
    guard = DeadLetterGuard(DeadLetterLimits(in_a_row_max=None, share_max=0.5, share_window=10))
    admit(guard, 9)  # The window is not full: nothing to take a share of.
    for _ in range(10):
        guard.note_delivered()
    admit(guard, 5)
    with pytest.raises(DeadLetterLimitError, match="50%"):
        guard.admit()


def test_a_share_within_the_limit_goes_on_for_ever() -> None:
    guard = DeadLetterGuard(DeadLetterLimits(share_max=0.5, share_window=10))
    for _ in range(200):
        guard.admit()
        guard.note_delivered()


@pytest.mark.parametrize("limits", [{"in_a_row_max": -1}, {"share_max": 1.5}, {"share_max": -0.1}, {"share_window": 0}])
def test_limits_out_of_range_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="dead letters"):
        DeadLetterLimits(**limits)


# Failpoints ----------------------------------------------------------------------------------------------------------


def test_no_failpoint_is_set_by_default() -> None:
    for failpoints in (Failpoints(), Failpoints.parse("", production=True)):
        assert not failpoints
        for point in Failpoint:
            failpoints.hit(point)


def test_a_failpoint_strikes_at_its_hit_only() -> None:
    failpoints = Failpoints.parse("after_call:raise@2, before_commit:raise", production=False)
    failpoints.hit(Failpoint.AFTER_CALL)
    with pytest.raises(FailpointError, match="after_call"):
        failpoints.hit(Failpoint.AFTER_CALL)
    failpoints.hit(Failpoint.AFTER_CALL)
    for _ in range(2):
        with pytest.raises(FailpointError):
            failpoints.hit(Failpoint.BEFORE_COMMIT)


async def test_a_failpoint_can_hold_the_code_up() -> None:
    failpoints = Failpoints.parse("before_call:pause=0.01", production=False)
    await failpoints.reach(Failpoint.BEFORE_CALL)
    await failpoints.reach(Failpoint.AFTER_CALL)


@pytest.mark.parametrize(
    "text", ["after_call", "after_call:explode", "after_lunch:kill", "after_call:kill=3", "x:pause"]
)
def test_what_does_not_read_as_a_failpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="FAILPOINTS"):
        Failpoints.parse(text, production=False)


def test_failpoints_are_refused_in_production() -> None:
    with pytest.raises(ValueError, match="production"):
        Failpoints.parse("after_call:kill", production=True)


# Back-off and configuration ------------------------------------------------------------------------------------------


def test_waits_are_doubled_up_to_the_longest() -> None:
    back_off = BackOff(timedelta(seconds=1), timedelta(seconds=5))
    waits = [delay_before(attempt, back_off, random_share=1.0).total_seconds() for attempt in (2, 3, 4, 5, 1_000_000)]
    assert waits == [1, 2, 4, 5, 5]


def test_chance_takes_up_to_half_of_a_wait() -> None:
    assert delay_before(2, BackOff(timedelta(seconds=1)), random_share=0.0) == timedelta(seconds=0.5)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"topics": {}}, "topics"),
        ({"topics": {"order.dead_letters": EventType.ORDER_CREATED}}, "dead_letter_topic"),
        ({"drain_timeout": timedelta(minutes=2)}, "drain_timeout.*rebalance_timeout"),
        ({"group": GroupTimings(heartbeat_interval=timedelta(seconds=20))}, "heartbeat_interval.*session_timeout"),
        ({"watchdog_timeout": timedelta(seconds=5)}, "watchdog_timeout.*rebalance_timeout"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_by_name(changes: dict[str, object], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        BridgeConfig("localhost:9092", **changes)  # type: ignore[arg-type]


def test_bounds_that_let_nothing_through_are_refused() -> None:
    with pytest.raises(ValueError, match="calls_in_flight_max"):
        EngineLimits(calls_in_flight_max=0)
