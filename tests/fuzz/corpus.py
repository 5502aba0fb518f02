"""The hostile corpus: what is known to have hurt somebody, and what a fuzzer begins with."""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from typing import Final

import cramjam

from bridge import Record, Refusal, Stage
from bridge.dead_letters.headers import make_dead_letter
from schemas.event_types import INBOUND, EventType
from tests.fuzz.credential_corpus import CREDENTIALS
from tests.fuzz.targets import LETTER_NAMES, TOPICS, letter_as_input, record_as_input
from tests.helpers.messages.hostile import HOSTILE_TEXTS
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.raw_batches import COMPRESS, encode_records, raw_name

MIB: Final = 1 << 20
BOMB_MIB: Final = 64
"""What each bomb unfolds to: many times the bound, and little enough to be made in a test."""


def bombs() -> dict[str, tuple[int, bytes]]:
    """Records that unfold to `BOMB_MIB`, by each codec: its number and the bytes, of some KiB."""
    zeros = bytes(BOMB_MIB * MIB)
    block = bytes(cramjam.snappy.compress_raw(bytes(MIB)))
    blocks = b"".join(len(block).to_bytes(4, "big") + block for _ in range(BOMB_MIB))
    return {
        "gzip": (1, gzip.compress(zeros)),
        "gzip of many members": (1, gzip.compress(bytes(MIB)) * BOMB_MIB),
        "snappy": (2, bytes(cramjam.snappy.compress_raw(zeros))),
        "snappy of Java's streams": (2, b"\x82SNAPPY\x00" + (1).to_bytes(4, "big") * 2 + blocks),
        "snappy that says it is huge": (2, b"\xff\xff\xff\xff\x0f" + block[3:]),
        "lz4": (3, bytes(cramjam.lz4.compress(zeros))),
        "zstd": (4, bytes(cramjam.zstd.compress(zeros))),
    }


def values() -> dict[str, bytes]:
    """Values of records."""
    order = {"order_id": "o-1", "payment_id": "p-1"}
    good = {event_type.value: json.dumps(one.example).encode() for event_type, one in INBOUND.items()}
    return (
        good
        | {
            "deep arrays": b"[" * 100_000,
            "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
            "deep in a good order": json.dumps(order).encode()[:-1] + b',"x":' + b"[" * 40 + b"]" * 40 + b"}",
            "many mistakes": json.dumps(order | {"items": [{}] * 100_000}).encode(),
            "many names": b"{" + b",".join(b'"a%d":1' % n for n in range(50_000)) + b"}",
            "one name again and again": b"{" + b",".join([b'"order_id":"o"'] * 50_000) + b"}",
            "colliding names": b"{" + b",".join(b'"%s":1' % _colliding(n) for n in range(5_000)) + b"}",
            "long number": b'{"order_id":"o-1","payment_id":"p","amount":' + b"9" * 100_000 + b"}",
            "large exponent": b'{"order_id":"o-1","payment_id":"p","amount":1e99999999}',
            "long text": json.dumps(order | {"customer_id": "x" * 500_000}).encode(),
            "many escapes": b'{"order_id":"' + b"\\u0041" * 80_000 + b'"}',
            "lone surrogates": b'{"order_id":"\\ud800","payment_id":"\\udfff"}',
            "nul": b'{"order_id":"o\\u0000","payment_id":"p"}',
            "not UTF-8": b'{"order_id":"\xff\xfe\xc0\x80"}',
            "overlong UTF-8": b'{"order_id":"\xc0\xaf"}',
            "a byte-order mark": b"\xef\xbb\xbf{}",
            "UTF-32": json.dumps(order).encode("utf-32"),
            "not a number": b'{"order_id":"o-1","payment_id":"p","amount":NaN}',
            "white space": b" " * 500_000,
            "a structured event": json.dumps(
                {"specversion": "1.0", "id": "1", "source": "s", "type": "order.created", "data": order}
            ).encode(),
            "an event in an event": json.dumps(
                {
                    "specversion": "1.0",
                    "id": "1",
                    "source": "s",
                    "type": "order.created",
                    "data": {"data": {"data": order}},
                }
            ).encode(),
            "data in base64": b'{"specversion":"1.0","id":"1","source":"s","type":"order.created","data_base64":"%s"}'
            % (b"A" * 100_000),
        }
        | {
            f"hostile text {n}": json.dumps(order | {"customer_id": text}).encode()
            for n, text in enumerate(HOSTILE_TEXTS)
        }
    )


def _colliding(number: int) -> bytes:
    """Names of one length of which a sum of characters cannot tell one from the other (Java's hash of texts)."""
    return f"{number:013b}".encode().replace(b"0", b"Aa").replace(b"1", b"BB")


