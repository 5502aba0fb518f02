"""Money, times, states and reasons as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from orders.web.console.rendering.folding import RECENT_MAX, folded
from orders.web.console.rendering.moments import ago, countdown, duration, moment
from orders.web.console.rendering.money import money
from orders.web.console.rendering.templates import told
from orders.web.console.rendering.words import (
    EVENTS,
    PAYMENTS,
    REASONS,
    STATES,
    counted,
    event_words,
    reason_words,
)
from schemas.event_types import EventType
from schemas.states import OrderState, PaymentStatus, ReasonCode

NOW = datetime(2026, 11, 25, 21, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (123_450, "EUR", "1,234.50 EUR"),
        (5, "USD", "0.05 USD"),
        (0, "USD", "0.00 USD"),
        (-250, "EUR", "\N{MINUS SIGN}2.50 EUR"),
        (98_765, "JPY", "98,765 JPY"),
        (12_345, "KWD", "12.345 KWD"),
        (10**15, "EUR", "10,000,000,000,000.00 EUR"),
        (1, "ZZZ", "0.01 ZZZ"),
    ],
)
def test_an_amount_is_in_the_currency_s_major_unit(amount: int, currency: str, shown: str) -> None:
    assert money(amount, currency) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0:00"),
        (0, "0:00"),
        (59.9, "0:59"),
        (61, "1:01"),
        (3_599, "59:59"),
        (3_600, "1:00:00"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_countdown_never_shows_more_than_is_left(seconds: float, shown: str) -> None:
    assert countdown(timedelta(seconds=seconds)) == shown


def test_a_time_has_its_date_only_where_that_is_another_day() -> None:
    assert moment(NOW, NOW) == "21:04:05 UTC"
    assert moment(NOW - timedelta(days=1), NOW) == "24 Nov, 21:04:05 UTC"
    assert moment(NOW - timedelta(days=400), NOW) == "21 Oct 2025, 21:04:05 UTC"


def test_lengths_of_time_are_told_by_their_largest_units() -> None:
    assert [duration(timedelta(seconds=one)) for one in (0, 61, 3_600, 3_660, 90_000, 86_400)] == [
        "0 s", "1 min 1 s", "1 h", "1 h 1 min", "1 d 1 h", "1 d",
    ]  # fmt: skip
    assert [ago(NOW - timedelta(seconds=one), NOW) for one in (-3, 59, 60, 7_200, 200_000)] == [
        "0 s ago", "59 s ago", "1 min ago", "2 h ago", "2 d ago",
    ]  # fmt: skip


def test_every_word_of_the_contract_has_words_for_a_person() -> None:
    assert set(STATES) == set(OrderState)
    assert set(REASONS) == set(ReasonCode)
    assert set(EVENTS) <= set(EventType)
    assert set(PAYMENTS) == set(PaymentStatus)


def test_a_word_of_a_later_version_is_shown_as_it_stands() -> None:
    assert reason_words("some_new_reason") == "some_new_reason"
    assert event_words("order.weighed") == "order.weighed"
    assert reason_words(None) is None


def test_one_is_singular() -> None:
    assert [counted(1, "order"), counted(1_000, "order"), counted(2, "entry", "entries")] == [
        "1 order", "1,000 orders", "2 entries",
    ]  # fmt: skip


@pytest.mark.parametrize("length", [0, 1, RECENT_MAX, RECENT_MAX + 1, 1_000])
def test_of_a_long_list_the_newest_lines_are_shown_and_none_is_lost(length: int) -> None:
    lines = tuple(range(length))
    parts = folded(lines)
    assert (*parts.earlier, *parts.recent) == lines
    assert len(parts.recent) == min(length, RECENT_MAX)


@pytest.mark.parametrize(
    ("sentence", "markup"),
    [
        ("start it with `orders up`, or wait", "start it with <code>bin/orders up</code>, or wait"),
        ("`a` and `b`", "<code>a</code> and <code>b</code>"),
        ("one ` alone", "one ` alone"),
        ("`a` and ` alone", "<code>a</code> and ` alone"),
        ("<b>`<i>`", "&lt;b&gt;<code>&lt;i&gt;</code>"),
        ("bell\x07 {} %s", "bell\\x07 {} %s"),
        ("", ""),
    ],
)
def test_a_command_in_a_sentence_looks_like_one_and_all_else_is_text(
    monkeypatch: pytest.MonkeyPatch, sentence: str, markup: str
) -> None:
    monkeypatch.setenv("ORDERS_COMMAND", "bin/orders")
    assert told(sentence) == markup
