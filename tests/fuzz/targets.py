"""What is given bytes, and what has to hold of every answer. A target raises where something does not."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Final

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import UnsupportedCodecError

from bridge import Call, Header, Record, Refusal, RefusalCode, Signer, SigningKey, Stage
from bridge.dead_letters.headers import make_dead_letter, make_pointer, signed
from bridge.dead_letters.letter import Letter
from bridge.dead_letters.replay_headers import replay_headers
from bridge.dead_letters.signature import Signed
from bridge.engine.translation import translate
from bridge.kafka.lenient_records import LenientRecords
from orders.cli.rendering.dead_letters import letter_lines, summary_lines
from orders.mapping import OrderMapping
from orders.operations.dead_letters.documents import letter_json, summary_json
from orders.operations.dead_letters.finding import Shown, Summary
from orders.operations.dead_letters.proof import claimed_place, doubt_of
from orders.operations.dead_letters.replay_plan import ReplayPlan, ReplayRecord, TooManyError, chunks, waves
from orders.signatures.signature import SIGNATURE_HEADER, Signatures
from orders.web.console.views.dead_letters import letter_page
from schemas.event_types import INBOUND, EventType
from tests.fuzz.credentials import check_signature, check_token, open_payloads, read_cookies, read_keys
from tests.fuzz.taken import Taken
from tests.helpers.messages.hostile import obeyed
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.raw_batches import encode_batch
from tests.helpers.messages.signing import KnownKeys, public_of, signing_key

TOPICS: Final = tuple(one.topic for one in INBOUND.values())
LETTERS_TOPIC: Final = "order.dead_letters"
UNFOLDED_MAX: Final = 1 << 20
"""The bound of a batch here; a machine that fuzzes has little to spare."""
ENVELOPE_NAMES: Final = (
    *("ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_subject", "ce-id", "CE_TYPE"),
    *("content-type", "Content-Type", "ce_datacontenttype", "dlq_replay_of", "traceparent", ""),
    SIGNATURE_HEADER,
)
LETTER_NAMES: Final = (
    *("dlq_version", "dlq_source_topic", "dlq_source_partition", "dlq_source_offset", "dlq_source_timestamp_ms"),
    *("dlq_source_fingerprint", "dlq_stage", "dlq_error_code", "dlq_message", "dlq_attempts", "dlq_bridge_version"),
    *("dlq_pointer", "dlq_signature", "original_dlq_replay_of", "original_dlq_replay_count", "original_dlq_x"),
    *("original_dlq_replay_signature", "dlq_replay_of", "original_original_dlq_", "dlq_", "trace"),
)
SIGNER: Final = Signer([SigningKey("k", b"k" * 32)])
_REFUSAL: Final = Refusal(Stage.JSON, "json_truncated", "look for what cut it off")


@cache
def _mapping() -> OrderMapping:
    keys = KnownKeys({"k": public_of(signing_key("k"))})
    topics = {one.topic: event_type for event_type, one in INBOUND.items()}
    return OrderMapping(topics, signatures=Signatures(keys))


def read_batch(data: bytes) -> None:
    """A batch whose records are any bytes, of each codec: no error but that of an unknown one, and bounded memory."""
    taken = Taken(data)
    compression, count = taken.number(6), 1 + taken.number(8)
    says = [Outgoing("t", b"v")] * count
    batch = encode_batch(says, base_offset=5, compression=compression, body=taken.rest())
    LenientRecords.unfolded_max_bytes = UNFOLDED_MAX
    place = TopicPartition("t", 0)
    try:
        found = [
            Record.from_consumed(one)
            for one in PartitionRecords(place, LenientRecords(batch), None, 5, None, None, True, READ_COMMITTED)
        ]
    except UnsupportedCodecError:
        assert compression == 5
        return
    finally:
        LenientRecords.unfolded_max_bytes = 16 << 20
    offsets = [one.offset for one in found]
    assert offsets == sorted(set(offsets)), "an offset came twice, or out of order"
    assert all(5 <= offset < 5 + count for offset in offsets), "an offset that is not the batch's"
    for one in found:
        _check_answer(translate(replace(one, topic=TOPICS[0]), _mapping()), one)


def read_body(data: bytes) -> None:
    """A value of any bytes, on each topic: a call or a refusal with a reason, and never a mistake of the bridge's."""
    for topic in TOPICS:
        record = Record(topic, 0, 7, 1_790_000_000_000, None, data)
        _check_answer(translate(record, _mapping()), record)


