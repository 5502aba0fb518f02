"""What a full lane defers keeps nobody else waiting, and little memory (I11, I18)."""

import asyncio
from datetime import timedelta

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from structlog.testing import capture_logs

from bridge.decisions import Decision
from bridge.engine.counts import Counts
from bridge.engine.settled_beyond import decode
from bridge.engine.work import weight_of
from bridge.health import AWAY_SECONDS, Dependency
from tests.helpers.lanes_rig import LANE_MAX, P0, P1, Rig, open_rig
from tests.helpers.system.waiting import assert_eventually


async def test_a_backlog_of_one_lane_is_worked_off_in_its_order_and_takes_nobody_s_place() -> None:
    async with open_rig() as rig:
        rig.take(*["hot"] * 6_000)
        assert rig.engine.records_held == LANE_MAX
        assert rig.engine.records_deferred == 6_000 - LANE_MAX
        assert not rig.engine.update_paused()
        rig.take("cold", partition=P1)
        await rig.eventually("cold")
        lanes = [lane for lane, _, _ in rig.attempts.settled]
        assert lanes.index("cold") < 1_000, "it did not wait for the others"
        await rig.settled()
        assert rig.committable() == 6_000
    assert rig.attempts.offsets("hot") == list(range(6_000))
    assert rig.engine.records_held_peak <= LANE_MAX + 1


async def test_a_stuck_lane_with_a_long_backlog_holds_up_nobody_and_little_memory() -> None:
    """`/readyz` and the watchdog were quiet, and nothing else moved, with 2,500 records of one stuck lane."""
    async with open_rig() as rig:
        rig.attempts.stuck.add("stuck")
        rig.take(*["stuck"] * 5_000, *(f"w-{number}" for number in range(500)))
        await rig.eventually(*(f"w-{number}" for number in range(500)))
        assert rig.engine.records_held == LANE_MAX
        assert not rig.engine.update_paused()
        commit = rig.tracker.committable()[P0]
        assert commit.offset == 0
        beyond = decode(commit.metadata, offset=0)
        assert beyond is not None
        assert [offset for offset in range(6_000) if beyond.holds(offset)] == list(range(5_000, 5_500))
        rig.attempts.stuck.clear()
        await rig.settled()
    assert rig.attempts.offsets("stuck") == list(range(5_000))


async def test_many_stuck_lanes_keep_no_more_than_their_first_records_once_the_room_is_needed() -> None:
    async with open_rig(records_held_max=200) as rig:
        stuck = [f"s-{number}" for number in range(40)]
        rig.attempts.stuck.update(stuck)
        for _ in range(20):
            rig.take(*stuck)
        await assert_eventually(lambda: len(rig.attempts.called) >= len(stuck))
        await assert_eventually(lambda: not rig.engine.update_paused() and rig.engine.records_held == len(stuck))
        rig.take("other")
        await rig.eventually("other")
        rig.attempts.stuck.clear()
        await rig.settled()
    for lane in stuck:
        assert rig.attempts.offsets(lane) == sorted(rig.attempts.offsets(lane))
        assert len(rig.attempts.offsets(lane)) == 20


async def test_long_lanes_that_move_are_cut_short_once_the_room_is_used_up() -> None:
    async with open_rig() as rig:
        gate = rig.attempts.gate
        gate.clear()
        lanes = [f"l-{number}" for number in range(4)]
        for _ in range(LANE_MAX):
            rig.take(*lanes)
        assert (rig.engine.records_held, rig.engine.records_deferred) == (4 * LANE_MAX, 0)
        assert not rig.engine.update_paused()
        assert rig.engine.records_held == 4 * 16
        gate.set()
        await rig.settled()
    for number, lane in enumerate(lanes):
        assert rig.attempts.offsets(lane) == list(range(number, 4 * LANE_MAX, 4))


async def test_first_records_that_stay_leave_the_rest_of_the_room_to_others() -> None:
    """With the room half taken for good, half of all would never be free again."""
    async with open_rig(records_held_max=100) as rig:
        stuck = [f"s-{number}" for number in range(60)]
        rig.attempts.stuck.update(stuck)
        rig.take(*stuck)
        await assert_eventually(lambda: len(rig.attempts.called) >= len(stuck))
        rig.take(*(f"w-{number}" for number in range(40)))
        assert rig.engine.update_paused()
        await rig.eventually(*(f"w-{number}" for number in range(40)))
        assert not rig.engine.update_paused()


async def take_in_turns(rig: Rig, *lanes: str) -> None:
    """As polls do: as many as there is room for, and none while there is none."""
    left = list(lanes)

    async def taken() -> bool:
        while left and not rig.engine.update_paused():
            count = rig.engine.free_records
            rig.take(*left[:count])
            del left[:count]
        return not left

    await assert_eventually(taken)


