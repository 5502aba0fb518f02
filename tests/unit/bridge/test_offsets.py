"""The committable offset in words."""

import pytest

from bridge.engine.offsets import Committable, Inherited, OffsetTracker, Partition, Ticket, UnexpectedDeliveryError
from bridge.engine.settled_beyond import SettledBeyond, decode
from bridge.record import Record

P0, P1 = Partition("t", 0), Partition("t", 1)


@pytest.fixture
def tracker() -> OffsetTracker:
    tracker = OffsetTracker()
    tracker.assign({P0, P1})
    return tracker


def record(offset: int, partition: Partition = P0, timestamp_ms: int = 0) -> Record:
    return Record(*partition, offset, timestamp_ms, None, b"value")


def deliver(tracker: OffsetTracker, *offsets: int, partition: Partition = P0) -> list[Ticket]:
    tickets = [tracker.deliver(partition, record(offset, partition)) for offset in offsets]
    return [ticket for ticket in tickets if ticket is not None]


def committable(tracker: OffsetTracker) -> dict[Partition, int]:
    return {partition: commit.offset for partition, commit in tracker.committable().items()}


def told(commit: Committable) -> SettledBeyond | None:
    return decode(commit.metadata, offset=commit.offset)


def test_there_is_an_assignment_from_the_first_one_on_until_it_ends() -> None:
    tracker = OffsetTracker()
    assert (tracker.is_assigned, tracker.epoch) == (False, 0)
    assert tracker.assign(set()) == 1
    assert (tracker.is_assigned, tracker.epoch, tracker.partitions) == (True, 1, frozenset())
    tracker.revoke()
    assert (tracker.is_assigned, tracker.epoch) == (False, 1)


def test_nothing_is_committable_before_something_is_delivered(tracker: OffsetTracker) -> None:
    assert tracker.committable() == {}


def test_the_lowest_unoutcomes_offset_is_committable(tracker: OffsetTracker) -> None:
    tickets = deliver(tracker, 5, 6, 7)
    tracker.settle(tickets[1])
    assert committable(tracker) == {P0: 5}
    tracker.settle(tickets[0])
    assert committable(tracker) == {P0: 7}


def test_when_all_is_settled_the_next_offset_is_committable(tracker: OffsetTracker) -> None:
    for ticket in deliver(tracker, 5, 6):
        tracker.settle(ticket)
    assert committable(tracker) == {P0: 7}


def test_gaps_are_stepped_over(tracker: OffsetTracker) -> None:
    tickets = deliver(tracker, 5, 9, 40)
    tracker.settle(tickets[0])
    assert committable(tracker) == {P0: 9}
    tracker.settle(tickets[1])
    tracker.settle(tickets[2])
    assert committable(tracker) == {P0: 41}


def test_a_committed_offset_is_not_committed_again(tracker: OffsetTracker) -> None:
    (ticket,) = deliver(tracker, 5)
    tracker.settle(ticket)
    tracker.committed(tracker.committable(), tracker.epoch)
    assert tracker.committable() == {}


def test_partitions_are_independent(tracker: OffsetTracker) -> None:
    deliver(tracker, 5)
    (other,) = deliver(tracker, 8, partition=P1)
    tracker.settle(other)
    assert committable(tracker) == {P0: 5, P1: 9}


def test_what_settles_under_an_ended_assignment_counts_for_nothing(tracker: OffsetTracker) -> None:
    (old,) = deliver(tracker, 5)
    tracker.assign({P0})
    deliver(tracker, 5)
    assert not tracker.settle(old)
    assert committable(tracker) == {P0: 5}


def test_a_commit_of_an_ended_assignment_is_not_taken_for_one_of_this(tracker: OffsetTracker) -> None:
    (ticket,) = deliver(tracker, 5)
    tracker.settle(ticket)
    offsets, epoch = tracker.committable(), tracker.epoch
    tracker.assign({P0})
    tracker.committed(offsets, epoch)
    deliver(tracker, 3)
    assert committable(tracker) == {P0: 3}


@pytest.mark.parametrize("offset", [5, 4])
def test_an_offset_that_does_not_rise_is_refused(tracker: OffsetTracker, offset: int) -> None:
    deliver(tracker, 5)
    with pytest.raises(UnexpectedDeliveryError, match="t:0"):
        tracker.deliver(P0, record(offset))