def read_envelope(data: bytes) -> None:
    """A record of any headers, key and value: as CloudEvents of both modes, as a replay, and as neither."""
    taken = Taken(data)
    topic = TOPICS[taken.number(len(TOPICS))]
    headers, key = taken.headers(ENVELOPE_NAMES), taken.part()
    record = Record(topic, 0, 7, taken.number() - 1, key, taken.rest() or None, headers)
    _check_answer(translate(record, _mapping()), record)
    letter = _letter_of(record)
    assert letter.source_headers == record.headers, "a header did not come back as it was"


def _check_answer(answer: Call | Refusal, record: Record) -> None:
    if isinstance(answer, Refusal):
        assert answer.code != RefusalCode.DECODER_FAILED, f"a mistake of the bridge: {answer.message}"
        assert not obeyed(answer.message), "a refusal's message holds what a terminal obeys"
        return
    assert answer.signal_argument.verified_by is None, "nobody has the key"
    # What is called is written by pydantic and by protobuf: neither may refuse it.
    json.dumps(answer.signal_argument.model_dump(mode="json"), allow_nan=False).encode()
    assert answer.workflow_id.isascii()
    assert len(answer.workflow_id) < 1_000, record.coordinates


def read_letter(data: bytes) -> None:
    """A record of the dead-letter topic that anybody may have written: shown, listed, and not believed."""
    taken = Taken(data)
    headers, key = taken.headers(LETTER_NAMES), taken.part()
    letter = Letter.from_record(Record(LETTERS_TOPIC, 0, 3, taken.number() - 1, key, taken.rest() or None, headers))
    summary, shown = Summary.of(letter), Shown(letter, letter.record)
    _check_shown(
        *summary_lines([summary], titled=True), *(text for line in letter_lines(shown, 4_096) for text in line)
    )
    json.dumps([summary_json(summary), letter_json(shown, 4_096)])
    page = letter_page(shown, full=True)
    _check_shown(*page.lines, page.key or "", *(text for header in page.headers for text in header[1:]))
    assert letter.signed_by(SIGNER) is not Signed.VALID, "nobody has the key"
    if letter.origin is not None:
        doubt = doubt_of(letter, None, None, SIGNER)
        assert doubt is not None, "a letter was believed that nothing proves"


def plan_replay(data: bytes) -> None:
    """Many letters that claim whatever they like: each is sent once, in order, or named; none twice."""
    taken = Taken(data)
    letters = [_drawn_letter(taken, at) for at in range(taken.number(12))]
    plan = ReplayPlan(TOPICS[:2], replays_max=3, limit=8)
    try:
        for letter in letters:
            plan.add(letter)
    except TooManyError:
        return
    planned = plan.finish()
    assert len(planned) + plan.refused_count + plan.duplicates == len(letters), "a letter is neither sent nor named"
    assert len({one.place for one in planned}) == len(planned)
    assert planned == sorted(planned)
    for one in planned:
        assert one.topic in TOPICS[:2], "sent to a topic that is none of ours"
        assert one.first_offset <= one.own_offset
    assert [one for part in chunks(planned, records_max=3, bytes_max=300) for one in part] == planned
    records = [ReplayRecord(one.topic, one.partition, None, letters[0].record.key, b"", ()) for one in planned]
    assert [one for wave in waves(records) for one in wave] == records


