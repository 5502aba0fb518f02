"""The limit of dead letters, the back-off and the configuration's own checks."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from bridge.config import BackOff, BridgeConfig, EngineLimits, FetchLimits, GroupTimings
from bridge.dead_letters.limit import DeadLetterGuard, DeadLetterLimitError, DeadLetterLimits

COORDINATES = (f"t:0:{offset}" for offset in count())
"""Of one record after the other."""


def make_guard(**limits: Any) -> DeadLetterGuard:
    names: dict[str, Any] = {"in_a_row_setting": "ROW_MAX", "share_setting": "SHARE_MAX", "reasons": "devices letters"}
    return DeadLetterGuard(DeadLetterLimits(**limits, **names))


def admit(guard: DeadLetterGuard, records: int) -> None:
    for _ in range(records):
        guard.admit(next(COORDINATES))


def test_so_many_in_a_row_are_set_aside_and_not_one_more() -> None:
    guard = make_guard(in_a_row_max=3)
    admit(guard, 3)
    with pytest.raises(DeadLetterLimitError, match=r"\(devices letters\).* raise ROW_MAX$"):
        guard.admit(next(COORDINATES))


def test_a_good_record_begins_the_row_anew() -> None:
    guard = make_guard(in_a_row_max=3)
    for _ in range(10):
        admit(guard, 3)
        guard.note_delivered()


def test_a_record_counts_once_also_where_it_is_admitted_again() -> None:
    guard = make_guard(in_a_row_max=2, share_max=None)
    for _ in range(5):
        guard.admit("t:0:1")
        guard.admit("t:1:1")
    with pytest.raises(DeadLetterLimitError):
        guard.admit("t:0:2")


def test_so_many_counted_records_are_remembered_and_the_oldest_is_forgotten_first() -> None:
    guard = make_guard(in_a_row_max=100_001, share_max=None)
    for offset in range(100_001):
        guard.admit(f"t:0:{offset}")
    guard.admit("t:0:1")
    with pytest.raises(DeadLetterLimitError):
        guard.admit("t:0:0")


def test_a_limit_of_none_lifts_it_and_of_zero_sets_nothing_aside() -> None:
    admit(make_guard(in_a_row_max=None, share_max=None), 5_000)
    with pytest.raises(DeadLetterLimitError):
        make_guard(in_a_row_max=0).admit(next(COORDINATES))


def test_the_share_counts_over_the_last_records_only() -> None:
    guard = make_guard(in_a_row_max=None, share_max=0.5, share_window=10)
    admit(guard, 9)  # The window is not full: nothing to take a share of.
    for _ in range(10):
        guard.note_delivered()
    admit(guard, 5)
    with pytest.raises(DeadLetterLimitError, match=r"50%.*\(devices letters\).* raise SHARE_MAX$"):
        guard.admit(next(COORDINATES))


def test_a_share_within_the_limit_goes_on_for_ever() -> None:
    guard = make_guard(share_max=0.5, share_window=10)
    for _ in range(200):
        guard.admit(next(COORDINATES))
        guard.note_delivered()


@pytest.mark.parametrize("limits", [{"in_a_row_max": -1}, {"share_max": 1.5}, {"share_max": -0.1}, {"share_window": 0}])
def test_limits_out_of_range_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="dead letters"):
        DeadLetterLimits(**limits)


# Back-off and configuration ------------------------------------------------------------------------------------------


def test_waits_are_doubled_up_to_the_longest() -> None:
    back_off = BackOff(timedelta(seconds=1), timedelta(seconds=5))
    waits = [back_off.delay_before(attempt, random_share=1.0).total_seconds() for attempt in (2, 3, 4, 5, 1_000_000)]
    assert waits == [1, 2, 4, 5, 5]


def test_chance_takes_up_to_half_of_a_wait() -> None:
    assert BackOff(timedelta(seconds=1)).delay_before(2, random_share=0.0) == timedelta(seconds=0.5)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"back_off": BackOff(initial=timedelta(seconds=6))}, "initial.*maximum"),
        ({"group": GroupTimings(session_timeout=timedelta(minutes=6))}, "session_timeout.*max_poll_interval"),
        ({"drain_timeout": timedelta(minutes=2)}, "drain_timeout.*rebalance_timeout"),
        ({"group": GroupTimings(heartbeat_interval=timedelta(seconds=20))}, "heartbeat_interval.*session_timeout"),
        ({"watchdog_timeout": timedelta(seconds=45)}, "watchdog_timeout.*rebalance_timeout"),
        ({"rpc_timeout": timedelta(seconds=30)}, "watchdog_timeout.*rpc_timeout"),
    ],
)
def test_fields_that_contradict_each_other_are_refused_by_name(changes: dict[str, Any], names: str) -> None:
    with pytest.raises(ValueError, match=names) as refused:
        BridgeConfig("g", "dead", **changes)
    assert len(str(refused.value).splitlines()) == 1


def test_each_contradiction_has_a_line_of_its_own() -> None:
    with pytest.raises(ValueError, match="drain_timeout") as refused:
        BridgeConfig("g", "dead", drain_timeout=timedelta(minutes=2), watchdog_timeout=timedelta(seconds=5))
    assert [line.split()[0] for line in str(refused.value).splitlines()] == [
        "drain_timeout",
        "watchdog_timeout",
        "watchdog_timeout",
    ]


def test_bounds_that_let_nothing_through_are_refused() -> None:
    with pytest.raises(ValueError, match="calls_in_flight_max"):
        EngineLimits(calls_in_flight_max=0)
    with pytest.raises(ValueError, match="partition_max_bytes must be at least 1"):
        FetchLimits(partition_max_bytes=0)