def test_a_record_of_a_partition_that_is_not_ours_is_refused(tracker: OffsetTracker) -> None:
    tracker.revoke()
    with pytest.raises(UnexpectedDeliveryError, match="not assigned"):
        tracker.deliver(P0, record(5))


def test_what_was_settled_before_a_topic_was_made_anew_is_not_committed_for_the_new_one(tracker: OffsetTracker) -> None:
    (ticket,) = deliver(tracker, 5)
    tracker.settle(ticket)
    with pytest.raises(UnexpectedDeliveryError):
        tracker.deliver(P0, record(0))
    assert tracker.committable() == {}


# Settled beyond the committable offset ------------------------------------------------------------------------------


def commit_with_two_stuck(tracker: OffsetTracker) -> Committable:
    """5 and 9 of 5 to 12 are stuck; offsets 7 and 11 do not exist."""
    for ticket in deliver(tracker, 5, 6, 8, 9, 10, 12):
        if ticket.offset not in (5, 9):
            tracker.settle(ticket)
    return tracker.committable()[P0]


def test_a_commit_tells_what_is_settled_beyond_it(tracker: OffsetTracker) -> None:
    commit = commit_with_two_stuck(tracker)
    beyond = told(commit)
    assert beyond is not None
    assert [offset for offset in (5, 6, 8, 9, 10, 12, 13) if beyond.holds(offset)] == [6, 8, 10, 12]


def test_the_next_owner_is_given_what_is_not_settled_and_passes_over_the_rest(tracker: OffsetTracker) -> None:
    commit = commit_with_two_stuck(tracker)
    beyond = told(commit)
    assert beyond is not None
    tracker.assign({P0}, {P0: beyond})
    tickets = deliver(tracker, 5, 6, 8, 9, 10, 12, 13)
    assert [ticket.offset for ticket in tickets] == [5, 9, 13]
    assert tracker.take_inherited() == [Inherited(P0, is_trusted=True, records_passed_over=4)]
    assert tracker.take_inherited() == []
    for ticket in tickets:
        tracker.settle(ticket)
    assert tracker.committable() == {P0: Committable(14)}


def test_a_list_is_used_up_with_the_last_record_that_it_tells_of(tracker: OffsetTracker) -> None:
    beyond = told(commit_with_two_stuck(tracker))
    assert beyond is not None
    tracker.assign({P0}, {P0: beyond})
    deliver(tracker, 5, 6, 8, 9, 10)
    assert tracker.take_inherited() == []
    deliver(tracker, 12)
    assert tracker.take_inherited() == [Inherited(P0, is_trusted=True, records_passed_over=4)]


def test_an_owner_that_did_not_come_to_the_end_hands_on_what_it_was_told(tracker: OffsetTracker) -> None:
    beyond = told(commit_with_two_stuck(tracker))
    assert beyond is not None
    tracker.assign({P0}, {P0: beyond})
    deliver(tracker, 5, 6)
    third = told(tracker.committable()[P0])
    assert third is not None
    assert [offset for offset in range(5, 14) if third.holds(offset)] == [6, 7, 8, 10, 11, 12]


def test_what_is_settled_later_in_the_same_place_is_committed_as_well(tracker: OffsetTracker) -> None:
    tickets = deliver(tracker, 5, 6, 7)
    tracker.settle(tickets[1])
    first = tracker.committable()
    tracker.committed(first, tracker.epoch)
    assert tracker.committable() == {}
    tracker.settle(tickets[2])
    second = tracker.committable()
    assert second[P0].offset == first[P0].offset
    assert second[P0].metadata != first[P0].metadata
    tracker.committed(second, tracker.epoch)
    assert tracker.committable() == {}


def test_a_delivery_alone_is_nothing_new_to_commit(tracker: OffsetTracker) -> None:
    deliver(tracker, 5)
    tracker.committed(tracker.committable(), tracker.epoch)
    deliver(tracker, 6, 7)
    assert tracker.committable() == {}


@pytest.mark.parametrize(
    "first",
    [record(5, timestamp_ms=1), record(6), record(4), record(0)],
    ids=["another record", "later", "earlier", "from the beginning"],
)
def test_nothing_is_passed_over_in_a_topic_that_begins_otherwise(tracker: OffsetTracker, first: Record) -> None:
    beyond = told(commit_with_two_stuck(tracker))
    assert beyond is not None
    tracker.assign({P0}, {P0: beyond})
    tickets = [tracker.deliver(P0, first), *deliver(tracker, 8, 9, 10, 12)]
    assert [ticket.offset for ticket in tickets if ticket] == [first.offset, 8, 9, 10, 12]
    assert tracker.take_inherited() == [Inherited(P0, is_trusted=False, records_passed_over=0)]