def records() -> dict[str, Record]:
    """Records with headers and keys of every kind."""
    value = json.dumps({"order_id": "o-1", "payment_id": "p-1"}).encode()
    topic = TOPICS[0]

    def record(*headers: tuple[str, bytes | None], key: bytes | None = b"o-1", content: bytes | None = value) -> Record:
        return Record(topic, 0, 7, 1_790_000_000_000, key, content, headers)

    event = (("ce_id", b"1"), ("ce_source", b"s"), ("ce_type", b"order.created"), ("ce_specversion", b"1.0"))
    made = {
        "100,000 headers": record(*[(f"h{n}", b"v") for n in range(100_000)]),
        "100,000 of one header": record(*[("ce_id", b"%d" % n) for n in range(100_000)]),
        "100,000 that the bridge would name so": record(*[("dlq_x", b"v")] * 100_000),
        "a header of 1 MiB": record(("ce_id", b"x" * MIB), *event[1:]),
        "a name of 1 MiB": record(("n" * MIB, b"v")),
        "a name of many prefixes": record(("original_" * 100_000 + "dlq_", b"v")),
        "a key of 1 MiB": record(key=b"k" * MIB),
        "no key and no value": record(key=None, content=None),
        "an event without a value": record(*event, content=None),
        "an event whose id is a control character": record(("ce_id", b"\x1b[2J"), *event[1:]),
        "a forged replay": record(("dlq_replay_of", b"order.created:0:1:0011223344556677")),
        "a replay of a huge place": record(
            ("dlq_replay_of", b"order.created:9999999999:9999999999999999999:" + b"0" * 16)
        ),
        "a replay count of many digits": record(("dlq_replay_count", b"9" * 10_000)),
    }
    for number, text in enumerate(HOSTILE_TEXTS):
        raw = text.encode()
        made[f"hostile text {number}"] = record((text, raw), ("ce_type", raw), ("content-type", raw), key=raw)
    return made


def letters() -> dict[str, Record]:
    """Records of the dead-letter topic as no bridge wrote them."""
    refusal = Refusal(Stage.DISPATCH, "refused_by_temporal", "Temporal refused it; replay it")
    source = Record(TOPICS[1], 0, 999_999, 1_795_626_910_221, b"victim-1", b'{"order_id": "victim-1"}')
    made = make_dead_letter(source, refusal)
    forged = {
        "an approval that never was": made.headers,
        "huge numbers": _changed(made.headers, dlq_source_partition=b"9" * 300, dlq_source_offset=b"9" * 300),
        "negative numbers": _changed(made.headers, dlq_source_partition=b"-1", dlq_source_offset=b"-1"),
        "numbers in other digits": _changed(made.headers, dlq_source_offset="\u0661\u0662".encode()),
        "numbers with underscores": _changed(made.headers, dlq_source_offset=b" 1_000 "),
        "a time beyond all": _changed(made.headers, dlq_source_timestamp_ms=b"9" * 40),
        "a topic that is a path": _changed(made.headers, dlq_source_topic=b"../../etc/passwd"),
        "a wrong signature": (*made.headers, ("dlq_signature", b"k:" + b"0" * 64)),
        "100,000 signatures": (*made.headers, *[("dlq_signature", b"k:00")] * 100_000),
        "a pointer to anything": (*made.headers, ("dlq_pointer", b"true")),
    }
    for number, text in enumerate(HOSTILE_TEXTS):
        raw = text.encode()
        of_text = dict.fromkeys(("dlq_message", "dlq_error_code", "dlq_stage", "dlq_source_topic"), raw)
        forged[f"hostile text {number}"] = (*_changed(made.headers, **of_text), (text, raw))
    return {
        name: Record("order.dead_letters", 0, 3, 1, made.key, made.value, headers) for name, headers in forged.items()
    }


def _changed(headers: tuple[tuple[str, bytes | None], ...], **values: bytes) -> tuple[tuple[str, bytes | None], ...]:
    return tuple((name, values.get(name, value)) for name, value in headers)


@cache
def seeds(target: str) -> tuple[bytes, ...]:
    """What a fuzzer of a target begins with."""
    return tuple(_seeds(target))


def _seeds(target: str) -> Iterator[bytes]:
    if target == "batch":
        sent = [Outgoing("t", b'{"order_id":"o-1"}', b"o-1", ((raw_name(b"\xff"), b"1"), ("ce_id", None)))]
        for compression, compress in COMPRESS.items():
            yield bytes([compression, 0]) + compress(encode_records(sent))
    elif target == "body":
        yield from (value for value in values().values() if len(value) < 4_096)
    elif target == "envelope":
        for record in records().values():
            if record.size_bytes < 4_096:
                yield record_as_input(EventType.ORDER_CREATED, record.headers, record.key, record.value or b"")
    elif target == "letter":
        for letter in letters().values():
            known = [(name, value or b"") for name, value in letter.headers if name in LETTER_NAMES]
            yield letter_as_input(known, b"victim-1", letter.value or b"")
    elif target in CREDENTIALS:
        yield from CREDENTIALS[target]()
    else:
        yield bytes(range(256))
        yield bytes(64)
