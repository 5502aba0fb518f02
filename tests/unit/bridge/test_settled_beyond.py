"""The text of a commit's metadata: what is told comes back, a beginning of it is true, and nothing else is believed."""

import base64
import contextlib
import random
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.engine.settled_beyond import (
    METADATA_CHARS_MAX,
    RUNS_MAX,
    SettledBeyond,
    UnreadableMetadataError,
    decode,
    encode,
    settled_beyond,
)
from bridge.record import FINGERPRINT_BYTES, Record

MARK = b"\x01" * FINGERPRINT_BYTES


def beyond(*unsettled: int, end: int) -> SettledBeyond | None:
    return settled_beyond([(offset, offset + 1) for offset in unsettled], end, MARK)


@st.composite
def any_runs(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Runs of unsettled offsets; some touch."""
    end, runs = draw(st.integers(0, 2**62)), []
    for gap, length in draw(
        st.lists(st.tuples(st.integers(0, 1_000), st.integers(1, 1_000)), min_size=1, max_size=200)
    ):
        runs.append((end + gap, end + gap + length))
        end = runs[-1][1]
    return runs


@st.composite
def any_beyond(draw: st.DrawFn) -> SettledBeyond:
    runs = draw(any_runs())
    fingerprint = draw(st.binary(min_size=FINGERPRINT_BYTES, max_size=FINGERPRINT_BYTES))
    told = settled_beyond(runs, runs[-1][1] + draw(st.integers(1, 1_000)), fingerprint)
    assert told is not None
    return told


def settled(told: SettledBeyond | None, below: int) -> list[int]:
    return [] if told is None else [offset for offset in range(told.offset, below) if told.holds(offset)]


def test_all_but_the_unsettled_ones_is_settled_up_to_the_end() -> None:
    told = decode(encode(beyond(10, 12, 15, end=18), chars_max=METADATA_CHARS_MAX), offset=10)
    assert told is not None
    assert settled(told, 30) == [11, 13, 14, 16, 17]
    assert not told.holds(9)
    assert list(told.unsettled_from(0)) == [(10, 11), (12, 13), (15, 16)]
    assert list(told.unsettled_from(12)) == [(12, 13), (15, 16)]
    assert list(told.unsettled_from(16)) == []


def test_where_nothing_is_settled_beyond_there_is_nothing_to_tell() -> None:
    assert beyond(10, end=11) is None
    assert beyond(10, 11, 12, end=13) is None
    assert beyond(end=13) is None
    assert encode(None, chars_max=METADATA_CHARS_MAX) == ""
    assert decode("", offset=10) is None


def test_runs_that_touch_are_one_and_a_run_within_another_takes_nothing_of_it() -> None:
    told = settled_beyond([(10, 20), (12, 15), (20, 22), (30, 31)], 40, MARK)
    assert told is not None
    assert told.bounds == (10, 22, 30, 31, 40)


@given(any_runs(), st.integers(0, 2_000), st.integers(1, 300))
def test_it_knows_what_a_plain_list_of_unsettled_offsets_knows(
    runs: list[tuple[int, int]], past_the_end: int, runs_max: int
) -> None:
    end = runs[-1][1] + past_the_end
    told = settled_beyond(runs, end, MARK, runs_max=runs_max)
    near = sorted({offset + by for run in runs for offset in run for by in (-1, 0, 1)} | {end - 1, end, end + 1})
    known_below = 0 if told is None else told.end
    for offset in near:
        is_settled = runs[0][0] <= offset < end and not any(begin <= offset < after for begin, after in runs)
        assert (told is not None and told.holds(offset)) is (is_settled and offset < known_below)
    if told is not None:
        assert told.offset == runs[0][0]


@given(any_beyond())
def test_what_is_told_comes_back(told: SettledBeyond) -> None:
    assert decode(encode(told, chars_max=1 << 20), offset=told.offset) == told


@given(any_beyond(), st.integers(0, 400))
def test_what_does_not_fit_is_left_out_from_the_end_on(told: SettledBeyond, chars_max: int) -> None:
    text = encode(told, chars_max=chars_max)
    assert len(text) <= chars_max
    back = decode(text, offset=told.offset)
    # No more than was known, and everything of it up to where it ends.
    assert back is None or back.bounds == told.bounds[: len(back.bounds)]


def test_much_more_than_fits_is_told_as_far_as_it_fits() -> None:
    """Thousands of records stuck at uneven distances."""
    unsettled = sorted(random.Random(1).sample(range(4_000_000), 4_000))  # noqa: S311 -- no secret
    text = encode(beyond(*unsettled, end=4_000_000), chars_max=METADATA_CHARS_MAX)
    assert METADATA_CHARS_MAX - 50 < len(text) <= METADATA_CHARS_MAX
    back = decode(text, offset=unsettled[0])
    assert back is not None
    assert back.end > 1_000_000


def test_as_much_is_told_as_fits_and_not_one_run_less() -> None:
    chances = random.Random(1)  # noqa: S311 -- no secret
    bounds = [0]
    for _ in range(40):
        bounds.append(bounds[-1] + chances.randrange(1, 2**40))
    beginnings = [SettledBeyond(tuple(bounds[: 1 + 2 * runs]), MARK) for runs in range(1, 21)]
    texts = [encode(one, chars_max=10**6) for one in beginnings]
    lengths = [len(text) for text in texts]
    assert lengths == sorted(lengths)
    for chars_max in range(lengths[-1] + 2):
        fitting = [text for text in texts if len(text) <= chars_max]
        assert encode(beginnings[-1], chars_max=chars_max) == (fitting[-1] if fitting else "")


def test_the_text_is_as_long_as_a_broker_takes_by_default() -> None:
    assert METADATA_CHARS_MAX == 4_096, "offset.metadata.max.bytes"


def test_one_stuck_lane_needs_some_dozen_characters_however_much_waits_behind_it_and_is_settled_beyond() -> None:
    for waiting in (1, 1_000_000):
        told = settled_beyond([(10**12, 10**12 + waiting)], 10**12 + 2 * 10**6, MARK)
        assert len(encode(told, chars_max=METADATA_CHARS_MAX)) < 64


def test_no_more_runs_are_looked_at_than_are_told_of() -> None:
    """What a commit costs is bounded: a lane's million records may lie among a million of others."""
    runs = iter((offset, offset + 1) for offset in range(0, 2_000_000, 2))
    told = settled_beyond(runs, 2_000_000, MARK)
    assert told is not None
    assert RUNS_MAX == 5_000, "measure what a commit costs before it is raised"
    assert (told.end, len(told.bounds)) == (2 * RUNS_MAX, 2 * RUNS_MAX + 1)
    assert next(runs) == (2 * RUNS_MAX + 2, 2 * RUNS_MAX + 3)


@pytest.mark.parametrize(
    "text",
    [
        "somebody else's words",
        "settled-beyond/2 AAAA",
        "settled-beyond/1 ",
        "settled-beyond/1 not base64!",
        "settled-beyond/1 \n" + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\x02\x02")).decode(),
        "settled-beyond/1 é",
        "settled-beyond/1 " + base64.b64encode(b"not packed").decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"")).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK)).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK[:3])).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\x02\x00")).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\x82")).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\x02")).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\x02\x02\x02")).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\xff" * 1_000)).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\x02\x02" * (1 << 20))).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\x02\x02" * (1 << 19))).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\x80" * 9 + b"\x01\x02")).decode(),
        "settled-beyond/1 " + base64.b64encode(zlib.compress(b"\x0a" + MARK + b"\x02\x02") + b"more").decode(),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(text: str) -> None:
    with pytest.raises(UnreadableMetadataError):
        decode(text, offset=10)