def test_metadata_is_no_longer_than_allowed(tracker: OffsetTracker) -> None:
    for ticket in deliver(tracker, *range(1_000)):
        if ticket.offset**3 % 997 > 300:
            tracker.settle(ticket)
    whole = tracker.committable()[P0]
    tracker.metadata_chars_max = 100
    cut = tracker.committable()[P0]
    assert 80 < len(cut.metadata) <= 100 < len(whole.metadata)
    tracker.metadata_chars_max = 0
    assert tracker.committable() == {P0: Committable(whole.offset)}


@pytest.mark.parametrize("settled", [5_000, 50_000])
def test_what_is_told_is_as_much_as_is_stuck_however_much_is_settled(tracker: OffsetTracker, settled: int) -> None:
    """With steady traffic beyond a stuck record each commit would otherwise cost more than the last."""
    for ticket in deliver(tracker, *range(settled)):
        if ticket.offset % 1_000:
            tracker.settle(ticket)
    beyond = told(tracker.committable()[P0])
    assert beyond is not None
    assert list(beyond.unsettled_from(0)) == [(offset, offset + 1) for offset in range(0, settled, 1_000)]


# Deferred -----------------------------------------------------------------------------------------------------------


def test_a_deferred_record_is_unsettled_until_it_was_read_again_and_settled(tracker: OffsetTracker) -> None:
    five, six, seven = deliver(tracker, 5, 6, 7)
    tracker.defer(six)
    assert tracker.is_deferred(P0, 6)
    assert not tracker.settle(six), "nobody can have settled it"
    for ticket in (five, seven):
        tracker.settle(ticket)
    assert tracker.unsettled_count == 1
    again = tracker.regain(P0, record(6))
    assert not tracker.is_deferred(P0, 6)
    assert committable(tracker) == {P0: 6}
    assert tracker.settle(again)
    assert committable(tracker) == {P0: 8}


def test_what_is_settled_beyond_a_deferred_record_is_told_as_well(tracker: OffsetTracker) -> None:
    """Its fingerprint is not at hand, so the commit stands at a record before it, which a crash repeats."""
    five, six, seven = deliver(tracker, 5, 6, 7)
    tracker.defer(six)
    tracker.settle(five)
    tracker.settle(seven)
    commit = tracker.committable()[P0]
    beyond = told(commit)
    assert beyond is not None
    assert [offset for offset in range(9) if beyond.holds(offset)] == [7]
    assert commit.offset == 5
    tracker.assign({P0}, {P0: beyond})
    assert [ticket.offset for ticket in deliver(tracker, 5, 6, 7, 8)] == [5, 6, 8]


def test_a_commit_moves_on_to_a_deferred_record_once_that_is_held_again(tracker: OffsetTracker) -> None:
    five, six, seven = deliver(tracker, 5, 6, 7)
    tracker.defer(six)
    tracker.settle(five)
    tracker.settle(seven)
    assert committable(tracker) == {P0: 5}
    tracker.regain(P0, record(6))
    assert committable(tracker) == {P0: 6}, "though as many are unsettled as before"


def test_what_comes_and_is_settled_between_two_commits_is_told_by_the_second(tracker: OffsetTracker) -> None:
    """As many are unsettled as before, and the offset is the same."""
    _, six = deliver(tracker, 5, 6)
    tracker.settle(six)
    first = told(tracker.committable()[P0])
    (seven,) = deliver(tracker, 7)
    tracker.settle(seven)
    second = told(tracker.committable()[P0])
    assert first is not None
    assert second is not None
    assert (first.holds(7), second.holds(7)) == (False, True)


def test_a_backlog_of_a_stuck_lane_is_told_in_a_few_characters(tracker: OffsetTracker) -> None:
    first, *backlog = deliver(tracker, *range(100_000))
    for ticket in backlog:
        tracker.defer(ticket)
    for ticket in deliver(tracker, *range(100_000, 100_100)):
        tracker.settle(ticket)
    commit = tracker.committable()[P0]
    assert commit.offset == first.offset
    assert len(commit.metadata) < 64
    beyond = told(commit)
    assert beyond is not None
    assert [beyond.holds(offset) for offset in (99_999, 100_000, 100_099, 100_100)] == [False, True, True, False]


