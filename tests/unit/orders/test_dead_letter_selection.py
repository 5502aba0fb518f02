"""Filters, times and places as an operator writes them; and text that no terminal obeys."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import Record, Refusal, Stage
from bridge.dead_letters.headers import make_dead_letter
from bridge.dead_letters.letter import Letter
from orders.cli.times import parse_time
from orders.errors import OrdersError
from orders.operations.dead_letters.finding import Listing
from orders.operations.dead_letters.purging import PartitionPurge
from orders.operations.dead_letters.selection import Place, Selection, parse_place
from orders.operations.naming import names_order
from orders.safe_text import hexdump, safe_bytes, safe_text, value_lines

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW_MS = 1_769_860_800_000
MILLISECOND = timedelta(milliseconds=1)


def letter(
    *,
    code: str = "json_invalid",
    topic: str = "order.created",
    key: bytes | None = b"o-1",
    at_ms: int = NOW_MS,
    at: int = 0,
) -> Letter:
    made = make_dead_letter(Record(topic, 0, 1, 5, key, b"{", ()), Refusal(Stage.JSON, code, "m"))
    return Letter.from_record(Record("order.dead_letters", 0, at, at_ms, made.key, made.value, made.headers))


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(reasons=frozenset({"json_invalid", "x"})), True),
        (Selection(reasons=frozenset({"x"})), False),
        (Selection(topics=frozenset({"order.created"})), True),
        (Selection(topics=frozenset({"order.approved"})), False),
        (Selection(order_id="o-1"), True),
        (Selection(order_id="o-2"), False),
        (Selection(since=NOW), True),
        (Selection(since=NOW + MILLISECOND), False),
        (Selection(until=NOW), False),
        (Selection(until=NOW + MILLISECOND), True),
        (Selection(order_id="o-1", reasons=frozenset({"x"})), False),
    ],
)
def test_a_selection_takes_what_every_filter_takes(selection: Selection, taken: bool) -> None:
    assert selection.takes(letter()) is taken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", NOW - timedelta(seconds=30)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-01-31T13:00:00+01:00", NOW),
    ],
)
def test_a_time_is_ago_or_with_an_offset(text: str, expected: datetime) -> None:
    assert parse_time(text, "--since", NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "-1h", "1w", "999999d", "h"])
def test_a_time_that_is_none_is_said_with_its_option(text: str) -> None:
    with pytest.raises(OrdersError, match="--since"):
        parse_time(text, "--since", NOW)


def test_a_place_is_a_partition_and_an_offset() -> None:
    assert parse_place("3:17") == Place(3, 17)
    for text in ("3", "3:", ":17", "a:1", "3:17:1", "-1:1", "3:1x"):
        with pytest.raises(OrdersError, match="PARTITION:OFFSET"):
            parse_place(text)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        (b"o-1", None, True),
        (None, b'{"order_id": "o-1"}', True),
        (b"o-2", b'{"data": {"order_id": "o-1"}}', True),
        (None, b'{"order_id": "o-10"}', False),
        (None, b'{"order_id": "o-2", "note": "o-1"}', False),
        (None, b'{"order_id": "o-1", "pay', True),
        (None, b'{"order_id": "no-1", "pay', False),
        (None, b"\xff\x00o-1\x00", True),
        (None, b"[" * 100_000 + b'"o-1"', True),
        (None, None, False),
        (None, b"", False),
    ],
)
def test_an_order_is_named_by_the_key_or_the_body_also_a_broken_one(
    key: bytes | None,
    value: bytes | None,
    named: bool,
) -> None:
    assert names_order(key, value, "o-1") is named


def test_a_listing_keeps_the_newest_and_counts_all() -> None:
    listing = Listing(limit=2)
    for number, at_ms in enumerate([5, 9, 1, 7, 7]):
        listing.add(letter(at_ms=at_ms, at=number))
    assert [(one.timestamp_ms, one.at) for one in listing.newest] == [(7, "0:4"), (9, "0:1")]
    assert (listing.matching, listing.cut, listing.by_reason["json_invalid"]) == (5, 3, 5)


@given(st.lists(st.booleans()))
def test_a_purge_deletes_no_more_than_what_leads_the_partition(selected: list[bool]) -> None:
    part = PartitionPurge(start=0, before=0)
    for at, one in enumerate(selected):
        part.add(letter(at=at), selected=one)
    assert all(selected[: part.before])
    assert part.before == len(selected) or not selected[part.before]
    assert part.deleted + part.kept_behind_others == sum(selected)


# Text ---------------------------------------------------------------------------------------------------------------


@given(st.text())
def test_safe_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert all(character.isprintable() for character in safe_text(text))


@given(st.binary(max_size=300))
def test_any_bytes_come_out_as_lines_of_safe_text(raw: bytes) -> None:
    lines = [*value_lines(raw), *hexdump(raw), safe_bytes(raw, chars_max=50)]
    assert all(character.isprintable() for line in lines for character in line)
    assert len(safe_bytes(raw, chars_max=50)) <= 51


def test_escapes_say_what_was_there() -> None:
    assert safe_text("a\x1b[31m\r\n\t\u202e\U000e0001é") == "a\\x1b[31m\\r\\n\\t\\u202e\\U000e0001é"
    assert safe_bytes(b"\xff\x00a", chars_max=50) == "\\xff\\x00a"
    assert safe_bytes(None, chars_max=5) == "(none)"


def test_text_keeps_its_lines_and_binary_is_dumped() -> None:
    assert value_lines(b'{\n  "a": 1\r\n}') == ["{", '  "a": 1', "}"]
    assert value_lines("aü".encode()[:-1]) == ["00000000  61 c3" + " " * 42 + "  a."]
    assert value_lines("aü".encode()[:-1], cut=True) == ["a"]
    assert value_lines(b"\x00\x01\x02ABC")[0].startswith("00000000  00 01 02 41 42 43")