@pytest.mark.parametrize("text", ["somebody else's words", "settled-beyond/2 AAAA", "settled-beyond/11 AAAA"])
def test_what_another_version_has_written_is_called_that_and_not_damaged(text: str) -> None:
    with pytest.raises(UnreadableMetadataError, match="of another format or version"):
        decode(text, offset=10)


@given(st.text(max_size=200))
@example("settled-beyond/1 " + base64.b64encode(bytes(range(256))).decode())
def test_no_text_does_anything_worse(text: str) -> None:
    with contextlib.suppress(UnreadableMetadataError):
        assert decode(text, offset=10) is None


@given(any_beyond(), st.data())
def test_damage_is_never_believed(told: SettledBeyond, data: st.DataObject) -> None:
    text = encode(told, chars_max=METADATA_CHARS_MAX)
    if not text:
        return
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from("ABCDxyz019+/=")) + text[at + 1 :]
    for changed in (damaged, text[:at]):
        try:
            back = decode(changed, offset=told.offset)
        except UnreadableMetadataError:
            continue
        assert back is None or back == decode(text, offset=told.offset)


def test_a_text_that_came_with_another_offset_is_not_believed() -> None:
    text = encode(beyond(10, end=20), chars_max=METADATA_CHARS_MAX)
    for moved in (9, 11):
        with pytest.raises(UnreadableMetadataError, match="another offset"):
            decode(text, offset=moved)


def test_it_speaks_only_of_the_topic_that_has_the_same_record_there() -> None:
    record = Record("t", 0, 10, 1_000, b"k", b"v")
    told = SettledBeyond((10, 11, 20), record.fingerprint)
    assert told.is_of(record)
    assert told.is_of(Record("t", 0, 10, 1_000, b"k", b"v", (("header", b"x"),)))
    others = [
        Record("t", 0, 11, 1_000, b"k", b"w"),
        Record("t", 0, 10, 1_001, b"k", b"v"),
        Record("t", 0, 10, 1_000, None, b"v"),
        Record("t", 0, 10, 1_000, b"kv", b""),
        Record("t", 0, 10, 1_000, b"k", None),
    ]
    assert [told.is_of(other) for other in others] == [False] * len(others)
    assert len({other.fingerprint for other in others}) == len(others)