def _drawn_letter(taken: Taken, at: int) -> Letter:
    """A letter as a bridge makes it, of a record that says what it likes of itself."""
    topic = (*TOPICS[:2], "somewhere.else")[taken.number(3)]
    key, value = taken.part(), taken.part()
    record = Record(topic, taken.number(3), taken.number(6), taken.number(3) - 1, key, value)
    kind = taken.number(6)
    claimed = f"{topic}:{taken.number(3)}:{taken.number(6)}:00112233445566{taken.number(3):02x}"
    if kind in (1, 2):
        record = replace(
            record, headers=replay_headers(record, claimed, taken.number(5), SIGNER if kind == 2 else None)
        )
    elif kind == 3:
        record = replace(record, headers=taken.headers((*LETTER_NAMES, "dlq_replay_count")))
    return _letter_of(record, at=at, pointer=taken.number(2) == 1)


def prove_letter(data: bytes) -> None:
    """A letter held against a record that differs in something, or in nothing: believed only where it is the same."""
    taken = Taken(data)
    headers = taken.headers(("trace", "ce_id", "dlq_replay_of", "dlq_x", "original_dlq_x"))
    sent = Record(TOPICS[0], 0, 7, 5, taken.part(), taken.part(), headers)
    letter = _letter_of(sent, pointer=taken.number(4) == 0)
    source = sent if taken.number(2) else replace(sent, key=taken.part(), value=taken.part())
    first = None if taken.number(2) else replace(sent, offset=1, headers=taken.headers(("trace",)))
    believed = doubt_of(letter, source, first, SIGNER) is None
    same = (source.key, source.value) == (sent.key, sent.value)
    assert same or not believed, "believed, and its record is another"
    if same and claimed_place(letter, source) is None:
        assert believed, "not believed, and its record is there"


def _letter_of(record: Record, *, at: int = 3, pointer: bool = False) -> Letter:
    made = (make_pointer if pointer else make_dead_letter)(record, _REFUSAL)
    kept = signed(made, SIGNER) if at % 2 else made
    letter = Letter.from_record(Record(LETTERS_TOPIC, 0, at, 1, made.key, made.value, made.headers))
    with_signature = Letter.from_record(Record(LETTERS_TOPIC, 0, at, 1, kept.key, kept.value, kept.headers))
    assert with_signature.source_headers == letter.source_headers
    return letter


def _check_shown(*texts: str) -> None:
    for text in texts:
        assert not obeyed(text), f"a terminal obeys {text!r}"


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "batch": read_batch,
    "body": read_body,
    "envelope": read_envelope,
    "letter": read_letter,
    "plan": plan_replay,
    "proof": prove_letter,
    "signature": check_signature,
    "token": check_token,
    "keys": read_keys,
    "cookie": read_cookies,
    "payloads": open_payloads,
}


def record_as_input(topic: EventType, headers: Iterable[Header], key: bytes | None, value: bytes) -> bytes:
    """Bytes of which `read_envelope` makes this record, for a fuzzer to begin with."""

    def part(content: bytes | None) -> bytes:
        return b"\xff" if content is None else bytes([min(len(content), 254)]) + content[:254]

    given = list(headers)[:12]
    made = [bytes([list(EventType).index(topic), len(given)])]
    for name, content in given:
        is_known = name in ENVELOPE_NAMES
        made.append(bytes([ENVELOPE_NAMES.index(name) if is_known else 0xC0]))
        made.append((b"" if is_known else part(name.encode())) + part(content))
    return b"".join([*made, part(key), b"\x01", value])


def letter_as_input(headers: Iterable[tuple[str, bytes]], key: bytes, value: bytes) -> bytes:
    """Bytes of which `read_letter` makes this record."""
    given = list(headers)[:12]
    made = [bytes([len(given)])]
    for name, content in given:
        made.append(bytes([LETTER_NAMES.index(name), min(len(content), 254)]) + content[:254])
    return b"".join([*made, bytes([len(key)]) + key, b"\x01", value])
