"""Signatures of dead letters: whoever has the key knows its own from anybody else's."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import Header, Record, Refusal, Signer, SigningKey, Stage
from bridge.dead_letters.headers import DeadLetter, make_dead_letter, make_pointer, signed
from bridge.dead_letters.letter import Letter
from bridge.dead_letters.replay_headers import check_replay, replay_headers
from bridge.dead_letters.signature import Signed
from bridge.dead_letters.writer import DeadLetterWriter

OLD, NEW = SigningKey("old", b"o" * 32), SigningKey("new", b"n" * 32)
OURS = Signer([NEW, OLD])
REFUSAL = Refusal(Stage.JSON, "json_truncated", "look for what cut it off")
RECORD = Record("device.seen", 2, 7, 1_700_000_000_000, b"d-1", b'{"id": "d-1"', (("trace", b"1"), ("empty", None)))


def kept(letter: DeadLetter) -> Letter:
    return Letter.from_record(Record("letters", 0, 5, 1, letter.key, letter.value, letter.headers))


def changed(letter: Letter, **fields: object) -> Letter:
    return Letter.from_record(replace(letter.record, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [make_dead_letter, make_pointer])
def test_a_letter_is_known_by_any_key_that_is_at_hand(make: object) -> None:
    made = make(RECORD, REFUSAL)  # type: ignore[operator]
    assert kept(made).signed_by(OURS) is Signed.ABSENT
    assert kept(signed(made, Signer([OLD]))).signed_by(OURS) is Signed.VALID
    assert kept(signed(made, OURS)).signed_by(Signer([OLD])) is Signed.UNKNOWN_KEY
    assert kept(signed(made, OURS)).signed_by(Signer([SigningKey("new", b"x" * 32)])) is Signed.WRONG


def test_whatever_is_changed_in_a_letter_its_signature_says_so() -> None:
    letter = kept(signed(make_dead_letter(RECORD, REFUSAL), OURS))
    headers = letter.record.headers
    another_origin = tuple((name, b"8" if name == "dlq_source_offset" else value) for name, value in headers)
    forgeries = [
        changed(letter, value=b"{}"),
        changed(letter, value=None),
        changed(letter, key=b"d-2"),
        changed(letter, headers=another_origin),
        changed(letter, headers=headers[::-1]),
        changed(letter, headers=(*headers, ("trace", b"2"))),
        changed(letter, headers=(*headers, headers[-1])),
        changed(letter, headers=(*headers, ("dlq_signature", b"new:00"))),
        changed(letter, headers=(*headers[:-1], ("dlq_signature", b"new:\xff"))),
        changed(letter, headers=(*headers[:-1], ("dlq_signature", b"new:"))),
    ]
    assert [one.signed_by(OURS) for one in forgeries] == [Signed.WRONG] * len(forgeries)
    for no_key in (b"", None, b":", b"\xff:00", b"00"):
        unknown = changed(letter, headers=(*headers[:-1], ("dlq_signature", no_key)))
        assert unknown.signed_by(OURS) is Signed.UNKNOWN_KEY


def test_a_replay_is_signed_whole_and_none_is_taken_for_a_letter() -> None:
    headers = replay_headers(RECORD, RECORD.identity, 1, OURS)
    sent = replace(RECORD, offset=9, headers=headers)
    assert check_replay(sent, OURS) is Signed.VALID
    of_another = (*headers[:-3], ("dlq_replay_of", b"device.seen:2:8:0011223344556677"), *headers[-2:])
    for forged in (
        replace(sent, key=b"d-2"),
        replace(sent, headers=of_another),
        replace(sent, headers=(*headers, ("dlq_replay_of", headers[-3][1]))),
    ):
        assert check_replay(forged, OURS) is Signed.WRONG
    as_letter = Record("letters", 0, 5, 1, sent.key, sent.value, (*headers[:-1], ("dlq_signature", headers[-1][1])))
    assert Letter.from_record(as_letter).signed_by(OURS) is Signed.WRONG
    again = replay_headers(sent, RECORD.identity, 2, OURS)
    assert [name for name, _ in again].count("dlq_replay_signature") == 1
    assert check_replay(replace(sent, headers=again), OURS) is Signed.VALID


part = st.none() | st.binary(max_size=8)
record = st.builds(
    lambda key, value, headers: replace(RECORD, key=key, value=value, headers=tuple(headers)),
    part,
    part,
    st.lists(st.tuples(st.text(max_size=3), part), max_size=3),
)


@given(record, record)
def test_no_two_letters_have_one_signature(one: Record, other: Record) -> None:
    def made(of: Record) -> tuple[DeadLetter, Header]:
        letter = make_dead_letter(of, REFUSAL)
        return letter, signed(letter, OURS).headers[-1]

    assert (made(one)[0] == made(other)[0]) == (made(one)[1] == made(other)[1])


class Producer:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.headers: list[list[Header]] = []

    async def send_and_wait(self, _topic: str, *, headers: list[Header], **_: object) -> None:
        self.headers.append(headers)


async def test_a_bridge_with_keys_signs_what_it_sets_aside() -> None:
    producer = Producer()
    await DeadLetterWriter(producer, "letters", OURS).set_aside(RECORD, REFUSAL, attempts=1)
    await DeadLetterWriter(producer, "letters").set_aside(RECORD, REFUSAL, attempts=1)
    assert ["dlq_signature" in dict(headers) for headers in producer.headers] == [True, False]


def test_a_key_is_shown_by_nothing() -> None:
    assert "n" * 8 not in repr(NEW)
