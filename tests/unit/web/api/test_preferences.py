"""What headers ask for."""

from datetime import timedelta

import pytest
from starlette.datastructures import Headers

from orders.web.api.preferences import Precondition, key_of, precondition_of, wait_of
from orders.web.header_fields import header_of
from orders.web.identity import Identity, Role
from orders.web.problems import Problem
from schemas.base import EVENT_ID_MAX_CHARS

UNLESS_GIVEN = timedelta(seconds=7)
ADA = Identity("ada", frozenset({Role.APPROVER}), "token")


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 7),
        ("", 7),
        ("wait=5", 5),
        ("wait = 5", 5),
        ('wait="5"', 5),
        ("Wait=5", 5),
        ("return=minimal, wait=5", 5),
        ("respond-async", 0),
        ("respond-async, wait=5", 0),
        ("wait=0", 0),
        ("wait=3600", 30),
        ("wait=999999999", 30),
        # Malformed preferences are as if they were not given (RFC 7240, section 2).
        ("wait=-1", 7),
        ("wait=soon", 7),
        ("wait=1.5", 7),
        ("wait", 7),
        ("wait=99999999999999999999", 7),
        ('wait="5', 7),
        ('wait=5"', 7),
        ('note="a, wait=5"', 7),
        ("wait=5; strict", 7),
        ("wait=5; strict=yes", 5),
    ],
)
def test_a_client_waits_as_long_as_it_prefers_and_30_s_at_most(prefer: str | None, seconds: int) -> None:
    assert wait_of(prefer, UNLESS_GIVEN) == timedelta(seconds=seconds)


def asked_by(**headers: str) -> Precondition | None:
    raw = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return precondition_of(Headers(raw=raw))


@pytest.mark.parametrize(
    ("header", "sequences"),
    [
        ('"7"', {7}),
        ("7", {7}),
        ('"0"', {0}),
        (' "7" ', {7}),
        ('"7", "8"', {7, 8}),
        ('"7",,"7"', {7}),
        # What no order of ours can have: weak ones, as If-Match compares strongly, and what we never gave.
        ('W/"7"', set()),
        ('W/"7", "8"', {8}),
        ('"x"', set()),
        ('"07"', set()),
        ('"-1"', set()),
        ('"9999999999"', set()),
        ('""', set()),
        ('"\xe9"', set()),
    ],
)
def test_an_order_is_expected_at_one_of_its_etags(header: str, sequences: set[int]) -> None:
    assert asked_by(If_Match=header) == Precondition(frozenset(sequences))


def test_any_order_is_expected_by_a_star_and_nothing_without_the_header() -> None:
    assert asked_by(If_Match=" * ") == Precondition(any_order=True)
    assert asked_by() is None


@pytest.mark.parametrize("header", ['"2', '2"', "", "x", "07", "-1", '"1" "2"', '*, "1"', "\xb3", "1, 2", "7.0"])
def test_what_is_no_list_of_etags_is_refused(header: str) -> None:
    with pytest.raises(Problem) as refused:
        asked_by(If_Match=header)
    assert refused.value.code == "precondition_invalid"


@pytest.mark.parametrize("name", ["If_None_Match", "If_Unmodified_Since"])
def test_a_precondition_that_is_not_looked_at_is_refused_and_not_passed_over(name: str) -> None:
    with pytest.raises(Problem) as refused:
        asked_by(**{name: "*", "If_Match": '"1"'})
    assert (refused.value.code, name.replace("_", "-") in refused.value.detail) == ("precondition_invalid", True)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("k-1", "k-1"),
        ('"k-1"', "k-1"),
        (" k ", "k"),
        ("x" * 255, "x" * 255),
        (f'"{"x" * 255}"', "x" * 255),
        (r'"a\"b\\c"', r'a"b\c'),
        (r"a\b", r"a\b"),
    ],
)
def test_a_key_is_taken_with_and_without_quotes(header: str, key: str) -> None:
    assert (key_of(header).key, key_of(header).given) == (key, True)


@pytest.mark.parametrize(
    "header",
    [
        "",
        '""',
        "a b",
        "x" * 256,
        f'"{"x" * 256}"',
        "schlüssel",
        "a\tb",
        '"k',
        'k"',
        '"',
        'a"b',
        '"a"b"',
        r'"a\b"',
        r'"a\"',
    ],
)
def test_what_can_be_no_key_is_refused(header: str) -> None:
    with pytest.raises(Problem) as refused:
        key_of(header)
    assert refused.value.code == "idempotency_key_invalid"


def test_a_key_is_made_where_none_is_given_and_is_another_each_time() -> None:
    first, second = key_of(None), key_of(None)
    assert first.key != second.key
    assert not first.given


def test_two_callers_with_one_key_send_two_events() -> None:
    other = Identity("bob", frozenset({Role.APPROVER}), "api_key")
    assert key_of("k").event_id(ADA) != key_of("k").event_id(other)


def test_a_key_and_a_token_of_one_name_are_two_callers() -> None:
    by_key, by_token = Identity("ada", frozenset(), "api_key"), Identity("ada", frozenset(), "token")
    assert key_of("k").event_id(by_key) != key_of("k").event_id(by_token)


def test_no_caller_s_name_and_key_are_another_s() -> None:
    """A colon in a name is written otherwise than the one behind the name."""
    short, long = (Identity(name, frozenset(), "token") for name in ("a", "a:b"))
    assert key_of("b:k").event_id(short) != key_of("k").event_id(long)


def test_two_long_names_that_begin_alike_are_two_callers() -> None:
    first, second = (Identity("x" * 500 + end, frozenset(), "token") for end in "ab")
    assert key_of("k").event_id(first) != key_of("k").event_id(second)


@pytest.mark.parametrize("name", ["x" * 1_000, "山" * 300])
def test_the_longest_name_and_key_are_an_event_id(name: str) -> None:
    assert len(key_of("k" * 255).event_id(Identity(name, frozenset(), "token"))) <= EVENT_ID_MAX_CHARS


def test_a_header_of_several_lines_is_their_list_so_that_no_line_is_passed_over() -> None:
    raw = [
        (b"idempotency-key", b"a"),
        (b"prefer", b"return=minimal"),
        (b"idempotency-key", b"b"),
        (b"prefer", b"wait=5"),
    ]
    headers = Headers(raw=raw)
    assert header_of(headers, "If-Match") is None
    assert wait_of(header_of(headers, "Prefer"), UNLESS_GIVEN) == timedelta(seconds=5)
    with pytest.raises(Problem):
        key_of(header_of(headers, "Idempotency-Key"))
