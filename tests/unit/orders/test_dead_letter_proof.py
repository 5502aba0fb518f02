"""Which dead letters are believed: those that a bridge signed, and those whose record is still there and the same."""

from dataclasses import replace

import pytest

from bridge import Header, Record, Refusal, Signer, SigningKey, Stage
from bridge.dead_letters.headers import make_dead_letter, make_pointer, signed
from bridge.dead_letters.letter import Letter
from bridge.dead_letters.replay_headers import REPLAY_OF_HEADER, replay_headers
from orders.operations.dead_letters.proof import Doubt, claimed_place, doubt_of

SIGNER = Signer([SigningKey("k", b"k" * 32)])
REFUSAL = Refusal(Stage.DISPATCH, "refused_by_temporal", "Temporal refused it; replay it")
RECORD = Record("order.approved", 0, 7, 1_700_000_000_000, b"o-1", b'{"order_id": "o-1"}', (("trace", b"1"),))


def letter_of(record: Record, *, pointer: bool = False, signer: Signer | None = None) -> Letter:
    made = (make_pointer if pointer else make_dead_letter)(record, REFUSAL)
    made = made if signer is None else signed(made, signer)
    return Letter.from_record(Record("order.dead_letters", 0, 3, 1, made.key, made.value, made.headers))


def with_header(letter: Letter, name: str, value: bytes) -> Letter:
    headers = tuple((known, value if known == name else given) for known, given in letter.record.headers)
    return Letter.from_record(replace(letter.record, headers=headers))


def doubt(letter: Letter, source: Record | None = None, first: Record | None = None, *, keys: bool = False) -> Doubt:
    found = doubt_of(letter, source, first, SIGNER if keys else None)
    assert found is not None, "it was believed"
    return found


@pytest.mark.parametrize("pointer", [False, True])
def test_a_letter_whose_record_is_there_is_believed(pointer: bool) -> None:
    assert doubt_of(letter_of(RECORD, pointer=pointer), RECORD, None, None) is None
    assert doubt_of(letter_of(RECORD, pointer=pointer), RECORD, None, SIGNER) is None


def test_a_letter_that_a_bridge_signed_is_believed_also_where_its_record_is_gone() -> None:
    assert doubt_of(letter_of(RECORD, signer=SIGNER), None, None, SIGNER) is None


def test_a_letter_of_a_record_that_never_was_wants_trust_and_says_what_is_missing() -> None:
    forged = replace(RECORD, offset=999_999, value=b'{"order_id": "victim-1", "approved_by": "cfo"}')
    found = doubt(letter_of(forged))
    assert (found.is_final, found.why) == (
        False,
        "cannot be proved: order.approved:0:999999 cannot be read any more, and it has no signature",
    )
    foreign = Signer([SigningKey("other", b"x" * 32)])
    assert "BRIDGE_DEAD_LETTER_KEYS does not have" in doubt(letter_of(forged, signer=foreign), keys=True).why


def test_a_topic_that_was_made_anew_wants_trust() -> None:
    other = replace(RECORD, timestamp_ms=RECORD.timestamp_ms + 1)
    found = doubt(letter_of(RECORD), other)
    assert "another record now" in found.why
    assert not found.is_final


@pytest.mark.parametrize(
    "headers", [(), (("trace", b"2"),), (("trace", b"1"), ("trace", b"1")), (("ce_id", b"1"), ("trace", b"1"))]
)
def test_a_letter_that_differs_from_its_record_is_nobody_s(headers: tuple[Header, ...]) -> None:
    assert doubt(letter_of(replace(RECORD, headers=headers)), RECORD).is_final


def test_a_letter_whose_value_was_changed_contradicts_itself_whatever_is_there() -> None:
    letter = letter_of(RECORD)
    changed = Letter.from_record(replace(letter.record, value=b'{"order_id": "o-2"}'))
    for source in (None, RECORD):
        assert doubt(changed, source) == doubt(changed)
        assert doubt(changed, source).is_final


def test_a_wrong_signature_is_no_matter_of_trust() -> None:
    changed = with_header(letter_of(RECORD, signer=SIGNER), "dlq_source_offset", b"8")
    assert doubt(changed, RECORD, keys=True).is_final


def test_a_header_name_that_an_older_bridge_kept_otherwise_is_the_same_header() -> None:
    record = replace(RECORD, headers=(("original_dlq_x", b"1"), ("dlq_y", b"2")))
    of_before = replace(RECORD, headers=(("dlq_x", b"1"), ("dlq_y", b"2")))
    assert doubt_of(letter_of(of_before), record, None, None) is None


# Replays ------------------------------------------------------------------------------------------------------------


def again(offset: int = 20, *, signer: Signer | None = None, of: Record = RECORD) -> Record:
    """The record as a replay put it back, where it was set aside once more."""
    return replace(of, offset=offset, headers=replay_headers(of, of.identity, 1, signer))


def test_a_record_that_was_replayed_is_believed_where_the_first_one_is_there() -> None:
    letter = letter_of(again())
    assert doubt_of(letter, again(), RECORD, None) is None
    place = claimed_place(letter, again())
    assert place is not None
    assert place.identity == RECORD.identity


@pytest.mark.parametrize("pointer", [False, True])
def test_a_replay_that_was_signed_needs_no_first_record(pointer: bool) -> None:
    sent = again(signer=SIGNER)
    assert doubt_of(letter_of(sent, pointer=pointer), sent, None, SIGNER) is None
    assert "no signature of a replay" in doubt(letter_of(sent), sent).why


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (None, "cannot be read any more"),
        (replace(RECORD, value=b"{}"), "another record is there"),
        (replace(RECORD, headers=(("trace", b"9"),)), "differs from it"),
    ],
)
def test_a_replay_header_that_nothing_proves_wants_trust(first: Record | None, says: str) -> None:
    found = doubt(letter_of(again()), again(), first)
    assert says in found.why
    assert not found.is_final


def test_a_replay_header_that_was_copied_to_another_record_is_found_out() -> None:
    """Its event would be taken for the other record's, and be lost as a duplicate."""
    copied = Record("order.approved", 0, 30, 5, b"o-2", b"{}", ((REPLAY_OF_HEADER, RECORD.identity.encode()),))
    assert "differs" in doubt(letter_of(copied), copied, RECORD).why
    assert "differs" in doubt(letter_of(copied, signer=SIGNER), None, RECORD, keys=True).why
    signed_elsewhere = replace(copied, headers=again(signer=SIGNER).headers)
    assert "differs" in doubt(letter_of(signed_elsewhere), signed_elsewhere, RECORD, keys=True).why


def test_a_pointer_names_no_other_event_than_its_record_does() -> None:
    forged = letter_of(
        replace(RECORD, headers=((REPLAY_OF_HEADER, b"order.approved:0:1:0011223344556677"),)), pointer=True
    )
    assert doubt(forged, RECORD).is_final