def test_deferred_records_that_are_gone_hold_nothing_back(tracker: OffsetTracker) -> None:
    five, *others = deliver(tracker, 5, 6, 7, 8, 9)
    for ticket in others:
        tracker.defer(ticket)
    tracker.settle(five)
    assert tracker.lose(P0, 7)
    assert not tracker.lose(P0, 7)
    assert tracker.lose_below(P0, 9) == 2
    assert tracker.unsettled_count == 1
    assert tracker.lose_below(P0, 100) == 1
    assert committable(tracker) == {P0: 10}
    assert len(tracker.committable()[P0].metadata) < 100


# What is read past, and what became of a commit ----------------------------------------------------------------------


def test_the_next_offset_is_one_after_the_last_record_that_was_delivered(tracker: OffsetTracker) -> None:
    assert tracker.next_offset(P0) is None
    deliver(tracker, 5)
    assert (tracker.next_offset(P0), tracker.next_offset(P1)) == (6, None)
    tracker.revoke()
    assert tracker.next_offset(P0) is None


def test_where_reading_begins_is_committable_and_reading_past_markers_moves_it_on(tracker: OffsetTracker) -> None:
    tracker.pass_to(P0, 7)
    assert committable(tracker) == {P0: 7}
    for passed, expected in ((9, 9), (8, 9)):
        tracker.pass_to(P0, passed)
        assert committable(tracker) == {P0: expected}
    (ticket,) = deliver(tracker, 9)
    tracker.pass_to(P0, 12)
    assert committable(tracker) == {P0: 9}
    tracker.settle(ticket)
    assert committable(tracker) == {P0: 12}
    tracker.revoke()
    tracker.pass_to(P0, 20)
    assert tracker.committable() == {}


def test_a_list_is_not_used_where_reading_begins_behind_its_record(tracker: OffsetTracker) -> None:
    beyond = told(commit_with_two_stuck(tracker))
    assert beyond is not None
    tracker.assign({P0}, {P0: beyond})
    tracker.pass_to(P0, 6)
    assert [ticket.offset for ticket in deliver(tracker, 6, 8)] == [6, 8]
    assert tracker.take_inherited() == []


def test_a_list_is_used_on_where_markers_are_passed_in_its_middle(tracker: OffsetTracker) -> None:
    beyond = told(commit_with_two_stuck(tracker))
    assert beyond is not None
    tracker.assign({P0}, {P0: beyond})
    deliver(tracker, 5)
    tracker.pass_to(P0, 6)
    assert [ticket.offset for ticket in deliver(tracker, 6, 8, 9)] == [9]


def test_a_commit_of_which_nobody_knows_whether_it_arrived_is_sent_again(tracker: OffsetTracker) -> None:
    deliver(tracker, 5)
    commits = tracker.committable()
    tracker.committed(commits, tracker.epoch)
    tracker.forget_committed(commits, tracker.epoch - 1)
    tracker.forget_committed({P1: Committable(3)}, tracker.epoch)
    assert tracker.committable() == {}, "another assignment's, and another partition's"
    tracker.forget_committed(commits, tracker.epoch)
    assert tracker.committable() == commits


def test_a_commit_is_acknowledged_for_the_partitions_that_are_still_assigned(tracker: OffsetTracker) -> None:
    deliver(tracker, 5)
    tracker.committed({Partition("gone", 0): Committable(3), **tracker.committable()}, tracker.epoch)
    assert tracker.committable() == {}


def test_an_acknowledgement_of_less_than_was_acknowledged_is_no_news(tracker: OffsetTracker) -> None:
    five, _ = deliver(tracker, 5, 6)
    early = tracker.committable()
    tracker.settle(five)
    late = tracker.committable()
    tracker.committed(late, tracker.epoch)
    tracker.committed(early, tracker.epoch)
    assert tracker.committable() == {}


def test_what_is_not_assigned_any_more_has_nothing_deferred_to_lose(tracker: OffsetTracker) -> None:
    (five,) = deliver(tracker, 5)
    tracker.defer(five)
    tracker.revoke()
    assert not tracker.is_deferred(P0, 5)
    assert not tracker.lose(P0, 5)
    assert tracker.lose_below(P0, 9) == 0
