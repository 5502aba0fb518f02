"""The text of an API key: what is read as one, and what is told of one that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.errors import UsageError
from orders.operations.key_text import (
    MalformedKeyError,
    is_meant_as_key,
    key_id_of,
    new_key_text,
    parse_key_text,
)

KEY = new_key_text()


def test_a_new_key_is_read_as_what_it_is() -> None:
    read = parse_key_text(KEY.text)
    assert (read.key_id, read.text) == (KEY.key_id, KEY.text)
    assert read.has_digest(KEY.digest)
    assert KEY.text.startswith(f"ord_{KEY.key_id}_")


def test_every_key_is_another_one_with_256_random_bits() -> None:
    keys = [new_key_text() for _ in range(200)]
    assert len({key.key_id for key in keys}) == len({key.digest for key in keys}) == 200
    # 43 characters of 62: a shorter secret would have fewer bits.
    assert {len(key.text.split("_")[2]) for key in keys} == {49}
    assert not keys[0].has_digest(keys[1].digest)


def test_a_key_shows_its_id_and_nothing_else_of_it() -> None:
    assert KEY.key_id in repr(KEY)
    assert KEY.text.split("_")[2] not in repr(KEY) + str(KEY)


@given(place=st.integers(0, len(KEY.text) - 1), character=st.characters(codec="ascii", exclude_categories=["Cc"]))
def test_a_key_with_one_wrong_character_is_told_from_one_that_nobody_issued(place: int, character: str) -> None:
    spoilt = KEY.text[:place] + character + KEY.text[place + 1 :]
    if spoilt == KEY.text:
        return
    with pytest.raises(MalformedKeyError) as refused:
        parse_key_text(spoilt)
    assert KEY.text[15:30] not in str(refused.value)


@given(st.text(max_size=80))
def test_any_text_is_refused_in_a_sentence_that_does_not_repeat_it(text: str) -> None:
    with pytest.raises(MalformedKeyError) as refused:
        parse_key_text(text)
    assert len(text) < 12 or text not in str(refused.value)


@pytest.mark.parametrize("cut", [1, 6, 40])
def test_a_key_that_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(MalformedKeyError):
        parse_key_text(KEY.text[:-cut])


def test_a_key_is_told_from_a_provider_s_token_by_its_prefix() -> None:
    assert is_meant_as_key(KEY.text[:20])
    assert not is_meant_as_key("eyJhbGciOiJSUzI1NiJ9.e30.c2ln")


def test_a_key_is_named_by_its_id_or_by_itself() -> None:
    for named in (KEY.key_id, f"ord_{KEY.key_id}", KEY.text, f" {KEY.text}\n", KEY.text[:30]):
        assert key_id_of(named) == KEY.key_id


@pytest.mark.parametrize("named", ["", "shop", "ord_", "ord_canary-of-a-secret", "4fK2mZ81aQx"])
def test_what_names_no_key_is_refused_without_being_shown(named: str) -> None:
    with pytest.raises(UsageError) as refused:
        key_id_of(named)
    assert "canary" not in str(refused.value)
