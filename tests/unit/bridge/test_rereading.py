"""What is deferred is read again: nothing of it is lost without a word, doubled, or out of order (I1, I3)."""

import asyncio
from datetime import timedelta

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from structlog.testing import capture_logs

from bridge.engine import rereader
from bridge.engine.offsets import UnexpectedDeliveryError
from bridge.health import Dependency
from bridge.record import Record
from tests.helpers.lanes_rig import LANE_MAX, P0, P1, open_rig
from tests.helpers.system.waiting import assert_eventually


async def test_deferred_records_that_retention_took_are_given_up_with_an_alarm_that_counts_them() -> None:
    async with open_rig() as rig:
        rig.attempts.stuck.add("a")
        rig.take(*["a"] * 1_000)
        rig.source.delete_below(P0, 900)
        rig.source.delete(P0, 950)
        with capture_logs() as logs:
            rig.attempts.stuck.clear()
            await rig.settled()
        lost = [entry for entry in logs if entry["event"] == "bridge.records.lost"]
        assert [(entry["log_level"], entry["records"]) for entry in lost] == [("error", 900 - LANE_MAX), ("error", 1)]
        assert rig.engine.deferred.records_lost == 900 - LANE_MAX + 1
        assert rig.committable() == 1_000
    assert rig.attempts.offsets("a") == [*range(LANE_MAX), *range(900, 950), *range(951, 1_000)]


async def test_another_record_than_was_deferred_ends_the_bridge() -> None:
    """The topic was made anew: what is settled in the old one says nothing of the new one."""
    with pytest.raises(ExceptionGroup) as caught:
        await read_another()
    assert caught.group_contains(UnexpectedDeliveryError)


async def read_another() -> None:
    async with open_rig() as rig:
        rig.take(*["a"] * 100)
        rig.source.append([Record(*P0, 80, 0, None, b"b")])
        await asyncio.sleep(60)


async def test_a_partition_of_an_assignment_that_has_ended_may_have_ended_with_it() -> None:
    """Its topic was deleted: that is another bridge's matter, or nobody's."""
    async with open_rig() as rig:
        rig.source.opened.clear()
        rig.take(*["a"] * 100)
        await assert_eventually(lambda: len(rig.source.reads) == 1)
        rig.tracker.revoke()
        rig.engine.drop()
        rig.source.logs.clear()
        rig.source.opened.set()
        await asyncio.sleep(0.01)
        rig.tracker.assign({P0, P1})
        rig.take("b")
        await rig.eventually("b")


async def test_what_is_read_under_an_assignment_that_has_ended_is_dropped() -> None:
    async with open_rig() as rig:
        rig.source.opened.clear()
        rig.take(*["a"] * 100)
        await assert_eventually(lambda: len(rig.source.reads) == 1)
        rig.tracker.revoke()
        assert rig.engine.drop() < LANE_MAX
        assert rig.engine.records_deferred == 0
        rig.tracker.assign({P0, P1})
        rig.source.opened.set()
        await asyncio.sleep(0.01)
        assert rig.engine.records_held == 0
        before = len(rig.attempts.settled)
        rig.take(*["a"] * 100)
        await rig.settled()
    assert [offset for _, _, offset in rig.attempts.settled[before:]] == list(range(100))


async def test_a_drain_takes_nothing_more() -> None:
    async with open_rig() as rig:
        rig.source.opened.clear()
        rig.take(*["a"] * 100)
        await assert_eventually(lambda: len(rig.source.reads) == 1)
        assert await rig.engine.drain(timedelta(seconds=5))
        settled = len(rig.attempts.settled)
        held = rig.engine.records_held
        rig.source.opened.set()
        await asyncio.sleep(0.01)
        assert (len(rig.attempts.settled), rig.engine.records_held) == (settled, held)
        assert rig.engine.deferred.wanted() == {}


async def test_reads_that_fail_are_told_and_repeated_and_hold_up_no_other_lane() -> None:
    async with open_rig() as rig:
        errors = [KafkaConnectionError(), TimeoutError(), TopicAuthorizationFailedError("no right")]
        rig.source.failures = errors * 10_000
        rig.take(*["a"] * 100)
        with capture_logs() as logs:
            await assert_eventually(lambda: Dependency.REREADS in rig.health.troubled)
            assert not rig.engine.update_paused()
            rig.take("b")
            await rig.eventually("b")
            rig.source.failures.clear()
            await rig.settled()
        told = [entry["event"] for entry in logs if entry["event"].startswith("bridge.dependency")]
        assert told[0] == "bridge.dependency.lost"
        assert told[-1] == "bridge.dependency.recovered"
        assert rig.source.closed > 0, "after a failure the next read has a connection of its own"
    assert rig.attempts.offsets("a") == list(range(100))


async def test_the_source_is_closed_when_nothing_was_wanted_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rereader, "_IDLE_SECONDS", 0.02)
    async with open_rig() as rig:
        for _ in range(2):
            reads_before = len(rig.source.reads)
            rig.take(*["a"] * 100)
            await rig.settled()
            assert len(rig.source.reads) > reads_before
            await assert_eventually(lambda: not rig.source.is_open)
    assert rig.attempts.offsets("a") == list(range(200))
