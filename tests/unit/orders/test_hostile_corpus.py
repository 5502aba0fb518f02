"""The hostile corpus against what reads it: no error, nothing obeyed, and the bytes back as they came."""

import tracemalloc
from dataclasses import replace

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from hypothesis import example, given
from hypothesis import strategies as st

from bridge import Call, Record, Refusal, RefusalCode, Stage
from bridge.dead_letters.headers import make_dead_letter
from bridge.dead_letters.letter import Letter
from bridge.engine.translation import translate
from bridge.kafka.lenient_records import LenientRecords
from orders.cli.rendering.dead_letters import letter_lines, summary_lines
from orders.mapping import OrderMapping
from orders.operations.dead_letters.finding import Shown, Summary
from orders.operations.dead_letters.proof import doubt_of
from orders.operations.dead_letters.replay_plan import ReplayPlan
from schemas.event_types import INBOUND
from tests.fuzz.corpus import bombs, letters, records, seeds, values
from tests.fuzz.targets import SIGNER, TARGETS, TOPICS
from tests.helpers.messages.hostile import obeyed
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.raw_batches import encode_batch

MAPPING = OrderMapping({one.topic: event_type for event_type, one in INBOUND.items()})
VALUES, RECORDS, LETTERS = values(), records(), letters()
UNFOLDED_MAX = 4 << 20


def answer_to(record: Record) -> Call | Refusal:
    answer = translate(record, MAPPING)
    if isinstance(answer, Refusal):
        assert answer.code != RefusalCode.DECODER_FAILED, answer.message
        assert not obeyed(answer.message)
        assert len(answer.message) < 2_000
    return answer


@pytest.mark.parametrize(("name", "bomb"), bombs().items(), ids=[*bombs()])
def test_a_bomb_is_one_record_that_says_so_and_takes_no_memory_to_speak_of(
    monkeypatch: pytest.MonkeyPatch, name: str, bomb: tuple[int, bytes]
) -> None:
    compression, packed = bomb
    assert len(packed) < UNFOLDED_MAX, "a bomb is small"
    monkeypatch.setattr(LenientRecords, "unfolded_max_bytes", UNFOLDED_MAX)
    batch = encode_batch([Outgoing("t", b"v")], compression=compression, body=packed)
    tracemalloc.start()
    try:
        (read,) = PartitionRecords(
            TopicPartition("t", 0), LenientRecords(batch), None, 0, None, None, True, READ_COMMITTED
        )
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    record = Record.from_consumed(read)
    assert record.defect is not None
    assert record.defect.code in (RefusalCode.BATCH_TOO_LARGE, RefusalCode.BATCH_UNREADABLE), name
    assert most < 6 * UNFOLDED_MAX


@pytest.mark.parametrize("name", VALUES)
def test_a_hostile_value_is_an_event_or_is_refused_with_a_reason(name: str) -> None:
    for topic in TOPICS:
        answer_to(Record(topic, 0, 7, 1_790_000_000_000, None, VALUES[name]))


@pytest.mark.parametrize("name", RECORDS)
def test_a_hostile_record_is_answered_and_its_dead_letter_gives_it_back_whole(name: str) -> None:
    record = RECORDS[name]
    answer = answer_to(record)
    refusal = answer if isinstance(answer, Refusal) else Refusal(Stage.DISPATCH, "x", "y")
    made = make_dead_letter(record, refusal)
    letter = Letter.from_record(Record("order.dead_letters", 0, 1, 1, made.key, made.value, made.headers))
    assert letter.source_headers == record.headers
    assert str(letter.origin) == record.coordinates
    assert doubt_of(letter, record, None, None) is None or "repeats" in str(doubt_of(letter, record, None, None))
    lines = letter_lines(Shown(letter, record), 99)
    for text in (*summary_lines([Summary.of(letter)], titled=True), *(one for line in lines for one in line)):
        assert not obeyed(text)


@pytest.mark.parametrize("name", LETTERS)
def test_a_forged_letter_is_shown_obeyed_by_nobody_and_not_believed(name: str) -> None:
    letter = Letter.from_record(LETTERS[name])
    shown = Shown(letter, letter.record)
    for text in (
        *summary_lines([Summary.of(letter)], titled=True),
        *(one for line in letter_lines(shown, None) for one in line),
    ):
        assert not obeyed(text)
    plan = ReplayPlan(TOPICS, replays_max=3, limit=10)
    plan.add(letter)
    planned = plan.finish()
    assert len(planned) + plan.refused_count == 1
    for _ in planned:
        assert doubt_of(letter, None, None, SIGNER) is not None


def test_keys_that_collide_keep_their_records_apart() -> None:
    """Orders whose ids a weak hash takes for one another."""
    colliding = [f"{number:05b}".replace("0", "Aa").replace("1", "BB") for number in range(32)]
    body = b'{"order_id": "%s", "payment_id": "p"}'
    record = RECORDS["no key and no value"]
    answers = [answer_to(replace(record, value=body % one.encode(), key=one.encode())) for one in colliding]
    assert len({one.workflow_id for one in answers if isinstance(one, Call)}) == len(colliding)


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_fuzzer_begins_with_breaks_nothing(target: str) -> None:
    for seed in seeds(target):
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.binary(max_size=400))
@example(data=b"")
def test_any_bytes_break_nothing(target: str, data: bytes) -> None:
    TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
def test_a_seed_with_some_bytes_changed_breaks_nothing(target: str, data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(sorted(seeds(target)))))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 4_095), st.integers(0, 255)), max_size=6)):
        seed[at % len(seed)] = byte
    TARGETS[target](bytes(seed))
