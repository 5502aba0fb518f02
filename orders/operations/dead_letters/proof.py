"""Whether a dead letter is what a bridge set aside, as far as that can be known. Pure.

Whoever may write to the dead-letter topic can write anything there, with a bridge's headers. So a letter is believed
where a bridge's signature says so, or where the record that it was made of is still at its place, and is the same.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from bridge.dead_letters.letter import Letter, Origin
from bridge.dead_letters.replay_headers import check_replay, replayed_identity, without_replay
from bridge.dead_letters.signature import Signed, Signer
from bridge.record import Header, Record

_RENAMED: Final = re.compile(r"(?:original_)+(?=dlq_)")


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a dead letter is not believed."""

    why: str
    """With the letter as its subject."""
    is_final: bool = False
    """Whether it is known to be no bridge's, so that nobody's trust makes it one."""


def claimed_place(letter: Letter, source: Record | None) -> Origin | None:
    """Where the record was that a replayed one says it repeats; None where it repeats none, or is that record itself.

    Args:
        letter: whose record it is.
        source: the record at the letter's origin; None where it is gone.
    """
    origin = letter.origin
    if origin is None:
        return None
    claimed = replayed_identity((source.headers if source else letter.source_headers), origin.topic)
    if claimed is None or claimed == origin.identity:
        return None
    topic, partition, offset, fingerprint = claimed.rsplit(":", 3)
    return Origin(topic, int(partition), int(offset), origin.timestamp_ms, fingerprint)


def doubt_of(letter: Letter, source: Record | None, first: Record | None, signer: Signer | None) -> Doubt | None:
    """Why a letter is not believed; None where it is.

    Args:
        letter: one with an origin.
        source: the record that is at its origin; None where there is none.
        first: the record that is at its `claimed_place`; None where there is none.
        signer: has the keys of bridges and of replays; None where there are none.
    """
    doubt = _doubt_of_letter(letter, source, signer)
    if doubt is not None:
        return doubt
    claimed = claimed_place(letter, source)
    return None if claimed is None else _doubt_of_replay(_whole(letter, source), claimed, first, signer)


def _doubt_of_letter(letter: Letter, source: Record | None, signer: Signer | None) -> Doubt | None:
    signed = Signed.ABSENT if signer is None else letter.signed_by(signer)
    if signed is Signed.WRONG:
        return Doubt("has a signature that is wrong: no bridge wrote it so, or somebody changed it", is_final=True)
    origin = letter.origin
    if origin is None or (not letter.is_pointer and _whole(letter, None).fingerprint.hex() != origin.fingerprint):
        return Doubt("contradicts itself: its key and value are not those that its headers speak of", is_final=True)
    return None if signed is Signed.VALID else _difference(letter, origin, source, signed)


def _difference(letter: Letter, origin: Origin, source: Record | None, signed: Signed) -> Doubt | None:
    if source is None:
        foreign = "its signature is of a key that BRIDGE_DEAD_LETTER_KEYS does not have"
        why = "it has no signature" if signed is Signed.ABSENT else foreign
        return Doubt(f"cannot be proved: {origin} cannot be read any more, and {why}")
    if source.fingerprint.hex() != origin.fingerprint:
        return Doubt(f"cannot be proved: at {origin} is another record now, as after a topic was made anew")
    if not _holds(letter, source):
        return Doubt(f"is none that a bridge wrote: the record at {origin} is another than it says", is_final=True)
    return None


def _doubt_of_replay(record: Record, claimed: Origin, first: Record | None, signer: Signer | None) -> Doubt | None:
    """Whether a record is the replay that its own headers say it is: they name its event."""
    signed = Signed.ABSENT if signer is None else check_replay(record, signer)
    if signed is Signed.VALID:
        return None
    says = f"says that it repeats {claimed.identity}"
    if first is None:
        return Doubt(f"{says}, which cannot be read any more, and no signature of a replay proves it")
    same = (record.key, record.value, _as_sent(without_replay(record.headers)))
    if first.fingerprint.hex() != claimed.fingerprint:
        return Doubt(f"{says}, and another record is there")
    if (first.key, first.value, _as_sent(without_replay(first.headers))) != same:
        return Doubt(f"{says}, which differs from it: somebody put that header on, or copied it")
    return None


def _whole(letter: Letter, source: Record | None) -> Record:
    """The record that was set aside: as it is at its place, else as the letter has it."""
    if source is not None:
        return source
    origin = letter.origin
    timestamp_ms = -1 if origin is None else origin.timestamp_ms
    return replace(letter.record, timestamp_ms=timestamp_ms, headers=letter.source_headers)


def _holds(letter: Letter, source: Record) -> bool:
    """Whether the letter holds what the source does. A pointer holds nothing but the source's replay headers."""
    if letter.is_pointer:
        topic = source.topic
        return replayed_identity(letter.source_headers, topic) == replayed_identity(source.headers, topic)
    held = (letter.record.key, letter.record.value, _as_sent(letter.source_headers))
    return held == (source.key, source.value, _as_sent(source.headers))


def _as_sent(headers: tuple[Header, ...]) -> list[Header]:
    # Bridges of before wrote one ``original_`` fewer (docs/dead-letters.md), so its number says nothing.
    return [(_RENAMED.sub("", name), value) for name, value in headers]
