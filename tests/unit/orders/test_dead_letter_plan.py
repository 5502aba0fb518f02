"""Which dead letters are replayed, in which order, and with what; on letters as the bridge itself makes them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import Header, Record, Refusal, RefusedError, Stage
from bridge.dead_letters.headers import make_dead_letter, make_pointer
from bridge.dead_letters.letter import FOREIGN, Letter
from bridge.dead_letters.replay_headers import (
    REPLAY_COUNT_HEADER,
    REPLAY_OF_HEADER,
    replay_headers,
    replayed_identity,
)
from orders.mapping import OrderMapping
from orders.operations.dead_letters.replay_plan import Planned, ReplayPlan, ReplayRecord, TooManyError, chunks, waves
from orders.operations.dead_letters.selection import Place
from orders.operations.dead_letters.source import gone
from schemas.event_types import EventType

TOPIC = "order.created"
REFUSAL = Refusal(Stage.JSON, "json_truncated", "look for what cut it off")
MAPPING = OrderMapping({TOPIC: EventType.ORDER_CREATED})


def source(
    offset: int = 7,
    *,
    partition: int = 2,
    headers: tuple[Header, ...] = (),
    key: bytes | None = b"o-1",
    value: bytes = b'{"order_id": "o-1", "payment_id": "p-1"}',
    timestamp_ms: int = 1_700_000_000_000,
) -> Record:
    return Record(TOPIC, partition, offset, timestamp_ms, key, value, headers)


def letter_of(record: Record, at: int = 0, *, pointer: bool = False) -> Letter:
    made = (make_pointer if pointer else make_dead_letter)(record, REFUSAL)
    return Letter.from_record(
        Record("order.dead_letters", 0, at, 1_700_000_001_000, made.key, made.value, made.headers)
    )


def plan_of(*letters: Letter, replays_max: int | None = 3, limit: int = 100) -> tuple[list[Planned], ReplayPlan]:
    plan = ReplayPlan([TOPIC], replays_max=replays_max, limit=limit)
    for letter in letters:
        plan.add(letter)
    return plan.finish(), plan


def replayed(record: Record, letter: Letter, offset: int) -> Record:
    """The record as a replay of the letter puts it back; what a pointer does not hold is read from where it was."""
    source_headers = record.headers if letter.is_pointer else letter.source_headers
    source = replace(record, headers=source_headers)
    headers = replay_headers(source, letter.first_identity or "", letter.replay_count + 1)
    return Record(record.topic, record.partition, offset, record.timestamp_ms, record.key, record.value, headers)


headers = st.lists(
    st.tuples(
        st.sampled_from(["trace", "dlq_message", "dlq_source_topic", "dlq_pointer", "ce_x", "dlq_"])
        | st.text("x_", max_size=2).map("original_dlq".__add__)
        | st.lists(st.sampled_from(["original_", "dlq_", "x"]), max_size=5).map("".join),
        st.none() | st.binary(max_size=8),
    ),
    max_size=6,
).map(tuple)


@given(headers)
def test_a_letter_gives_back_the_headers_of_its_source_and_believes_none_of_them(
    given_headers: tuple[Header, ...],
) -> None:
    record = source(headers=given_headers)
    letter = letter_of(record)
    assert letter.source_headers == record.headers
    assert (letter.error_code, letter.message, str(letter.origin)) == (
        REFUSAL.code,
        REFUSAL.message,
        record.coordinates,
    )
    assert not letter.is_pointer
    assert letter.renamed_headers == tuple(name for name, _ in given_headers if name.startswith("dlq_"))


def test_what_an_earlier_bridge_renamed_is_read_as_it_meant_it() -> None:
    made = make_dead_letter(source(), REFUSAL)
    headers = (("original_dlq_x", b"1"), ("original_x", b"2"), *made.headers)
    letter = Letter.from_record(Record("order.dead_letters", 0, 1, 0, made.key, made.value, headers))
    assert letter.source_headers == (("dlq_x", b"1"), ("original_x", b"2"))
    assert letter.renamed_headers == ("dlq_x",)


def test_a_pointer_is_known_as_one() -> None:
    assert letter_of(source(), pointer=True).is_pointer


@given(headers, st.lists(st.booleans(), min_size=1, max_size=5))
def test_a_record_keeps_one_identity_over_any_number_of_replays_and_failures(
    given_headers: tuple[Header, ...], pointers: list[bool]
) -> None:
    """I15; whether it is copied, or too large for that."""
    first = record = source(headers=given_headers)
    for number, pointer in enumerate(pointers, 1):
        letter = letter_of(record, pointer=pointer)
        assert letter.first_identity == first.identity
        record = replayed(record, letter, offset=100 + number)
        assert record.headers[:-2] == given_headers, "the sender's headers, and ours"
        for again in (letter_of(record), letter_of(record, pointer=True)):
            assert (again.replay_count, again.first_identity) == (number, first.identity)
    assert MAPPING.read(record).event.event_id == first.identity


@pytest.mark.parametrize(
    "forged",
    [
        b"order.approved:0:1:0123456789abcdef",
        b"order.created:0:1",
        b"order.created:0",
        b"order.created:0:x",
        b"order.created:0:1:0123456789abcdef\n",
        b"\xff",
        b"",
        None,
        b"order.created:0:99999999999999999999999:0123456789abcdef",
    ],
)
def test_a_replay_header_that_is_none_is_ignored(forged: bytes | None) -> None:
    record = source(headers=((REPLAY_OF_HEADER, forged),))
    assert replayed_identity(record.headers, TOPIC) is None
    assert MAPPING.read(record).event.event_id == record.identity


def test_a_replay_header_names_the_event_and_nothing_more() -> None:
    """What a forged one can do, a body's ``event_id`` can as well; the record's own words come first."""
    forged = ((REPLAY_OF_HEADER, b"order.created:0:1:0123456789abcdef"),)
    assert MAPPING.read(source(headers=forged)).event.event_id == "order.created:0:1:0123456789abcdef"
    named = (("ce_specversion", b"1.0"), ("ce_id", b"e"), ("ce_source", b"/s"), *forged)
    assert MAPPING.read(source(headers=named)).event.event_id == "/s|e"
    with pytest.raises(RefusedError):
        MAPPING.read(source(headers=forged, key=b"another"))


def test_letters_are_sent_in_the_order_of_their_topic_whatever_order_they_were_set_aside_in() -> None:
    planned, _ = plan_of(*[letter_of(source(offset), at) for at, offset in enumerate([9, 3, 12, 5])])
    assert [one.first_offset for one in planned] == [3, 5, 9, 12]


def test_a_replay_that_was_set_aside_again_keeps_its_place_and_is_sent_once() -> None:
    first = source(5)
    again = replayed(first, letter_of(first), offset=40)
    planned, plan = plan_of(letter_of(first, 0), letter_of(source(9), 1), letter_of(again, 2), letter_of(again, 3))
    assert [(one.first_offset, one.place, one.replay_count) for one in planned] == [
        (5, Place(0, 3), 1),
        (9, Place(0, 1), 0),
    ]
    assert plan.duplicates == 2


@given(st.lists(st.booleans(), min_size=4, max_size=4), st.sampled_from([b"o-1", b"k" * 2_000, None]))
def test_what_fails_again_and_again_is_sent_once_each_time_until_it_is_refused(
    pointers: list[bool], key: bytes | None
) -> None:
    """All dead letters are selected each time; the added headers may make one too large that could be copied before."""
    record = source(key=key)
    letters = [letter_of(record, 0, pointer=pointers[0])]
    for number in range(1, 4):
        (planned,), plan = plan_of(*letters)
        assert (planned.place, planned.first_offset) == (Place(0, number - 1), 7)
        assert (plan.duplicates, plan.refused) == (number - 1, [])
        record = replayed(record, letters[-1], offset=100 + number)
        letters.append(letter_of(record, number, pointer=pointers[number]))
    planned_now, plan = plan_of(*letters)
    assert (planned_now, [one.at for one in plan.refused]) == ([], ["0:3"])
    assert "was replayed 3 times already" in plan.refused[0].why


def of_seven(count: bytes = b"1", *, first: Record | None = None) -> tuple[Header, ...]:
    """What a replay of the record 7 has, and whoever copies its headers."""
    return (REPLAY_OF_HEADER, (first or source()).identity.encode()), (REPLAY_COUNT_HEADER, count)


@pytest.mark.parametrize("pointer", [False, True])
def test_records_of_different_orders_are_all_sent_whatever_their_headers_say(pointer: bool) -> None:
    orders = [b"o-1", b"o-2", b"o-3"]
    letters = [
        letter_of(source(50 + at, key=key, headers=of_seven()), at, pointer=pointer) for at, key in enumerate(orders)
    ]
    seventh = source(7, key=b"o-4")
    letters.append(letter_of(seventh, 3))
    planned, plan = plan_of(*letters)
    assert [one.own_offset for one in planned] == [7, 50, 51, 52]
    assert (plan.duplicates, plan.refused_count) == (0, 0)
    assert {one.first_identity for one in planned} == {source().identity, seventh.identity}


@pytest.mark.parametrize(
    "other",
    [
        source(50, value=b"{}", headers=of_seven()),
        source(50, headers=(("ce_id", b"another"), *of_seven())),
        source(50, headers=(("ce_id", None), *of_seven())),
        source(50, value=b'{"order_id": "o-1", "payment_id": "p-1"', headers=(("}", b""), *of_seven())),
        source(50, partition=3, headers=of_seven()),
    ],
    ids=["another value", "another header", "a null header", "the same bytes in other parts", "another partition"],
)
def test_records_of_one_order_that_differ_in_anything_are_both_sent(other: Record) -> None:
    planned, plan = plan_of(letter_of(source(7), 0), letter_of(other, 1))
    assert [(one.partition, one.own_offset) for one in planned] == [(2, 7), (other.partition, 50)]
    assert (plan.duplicates, plan.refused_count) == (0, 0)


def test_pointers_that_may_be_the_same_are_sent_once_and_said() -> None:
    """A topic that stamps what is appended gives a replay another timestamp; so none may be sent beside the other."""
    first = source(7)
    again = source(50, headers=of_seven(), timestamp_ms=first.timestamp_ms + 1)
    letters = [letter_of(first, 0, pointer=True), letter_of(source(9), 1), letter_of(again, 2, pointer=True)]
    planned, plan = plan_of(*letters)
    assert [(one.first_offset, one.place) for one in planned] == [(7, Place(0, 2)), (9, Place(0, 1))]
    assert [one.at for one in plan.refused] == ["0:0"]
    assert "only the last is taken" in plan.refused[0].why
    assert len(plan_of(letters[0])[0]) == 1, "by its place it is replayed"


def test_a_pointer_of_a_record_without_a_timestamp_is_the_same_as_its_replay() -> None:
    first = source(7, timestamp_ms=-1)
    again = source(50, headers=of_seven(first=first))
    planned, plan = plan_of(letter_of(first, 0, pointer=True), letter_of(again, 1, pointer=True))
    assert ([one.place for one in planned], plan.duplicates, plan.refused) == ([Place(0, 1)], 1, [])


def test_a_replay_keeps_its_place_where_its_first_dead_letter_is_not_selected() -> None:
    again = source(50, headers=of_seven())
    planned, _ = plan_of(letter_of(source(9, value=b"{}"), 0), letter_of(again, 1))
    assert [one.own_offset for one in planned] == [50, 9]


@pytest.mark.parametrize(
    ("others", "sent"),
    [
        ([source(7, key=b"o-2")], [7, 20, 50]),
        ([source(51, value=b"[]", headers=of_seven())], [20, 50, 51]),
        (
            [source(7, value=b"[]"), source(51, value=b"[]", headers=of_seven(first=source(7, value=b"[]")))],
            [7, 20, 50],
        ),
    ],
    ids=["another record was there", "two claim the place", "another record was there and was replayed"],
)
def test_a_header_that_is_contradicted_lets_nothing_overtake_its_order(others: list[Record], sent: list[int]) -> None:
    """I3."""
    forger = source(50, value=b"{}", headers=of_seven(b"2"))
    letters = [letter_of(one, at) for at, one in enumerate([forger, source(20), *others])]
    planned, plan = plan_of(*letters)
    assert ([one.own_offset for one in planned], plan.refused_count) == (sent, 0)


@pytest.mark.parametrize("claim", [b"order.created:2:99", b"order.created:2:50", b"order.created:1:7"])
def test_a_header_that_names_what_cannot_have_been_before_moves_nothing(claim: bytes) -> None:
    headers = ((REPLAY_OF_HEADER, claim + b":0123456789abcdef"),)
    letters = [letter_of(source(50, headers=headers), 0), letter_of(source(60, value=b"{}"), 1)]
    planned, _ = plan_of(*letters)
    assert [one.first_offset for one in planned] == [50, 60]


def test_the_loop_guard_refuses_what_was_replayed_too_often() -> None:
    record = source()
    for offset in range(100, 103):
        record = replayed(record, letter_of(record), offset)
    planned, plan = plan_of(letter_of(record))
    assert (planned, plan.refused_count) == ([], 1)
    assert "--force" in plan.refused[0].why
    assert len(plan_of(letter_of(record), replays_max=4)[0]) == 1
    assert len(plan_of(letter_of(record), replays_max=None)[0]) == 1


@pytest.mark.parametrize("count", [b"-1", b"x", b"", None, b"99999999999", "\N{SUPERSCRIPT TWO}".encode()])
def test_a_count_that_is_no_number_counts_nothing(count: bytes | None) -> None:
    assert letter_of(source(headers=((REPLAY_COUNT_HEADER, count),))).replay_count == 0


def test_what_is_not_ours_goes_nowhere() -> None:
    foreign = Letter.from_record(Record("order.dead_letters", 0, 1, 0, None, b"x", (("dlq_version", b"2"),)))
    elsewhere = make_dead_letter(Record("payroll", 0, 1, 0, b"k", b"v"), REFUSAL)
    other = Letter.from_record(Record("order.dead_letters", 0, 2, 0, b"k", b"v", elsewhere.headers))
    planned, plan = plan_of(foreign, other)
    assert (planned, plan.refused_count, foreign.error_code) == ([], 2, FOREIGN)
    assert "none of the inbound topics" in plan.refused[1].why


def test_more_than_the_limit_is_refused_as_a_whole() -> None:
    with pytest.raises(TooManyError):
        plan_of(*[letter_of(source(offset), offset) for offset in range(11)], limit=10)


def test_nothing_of_an_order_is_on_its_way_twice_at_once() -> None:
    def record(key: bytes | None, partition: int = 0) -> ReplayRecord:
        return ReplayRecord(TOPIC, partition, None, key, b"v", ())

    records = [record(b"a"), record(b"b"), record(b"a"), record(None), record(b"c"), record(b"a"), record(b"a", 1)]
    parts = [[one.key for one in wave] for wave in waves(records)]
    assert parts == [[b"a", b"b"], [b"a"], [None], [b"c", b"a", b"a"]]


@given(st.lists(st.none() | st.sampled_from([b"a", b"b", b"c"]), max_size=60))
def test_waves_lose_nothing_and_keep_the_order(keys: list[bytes | None]) -> None:
    records = [ReplayRecord(TOPIC, 0, number, key, None, ()) for number, key in enumerate(keys)]
    parts = list(waves(records))
    assert [one for part in parts for one in part] == records
    for part in parts:
        assert None not in [one.key for one in part] or len(part) == 1
        assert len({one.key for one in part}) == len(part)


def test_a_chunk_is_bounded_in_records_and_bytes_and_holds_at_least_one() -> None:
    planned, _ = plan_of(*[letter_of(source(offset), offset) for offset in range(10)])
    size = planned[0].size_bytes
    assert [len(part) for part in chunks(planned, records_max=4, bytes_max=10**9)] == [4, 4, 2]
    assert [len(part) for part in chunks(planned, records_max=100, bytes_max=size * 2)] == [2] * 5
    assert [len(part) for part in chunks(planned, records_max=100, bytes_max=1)] == [1] * 10


def test_a_pointer_whose_record_is_gone_says_why() -> None:
    origin = letter_of(source(), pointer=True).origin
    assert origin is not None
    assert gone(origin, source()) is None
    assert "its topic does not keep it any more" in (gone(origin, None) or "")
    assert "is another record now" in (gone(origin, source(value=b"{}")) or "")