async def test_an_outage_of_temporal_fills_the_room_and_not_more() -> None:
    """I11. All that is held is held up then; the bound let one more record in at every second poll, without an end."""
    async with open_rig(records_held_max=100, calls_in_flight_max=200) as rig:
        lanes = [f"s-{number}" for number in range(200)]
        rig.attempts.stuck.update(lanes)
        rig.health.failed(Dependency.TEMPORAL, Decision.TRANSIENT, ConnectionRefusedError())
        rig.now[0] += AWAY_SECONDS + 1
        rig.take(*lanes[:100])
        await assert_eventually(lambda: rig.engine._lanes.held_up_count == 100)
        assert [rig.engine.update_paused() for _ in range(6)] == [True] * 6


async def test_more_stuck_lanes_than_there_is_room_for_leave_a_fourth_of_it_to_others() -> None:
    """They are bounded by what they weigh alone; the others were taken one at a time."""
    async with open_rig(records_held_max=100, calls_in_flight_max=200, stuck_after=timedelta(0)) as rig:
        stuck = [f"s-{number}" for number in range(300)]
        rig.attempts.stuck.update(stuck)
        await take_in_turns(rig, *stuck)
        await assert_eventually(lambda: len(rig.engine._stuck) == len(stuck))
        assert not rig.engine.update_paused()
        assert rig.engine.free_records == 25
        rig.attempts.gate.clear()
        await take_in_turns(rig, *(f"w-{number}" for number in range(25)))
        assert rig.engine.update_paused()
        rig.attempts.gate.set()
        await take_in_turns(rig, *(f"w-{number}" for number in range(25, 500)))
        await rig.eventually(*(f"w-{number}" for number in range(500)))
        rig.attempts.stuck.clear()
        await rig.settled()


async def test_stuck_lanes_fill_the_room_by_their_weight_in_the_end() -> None:
    """I11."""
    bound = 20 * weight_of(len("s-00"), with_call=True)
    async with open_rig(records_held_max=8, bytes_held_max=bound, stuck_after=timedelta(0)) as rig:
        stuck = [f"s-{number:02}" for number in range(40)]
        rig.attempts.stuck.update(stuck)
        left = list(stuck)

        async def takes_no_more() -> bool:
            if not rig.engine.update_paused():
                rig.take(left.pop())
            return len(left) == 20

        await assert_eventually(takes_no_more)
        for _ in range(3):
            await asyncio.sleep(0.02)
            assert rig.engine.update_paused()
        rig.attempts.stuck.clear()
        await rig.settled()
        assert not rig.engine.update_paused()


async def test_while_temporal_is_away_stuck_lanes_leave_nobody_any_room() -> None:
    async with open_rig(records_held_max=100, stuck_after=timedelta(0)) as rig:
        rig.attempts.stuck.update(stuck := [f"s-{number}" for number in range(150)])
        await take_in_turns(rig, *stuck)
        await assert_eventually(lambda: len(rig.engine._stuck) == len(stuck))
        rig.health.failed(Dependency.TEMPORAL, Decision.TRANSIENT, OSError("away"))
        assert not rig.engine.update_paused()
        rig.now[0] += AWAY_SECONDS + 1
        assert rig.engine.update_paused()


async def test_calls_that_hang_keep_the_room_of_their_first_records_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.engine.engine._HANGING_SECONDS", 0.01)
    async with open_rig(records_held_max=200) as rig:
        hanging = [f"h-{number}" for number in range(20)]
        rig.attempts.hanging.update(hanging)
        for _ in range(10):
            rig.take(*hanging)
        assert rig.engine.update_paused()
        await assert_eventually(lambda: not rig.engine.update_paused())
        assert rig.engine.records_held == len(hanging)


async def test_both_partitions_of_a_lane_get_their_turns() -> None:
    async with open_rig() as rig:
        rig.take(*["a"] * 3_000)
        rig.take(*["a"] * 10, partition=P1)
        await rig.settled()
    partitions = [partition for _, partition, _ in rig.attempts.settled]
    the_last_of_the_other = len(partitions) - partitions[::-1].index(1)
    assert the_last_of_the_other < 1_500, "it did not wait for all of the first"
    assert rig.attempts.offsets("a") == list(range(3_000))
    assert rig.attempts.offsets("a", 1) == list(range(10))


async def test_a_lane_is_bounded_in_bytes_and_a_record_that_is_larger_comes_through() -> None:
    """I11."""
    async with open_rig(bytes_held_max=100_000) as rig:
        rig.attempts.stuck.add("a")
        large = "a " + "x" * 60_000
        rig.take("a", large, large, "a", "b")
        assert rig.engine.records_held == 2
        await rig.eventually("b")
        rig.attempts.stuck.clear()
        await rig.settled()
    assert rig.attempts.offsets("a") == [0, 1, 2, 3]


