"""A dead letter is the record itself, with its origin and a reason beside it."""

import pytest
from aiokafka.errors import NotEnoughReplicasError

from bridge.dead_letters.headers import (
    DeadLetter,
    _bridge_version,
    make_dead_letter,
    make_pointer,
    name_at_source,
    name_in_dead_letter,
)
from bridge.dead_letters.writer import DeadLetterWriter
from bridge.record import Header, Record
from bridge.refusal import Refusal, Stage

REFUSAL = Refusal(Stage.JSON, "json_invalid", "the value is not JSON")


def record(**changes: object) -> Record:
    fields: dict[str, object] = {
        "topic": "refilled",
        "partition": 3,
        "offset": 14,
        "timestamp_ms": 1_767_225_600_123,
        "key": b"\xffkey",
        "value": b"\xffvalue",
        "headers": (("a", b"\xff"), ("a", None)),
    }
    return Record(**(fields | changes))  # type: ignore[arg-type]


def own_headers(letter: DeadLetter) -> dict[str, bytes | None]:
    return {name: value for name, value in letter.headers if name.startswith("dlq_")}


def test_key_value_and_headers_are_untouched() -> None:
    """I15."""
    letter = make_dead_letter(record(), REFUSAL)
    assert (letter.key, letter.value, letter.headers[:2]) == (b"\xffkey", b"\xffvalue", (("a", b"\xff"), ("a", None)))


def test_a_null_key_and_a_null_value_stay_null() -> None:
    letter = make_dead_letter(record(key=None, value=None), REFUSAL)
    assert (letter.key, letter.value) == (None, None)


def test_origin_and_refusal_are_in_headers() -> None:
    headers = own_headers(make_dead_letter(record(), REFUSAL, attempts=3))
    assert headers.pop("dlq_bridge_version")
    assert headers == {
        "dlq_version": b"1",
        "dlq_source_topic": b"refilled",
        "dlq_source_partition": b"3",
        "dlq_source_offset": b"14",
        "dlq_source_timestamp_ms": b"1767225600123",
        "dlq_source_fingerprint": record().fingerprint.hex().encode(),
        "dlq_stage": b"json",
        "dlq_error_code": b"json_invalid",
        "dlq_message": b"the value is not JSON",
        "dlq_attempts": b"3",
    }


def test_the_bridge_s_version_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = iter(["1"])
    monkeypatch.setattr("bridge.dead_letters.headers.version", lambda _: next(versions))
    _bridge_version.cache_clear()
    try:
        for _ in range(3):
            assert own_headers(make_dead_letter(record(), REFUSAL))["dlq_bridge_version"] == b"1"
    finally:
        _bridge_version.cache_clear()


def test_forged_headers_are_neither_trusted_nor_lost() -> None:
    forged = (("dlq_error_code", b"forged"), ("dlq_source_offset", b"0"), ("dlq_own", None))
    letter = make_dead_letter(record(headers=forged), REFUSAL)
    assert letter.headers[:3] == (
        ("original_dlq_error_code", b"forged"),
        ("original_dlq_source_offset", b"0"),
        ("original_dlq_own", None),
    )
    assert own_headers(letter)["dlq_error_code"] == b"json_invalid"
    assert len([name for name, _ in letter.headers if name == "dlq_error_code"]) == 1


@pytest.mark.parametrize(
    ("at_source", "in_dead_letter"),
    [
        ("dlq_x", "original_dlq_x"),
        ("dlq_", "original_dlq_"),
        ("original_dlq_x", "original_original_dlq_x"),
        ("original_original_dlq_x", "original_original_original_dlq_x"),
        ("original_x", "original_x"),
        ("original_original_x", "original_original_x"),
        ("x_original_dlq_x", "x_original_dlq_x"),
        ("", ""),
    ],
)
def test_a_header_is_renamed_so_that_its_name_can_be_given_back(at_source: str, in_dead_letter: str) -> None:
    assert name_in_dead_letter(at_source) == in_dead_letter
    assert name_at_source(in_dead_letter) == at_source


def test_a_pointer_holds_the_coordinates_and_no_bytes() -> None:
    letter = make_pointer(record(value=b"v" * 2_000_000), REFUSAL)
    headers = own_headers(letter)
    assert letter.value is None
    assert (headers["dlq_pointer"], headers["dlq_source_offset"]) == (b"true", b"14")
    assert ("a", b"\xff") not in letter.headers, "headers may be what makes it too large"


def test_a_pointer_leaves_out_a_key_that_is_too_large_itself() -> None:
    assert make_pointer(record(key=b"k" * 1_024), REFUSAL).key == b"k" * 1_024
    assert make_pointer(record(key=b"k" * 1_025), REFUSAL).key is None


LONGEST_IDENTITY = b"t" * 249 + b":4294967295:9223372036854775807:0123456789abcdef"


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        (
            (("dlq_replay_of", b"first"), ("a", b"1"), ("dlq_replay_count", b"1"), ("dlq_replay_of", b"last")),
            (("original_dlq_replay_of", b"last"), ("original_dlq_replay_count", b"1")),
        ),
        ((("dlq_replay_of", LONGEST_IDENTITY),), (("original_dlq_replay_of", LONGEST_IDENTITY),)),
        ((("dlq_replay_count", None),), (("original_dlq_replay_count", None),)),
        ((("dlq_replay_of", b"fits"), ("dlq_replay_of", b"x" * 298), ("dlq_replay_count", b"1" * 298)), ()),
        ((("original_dlq_replay_of", b"x"), ("dlq_message", b"forged")), ()),
    ],
    ids=["the last of each", "as long as any can be", "null", "longer than any can be", "others"],
)
def test_a_pointer_keeps_what_says_which_record_it_repeats(
    source: tuple[Header, ...], kept: tuple[Header, ...]
) -> None:
    letter = make_pointer(record(headers=source), REFUSAL)
    assert tuple(one for one in letter.headers if not one[0].startswith("dlq_")) == kept
    assert own_headers(letter)["dlq_message"] == REFUSAL.message.encode()


class AwayTopic:
    """A producer whose broker lacks replicas."""

    def __init__(self) -> None:
        self.asked = 0

    async def send_and_wait(self, _topic: str, **_: object) -> None:
        self.asked += 1
        raise NotEnoughReplicasError


async def test_a_topic_that_cannot_be_written_now_gets_no_pointer_in_the_record_s_place() -> None:
    producer = AwayTopic()
    with pytest.raises(NotEnoughReplicasError):
        await DeadLetterWriter(producer, "letters").set_aside(record(), REFUSAL, attempts=1)
    assert producer.asked == 1
