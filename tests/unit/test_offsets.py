"""The committable offset in words."""

import pytest

from bridge.offsets import OffsetTracker, Partition, Ticket, UnexpectedDeliveryError

P0, P1 = Partition("t", 0), Partition("t", 1)


@pytest.fixture
def tracker() -> OffsetTracker:
    tracker = OffsetTracker()
    tracker.assign({P0, P1})
    return tracker


def deliver(tracker: OffsetTracker, *offsets: int, partition: Partition = P0) -> list[Ticket]:
    return [tracker.deliver(partition, offset) for offset in offsets]


def test_nothing_is_committable_before_something_is_delivered(tracker: OffsetTracker) -> None:
    assert tracker.committable() == {}


def test_the_lowest_unsettled_offset_is_committable(tracker: OffsetTracker) -> None:
    tickets = deliver(tracker, 5, 6, 7)
    tracker.settle(tickets[1])
    assert tracker.committable() == {P0: 5}
    tracker.settle(tickets[0])
    assert tracker.committable() == {P0: 7}


def test_when_all_is_settled_the_next_offset_is_committable(tracker: OffsetTracker) -> None:
    for ticket in deliver(tracker, 5, 6):
        tracker.settle(ticket)
    assert tracker.committable() == {P0: 7}


def test_gaps_are_stepped_over(tracker: OffsetTracker) -> None:
    tickets = deliver(tracker, 5, 9, 40)
    tracker.settle(tickets[0])
    assert tracker.committable() == {P0: 9}
    tracker.settle(tickets[1])
    tracker.settle(tickets[2])
    assert tracker.committable() == {P0: 41}


def test_a_committed_offset_is_not_committed_again(tracker: OffsetTracker) -> None:
    (ticket,) = deliver(tracker, 5)
    tracker.settle(ticket)
    tracker.committed(tracker.committable(), tracker.epoch)
    assert tracker.committable() == {}


def test_partitions_are_independent(tracker: OffsetTracker) -> None:
    deliver(tracker, 5)
    (other,) = deliver(tracker, 8, partition=P1)
    tracker.settle(other)
    assert tracker.committable() == {P0: 5, P1: 9}


def test_what_settles_under_an_ended_assignment_counts_for_nothing(tracker: OffsetTracker) -> None:
    (old,) = deliver(tracker, 5)
    tracker.assign({P0})
    deliver(tracker, 5)
    assert not tracker.settle(old)
    assert tracker.committable() == {P0: 5}


def test_a_commit_of_an_ended_assignment_is_not_taken_for_one_of_this(tracker: OffsetTracker) -> None:
    (ticket,) = deliver(tracker, 5)
    tracker.settle(ticket)
    offsets, epoch = tracker.committable(), tracker.epoch
    tracker.assign({P0})
    tracker.committed(offsets, epoch)
    deliver(tracker, 3)
    assert tracker.committable() == {P0: 3}


@pytest.mark.parametrize("offset", [5, 4])
def test_an_offset_that_does_not_rise_is_refused(tracker: OffsetTracker, offset: int) -> None:
    deliver(tracker, 5)
    with pytest.raises(UnexpectedDeliveryError, match="t:0"):
        tracker.deliver(P0, offset)


def test_a_record_of_a_partition_that_is_not_ours_is_refused(tracker: OffsetTracker) -> None:
    tracker.revoke()
    with pytest.raises(UnexpectedDeliveryError, match="not assigned"):
        tracker.deliver(P0, 5)
