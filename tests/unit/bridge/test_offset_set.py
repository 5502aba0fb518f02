"""A set of offsets, held against Python's own."""

import sys
import tracemalloc
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge.engine.offset_set import OffsetSet

NEAR_A_BORDER = [0, 1, 2, 65_533, 65_534, 65_535, 65_536, 65_537, 131_071, 131_072, 2**40, 2**63 - 2, 2**63 - 1]
OFFSETS = st.one_of(st.sampled_from(NEAR_A_BORDER), st.integers(0, 50), st.integers(65_500, 65_560))


def made_of(offsets: set[int]) -> OffsetSet:
    made = OffsetSet()
    for offset in sorted(offsets):
        made.add(offset)
    return made


def runs_of(offsets: set[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if runs and runs[-1][1] == offset:
            runs[-1] = (runs[-1][0], offset + 1)
        else:
            runs.append((offset, offset + 1))
    return runs


class OffsetSetMachine(RuleBasedStateMachine):
    """Adds and discards in any order, beside a plain set."""

    def __init__(self) -> None:
        super().__init__()
        self.compact = OffsetSet()
        self.plain: set[int] = set()

    @rule(offset=OFFSETS)
    def add(self, offset: int) -> None:
        assert self.compact.add(offset) is (offset not in self.plain)
        self.plain.add(offset)

    @rule(first=OFFSETS, count=st.integers(1, 200), step=st.integers(1, 3))
    def add_many(self, first: int, count: int, step: int) -> None:
        for offset in range(first, first + count * step, step):
            self.add(offset)

    @rule(offset=OFFSETS)
    def discard(self, offset: int) -> None:
        assert self.compact.discard(offset) is (offset in self.plain)
        self.plain.discard(offset)

    @rule(count=st.integers(1, 150))
    def discard_the_lowest(self, count: int) -> None:
        for offset in sorted(self.plain)[:count]:
            assert self.compact.lowest == offset
            self.discard(offset)

    @rule(offset=OFFSETS)
    def discard_below(self, offset: int) -> None:
        kept = {one for one in self.plain if one >= offset}
        assert self.compact.discard_below(offset) == len(self.plain) - len(kept)
        self.plain = kept

    @rule(offset=OFFSETS)
    def look(self, offset: int) -> None:
        assert (offset in self.compact) is (offset in self.plain)
        assert list(self.compact.iterate_from(offset)) == sorted(one for one in self.plain if one >= offset)

    @invariant()
    def they_are_equal(self) -> None:
        assert len(self.compact) == len(self.plain)
        assert list(self.compact) == sorted(self.plain)
        assert self.compact.lowest == min(self.plain, default=None)
        assert list(self.compact.runs()) == runs_of(self.plain)


TestOffsetSet = OffsetSetMachine.TestCase
TestOffsetSet.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.sets(OFFSETS, max_size=100))
def test_runs_are_apart_and_tell_every_offset(offsets: set[int]) -> None:
    runs = list(made_of(offsets).runs())
    assert all(end < begin for (_, end), (begin, _) in pairwise(runs))
    assert {offset for begin, end in runs for offset in range(begin, end)} == offsets


def test_an_offset_takes_some_bytes_whether_they_lie_close_together_or_apart() -> None:
    """I11: a million of one lane's are some megabytes. In a plain set an offset takes more than fifty bytes."""
    count = 100_000
    for step in (1, 2, 1_000):
        tracemalloc.start()
        try:
            made = OffsetSet()
            for offset in range(0, count * step, step):
                made.add(offset)
            held_bytes, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(made) == count
        assert held_bytes < 8 * count, step


def test_runs_of_a_million_offsets_cost_by_the_runs() -> None:
    made = made_of(set(range(7, 1_000_007)) | {2_000_000})
    looked_at = 0

    def count(*_: object) -> None:
        nonlocal looked_at
        looked_at += 1

    sys.setprofile(count)
    try:
        runs = list(made.runs())
    finally:
        sys.setprofile(None)
    assert runs == [(7, 1_000_007), (2_000_000, 2_000_001)]
    assert looked_at < 2_000
