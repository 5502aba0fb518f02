"""How far the bridges are: what a commit says, and what it leaves open."""

from aiokafka.structs import OffsetAndMetadata
from hypothesis import given
from hypothesis import strategies as st

from bridge.engine.settled_beyond import METADATA_CHARS_MAX, encode, settled_beyond
from bridge.record import FINGERPRINT_BYTES
from orders.clients.progress import NO_PROGRESS, OffsetRange, Progress

MARK = b"\x01" * FINGERPRINT_BYTES


def committed(*unsettled: int, end: int) -> OffsetAndMetadata:
    """A commit that says which offsets are not settled, of those below the end."""
    beyond = settled_beyond([(offset, offset + 1) for offset in unsettled], end, MARK)
    assert beyond is not None
    return OffsetAndMetadata(beyond.offset, encode(beyond, chars_max=METADATA_CHARS_MAX))


def test_without_a_commit_nothing_is_settled() -> None:
    assert Progress.of(None) == Progress.of(OffsetAndMetadata(-1, "")) == NO_PROGRESS
    assert NO_PROGRESS.unsettled(3, 7) == [OffsetRange(3, 7)]


def test_everything_below_the_offset_is_settled() -> None:
    progress = Progress.of(OffsetAndMetadata(5, ""))

    assert progress.unsettled(0, 5) == []
    assert progress.unsettled(0, 8) == [OffsetRange(5, 8)]
    assert progress.unsettled(6, 8) == [OffsetRange(6, 8)]


def test_metadata_of_somebody_else_says_nothing() -> None:
    assert Progress.of(OffsetAndMetadata(5, "mine!")) == Progress(5)


def test_beyond_a_stuck_order_only_what_is_named_is_open_and_what_comes_after_the_end() -> None:
    progress = Progress.of(committed(5, 9, end=20))

    assert progress.unsettled(0, 30) == [OffsetRange(5, 6), OffsetRange(9, 10), OffsetRange(20, 30)]
    assert progress.unsettled(0, 9) == [OffsetRange(5, 6)]
    assert progress.unsettled(0, 20) == [OffsetRange(5, 6), OffsetRange(9, 10)]


@given(
    st.sets(st.integers(0, 60), min_size=1, max_size=20), st.integers(1, 40), st.integers(0, 120), st.integers(0, 120)
)
def test_what_is_open_is_what_is_not_known_to_be_settled(unsettled: set[int], more: int, begin: int, end: int) -> None:
    progress = Progress.of(committed(*sorted(unsettled), end=max(unsettled) + 1 + more))

    opened = [offset for part in progress.unsettled(begin, end) for offset in range(part.start, part.end)]

    assert opened == [offset for offset in range(begin, end) if not progress.has_settled(offset)]