async def test_while_temporal_is_away_nothing_is_read_on_behind_a_full_lane() -> None:
    async with open_rig() as rig:
        rig.attempts.stuck.add("a")
        rig.take(*["a"] * 100)
        rig.health.failed(Dependency.TEMPORAL, Decision.TRANSIENT, OSError("away"))
        assert not rig.engine.update_paused(), "it may be this lane's trouble alone"
        rig.now[0] = AWAY_SECONDS + 1
        assert rig.engine.update_paused()
        rig.health.heard_from(Dependency.TEMPORAL)
        assert not rig.engine.update_paused()


async def test_too_many_deferred_records_stop_the_intake_with_an_alarm_that_says_whose_they_are() -> None:
    async with open_rig(deferred_records_max=1_000) as rig:
        rig.attempts.stuck.update({"a", "b"})
        with capture_logs() as logs:
            rig.take(*["a"] * 800, *["b"] * 400)
            for _ in range(3):
                assert rig.engine.update_paused()
        (alarm,) = [entry for entry in logs if entry["event"] == "bridge.deferred.full"]
        assert (alarm["log_level"], alarm["lane"], alarm["records_of_lane"]) == ("error", "a", 800 - LANE_MAX)
        assert alarm["partitions"] == ["t:0"]
        rig.attempts.stuck.remove("a")
        await assert_eventually(lambda: not rig.engine.update_paused())
        rig.attempts.stuck.clear()
        await rig.settled()


async def test_a_dead_letter_topic_that_nobody_may_write_stops_no_other_record() -> None:
    """I10, I11: one record that could not be set aside paused everything, and 2,000 of them held all the room."""
    async with open_rig() as rig:
        rig.attempts.takes_dead_letters = False
        rig.attempts.refused.update(f"r-{number}" for number in range(1_000))
        rig.health.failed(Dependency.DEAD_LETTERS, Decision.CONFIGURATION, TopicAuthorizationFailedError("no right"))
        for _ in range(3):
            rig.take(*[""] * 1_000, *(f"r-{number}" for number in range(1_000)))
            await assert_eventually(lambda: not rig.engine.update_paused())
        rig.take(*(f"w-{number}" for number in range(100)))
        await rig.eventually(*(f"w-{number}" for number in range(100)))
        assert rig.engine.records_held <= LANE_MAX, "what is to be set aside holds no more than one lane does"
        calls = len(rig.attempts.called)
        rig.attempts.takes_dead_letters = True
        await rig.settled()
        assert len(rig.attempts.called) == calls, "what Temporal has refused is not called again (I3)"
    assert sorted(rig.attempts.dead_letters) == list(range(6_000))


async def test_a_refused_record_s_lane_goes_on_without_waiting_for_its_dead_letter() -> None:
    async with open_rig() as rig:
        rig.attempts.takes_dead_letters = False
        rig.attempts.refused.add("a")
        rig.take("a")
        await assert_eventually(lambda: len(rig.attempts.called) == 1)
        rig.attempts.refused.clear()
        rig.take("a")
        await assert_eventually(lambda: rig.attempts.offsets("a") == [1])
        assert rig.committable() == 0


async def test_a_stuck_lane_is_told_once_with_what_waits_behind_it() -> None:
    async with open_rig(stuck_after=timedelta(seconds=0.1)) as rig:
        rig.attempts.stuck.add("a")
        with capture_logs() as logs:
            rig.take(*["a"] * 100)
            rig.take("b", "a", partition=P1)
            await assert_eventually(lambda: len(rig.engine.stuck) == 1)
            often = len(rig.attempts.called) + 4
            await assert_eventually(lambda: len(rig.attempts.called) >= often)
            assert "t:0:0 of a was tried" in rig.engine.stuck[0]
            assert "100 records wait behind it" in rig.engine.stuck[0]
            assert rig.engine.counts() == {P0: Counts(LANE_MAX, 100 - LANE_MAX, 99, 0), P1: Counts(0, 1, 1, None)}
            rig.attempts.stuck.clear()
            await rig.settled()
        (stuck,) = [entry for entry in logs if entry["event"] == "bridge.lane.stuck"]
        assert (stuck["lane"], stuck["offset"], stuck["records_waiting"]) == ("a", 0, 100)
        assert [entry["event"] for entry in logs].count("bridge.lane.moves_again") == 1
        assert rig.engine.stuck == ()
        assert rig.engine.counts() == {}


async def test_an_outage_of_temporal_makes_no_lane_stuck() -> None:
    async with open_rig(stuck_after=timedelta(seconds=0.05)) as rig:
        rig.health.failed(Dependency.TEMPORAL, Decision.TRANSIENT, OSError("away"))
        rig.now[0] = AWAY_SECONDS + 1
        rig.attempts.stuck.add("a")
        rig.take("a")
        await assert_eventually(lambda: len(rig.attempts.called) >= 4)
        assert rig.engine.stuck == ()
