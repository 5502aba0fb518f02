"""What a dead letter is made of: the record's own bytes, where it was, and a reason that a person can act on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from bridge.dead_letters.replay_headers import REPLAY_COUNT_HEADER, REPLAY_OF_HEADER
from bridge.dead_letters.signature import Signer
from bridge.record import Header, Record
from bridge.refusal import Refusal

PREFIX: Final = "dlq_"
"""Every header that the bridge adds begins with this, and no other header of a dead letter does."""
FORGED_PREFIX: Final = "original_"
"""Put before a source header that begins with ``dlq_``: kept for a person to see, and never taken for ours.

Also before one that begins with this and ``dlq_`` of itself, so that a replay gives back every name as it was.
"""
POINTER_HEADER: Final = "dlq_pointer"
"""Set to ``true`` where the source record is too large to be copied: only its coordinates are kept."""

SIGNATURE_HEADER: Final = "dlq_signature"
"""The bridge's signature, where it has a key; over key, value and all other headers in their order."""
SIGNED_AS: Final = b"dead letter 1"
"""Authenticated with that signature, so that none of another kind can be taken for it."""

HEADER_FORMAT_VERSION: Final = "1"

_RENAMED = re.compile(rf"(?:{FORGED_PREFIX})*{PREFIX}")
_POINTER_KEY_MAX_BYTES: Final = 1_024
_POINTER_HEADER_MAX_BYTES: Final = 297
"""The longest identity: a topic of 249, a partition of 10, an offset of 19, a fingerprint of 16 characters."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic, about to be produced."""

    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def make_dead_letter(record: Record, refusal: Refusal, *, attempts: int = 1) -> DeadLetter:
    """The record with key, value and headers untouched, and its origin and refusal as further headers.

    Args:
        record: The record to be set aside.
        refusal: Why.
        attempts: How many attempts were made at it.
    """
    headers = (*_original_headers(record), *_own_headers(record, refusal, attempts))
    return DeadLetter(record.key, record.value, headers)


def make_pointer(record: Record, refusal: Refusal, *, attempts: int = 1) -> DeadLetter:
    """What stands for a record that the dead-letter topic does not take: its coordinates and the refusal.

    The source record stays where it is, for as long as its topic keeps it. Of its headers, only those are kept that say
    which record it repeats: without them a replay that is set aside again would be a record of its own, counted anew.
    """
    headers = (*_replay_headers(record), *_own_headers(record, refusal, attempts), (POINTER_HEADER, b"true"))
    return DeadLetter(key_in_pointer(record.key), None, headers)


def signed(letter: DeadLetter, signer: Signer) -> DeadLetter:
    """The letter with a signature."""
    made = signer.signature_of(SIGNED_AS, letter.key, letter.value, letter.headers)
    return replace(letter, headers=(*letter.headers, (SIGNATURE_HEADER, made)))


def key_in_pointer(key: bytes | None) -> bytes | None:
    """A record's key as its pointer has it: None where it has more than 1,024 bytes: it may be what is too large."""
    return key if key is not None and len(key) <= _POINTER_KEY_MAX_BYTES else None


def name_in_dead_letter(name: str) -> str:
    """What a source header is called in a dead letter: never as the bridge's own, and no two alike."""
    return FORGED_PREFIX + name if _RENAMED.match(name) else name


def name_at_source(name: str) -> str:
    """A dead letter's header by its name at the source, if it is none of the bridge's: undoes `name_in_dead_letter`."""
    return name.removeprefix(FORGED_PREFIX) if _RENAMED.match(name) else name


def _original_headers(record: Record) -> tuple[Header, ...]:
    return tuple((name_in_dead_letter(name), value) for name, value in record.headers)


def _replay_headers(record: Record) -> Iterator[Header]:
    """The last header of each replay name, which is the one that counts; one longer than any real one is left out."""
    for wanted in (REPLAY_OF_HEADER, REPLAY_COUNT_HEADER):
        values = [value for name, value in record.headers if name == wanted]
        if values and len(values[-1] or b"") <= _POINTER_HEADER_MAX_BYTES:
            yield name_in_dead_letter(wanted), values[-1]


def _own_headers(record: Record, refusal: Refusal, attempts: int) -> tuple[Header, ...]:
    fields = {
        "dlq_version": HEADER_FORMAT_VERSION,
        "dlq_source_topic": record.topic,
        "dlq_source_partition": str(record.partition),
        "dlq_source_offset": str(record.offset),
        "dlq_source_timestamp_ms": str(record.timestamp_ms),
        "dlq_source_fingerprint": record.fingerprint.hex(),
        "dlq_stage": refusal.stage.value,
        "dlq_error_code": refusal.code,
        "dlq_message": refusal.message,
        "dlq_attempts": str(attempts),
        "dlq_bridge_version": _bridge_version(),
    }
    return tuple((name, text.encode()) for name, text in fields.items())


@cache
def _bridge_version() -> str:
    """The version of the distribution that the bridge is part of. Read once: it is looked for in files, for 0.5 ms."""
    try:
        return version("temporal-order-orchestrator")
    except PackageNotFoundError:
        return "unknown"  # Run from the sources, without an installation.
