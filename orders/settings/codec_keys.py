"""The keys of TEMPORAL_CODEC_KEYS: read, and refused with a sentence that shows nothing of them. Pure."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

KEY_BYTES: Final = 32
"""AES-256."""

_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


@dataclass(frozen=True, slots=True)
class CodecKey:
    """A key and the name by which payloads say that they need it."""

    key_id: str
    key: bytes = field(repr=False)


def parse_codec_keys(text: str) -> tuple[CodecKey, ...]:
    """The keys of ``id:key,id:key``, the one that encrypts first.

    Raises:
        ValueError: a sentence without a subject. A key is named by its place, as even its id may be a misplaced key.
    """
    keys = tuple(_parse_key(part.strip(), place) for place, part in enumerate(text.split(","), start=1))
    ids = [key.key_id for key in keys]
    if len(set(ids)) < len(ids):
        raise ValueError("has two keys of one id: give each its own, or nobody knows which one to decrypt with")
    return keys


def is_key_id(text: str) -> bool:
    """Whether a text that a payload carries can be the id of a key, and may be shown."""
    return _ID_PATTERN.fullmatch(text) is not None


def _parse_key(part: str, place: int) -> CodecKey:
    key_id, colon, encoded = part.partition(":")
    if not colon or not is_key_id(key_id):
        raise ValueError(
            f"has no id and key at place {place}: it is id:key,id:key with ids of up to 32 letters, digits and . _ -"
        )
    try:
        key = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        # `from None`: the original error may quote what was read.
        raise ValueError(f"has a key at place {place} that is not base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"has a key at place {place} of {len(key)} bytes and not {KEY_BYTES}: openssl rand -base64 {KEY_BYTES} "
            "makes one"
        )
    return CodecKey(key_id, key)
