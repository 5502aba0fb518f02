"""The text of an API key: ``ord_<id>_<secret>``. Pure, but for the random bits of a new one.

The prefix lets scanners of source code and logs find a leaked key, the id tells which one it is, and the checksum at
the end tells a key that was mistyped or cut off from one that nobody has issued, without asking anybody.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Final

from orders.errors import UsageError

PREFIX: Final = "ord_"
ID_CHARS: Final = 10
"""Of 62 characters: 59 bits, so that ids never meet."""
SECRET_BITS: Final = 256

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_CHARS: Final = 43
"""As many as 256 bits take: 62^43 > 2^256."""
_CHECKSUM_CHARS: Final = 6
"""As many as a CRC-32 takes: 62^6 > 2^32."""
_ID: Final = rf"[0-9A-Za-z]{{{ID_CHARS}}}"
_SHAPE: Final = re.compile(rf"{PREFIX}({_ID})_[0-9A-Za-z]{{{_SECRET_CHARS + _CHECKSUM_CHARS}}}")
_NAMED: Final = re.compile(rf"(?:{PREFIX})?({_ID})(?:_.*)?", re.DOTALL)


class MalformedKeyError(ValueError):
    """A text is no key; the message is a sentence without a subject, and shows nothing of the text."""


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key as its owner has it."""

    key_id: str
    """What may be shown, and what the database finds it by."""
    text: str = field(repr=False)
    """The whole key: whoever has it is let in."""

    @property
    def digest(self) -> bytes:
        """What is kept of the key. SHA-256 without salt and rounds is enough: 256 random bits cannot be guessed."""
        return hashlib.sha256(self.text.encode()).digest()

    def has_digest(self, digest: bytes) -> bool:
        """Whether this is the key of which the digest was kept; takes as long for any other."""
        return hmac.compare_digest(self.digest, digest)


def new_key_text() -> KeyText:
    """A key that nobody has."""
    key_id = _base_62(secrets.randbits(64), ID_CHARS)
    unchecked = f"{PREFIX}{key_id}_{_base_62(secrets.randbits(SECRET_BITS), _SECRET_CHARS)}"
    return KeyText(key_id, unchecked + _checksum(unchecked))


def is_meant_as_key(text: str) -> bool:
    """Whether a credential is a key, or one that was spoilt, and no token of a provider."""
    return text.startswith(PREFIX)


def parse_key_text(text: str) -> KeyText:
    """Reads what somebody sent as a key.

    Raises:
        MalformedKeyError: it is none.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise MalformedKeyError(f"is no API key: one is {PREFIX}<id>_<secret>, {_length()} characters in all")
    if not hmac.compare_digest(_checksum(text[:-_CHECKSUM_CHARS]).encode(), text[-_CHECKSUM_CHARS:].encode()):
        raise MalformedKeyError("is an API key with a mistake in it: its last characters do not fit the others")
    return KeyText(match[1], text)


def key_id_of(text: str) -> str:
    """The id that a person names: alone, with its prefix, or as the whole key that is to be revoked.

    Raises:
        UsageError: there is none in it; the text is not shown, as it may be most of a key.
    """
    match = _NAMED.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"no key is called that: an id has {ID_CHARS} letters and digits, as `orders api-keys list` has it"
        )
    return match[1]


def _length() -> int:
    return len(PREFIX) + ID_CHARS + 1 + _SECRET_CHARS + _CHECKSUM_CHARS


def _checksum(unchecked: str) -> str:
    return _base_62(zlib.crc32(unchecked.encode()), _CHECKSUM_CHARS)


def _base_62(number: int, chars: int) -> str:
    """The lowest digits of a number, as many as are wanted."""
    digits = []
    for _ in range(chars):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
