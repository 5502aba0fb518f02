"""Partitions in words."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.kafka.ranges import in_ranges, ranges_of


def test_partitions_that_follow_each_other_are_one_range() -> None:
    """However they come."""
    owned = [("device.seen", 7), ("device.lost", 3), *(("device.seen", number) for number in (5, 0, 2, 1, 4, 3))]
    assert in_ranges(owned) == ["device.lost:3", "device.seen:0-5,7"]
    assert in_ranges([]) == []


@given(st.sets(st.integers(0, 60)))
def test_ranges_name_each_number_and_no_other(numbers: set[int]) -> None:
    """Read back, they are the numbers, and no two ranges could be one."""
    bounds = [[int(bound) for bound in one.split("-")] for one in ranges_of(numbers)]
    assert {number for one in bounds for number in range(one[0], one[-1] + 1)} == numbers
    assert all(before[-1] + 1 < after[0] for before, after in pairwise(bounds))
