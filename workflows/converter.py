"""The one data converter: every client and worker that speaks with our workflows uses it, alone or with encryption."""

from dataclasses import replace
from typing import Any, Final, NoReturn

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadCodec,
    PayloadConverter,
)

ENCRYPTED: Final = "binary/encrypted"
"""Encoding of a payload that only a codec can read."""

REFUSED: Final = "unencrypted/refused"
"""Encoding that a codec which demands encryption gives to a payload without encryption."""


FOREIGN: Final = "encrypted/foreign"
"""Encoding that a codec gives to a payload that was encrypted for another workflow."""


NOTHING: Final = "nothing/sent"
"""Encoding that stands for a payload that was not sent; in no history, and read as None where that is allowed."""


class UnreadablePayloadError(Exception):
    """A payload cannot be read with the settings of this process. The text says which setting, and what to do."""


class EncryptedPayloadError(UnreadablePayloadError):
    """A payload is encrypted, and this process has no keys."""


class UnencryptedPayloadError(UnreadablePayloadError):
    """A payload is not encrypted, and this process demands it."""


class ForeignPayloadError(UnreadablePayloadError):
    """A payload was encrypted for another workflow than the one that it stands in."""


class _Unreadable(EncodingPayloadConverter):
    """Refuses payloads of an encoding, and says why, where the SDK would only call the encoding unknown."""

    def __init__(self, encoding: str, error_type: type[UnreadablePayloadError], why: str) -> None:
        self._encoding = encoding
        self._error_type = error_type
        self._why = why

    @property
    def encoding(self) -> str:
        return self._encoding

    def to_payload(self, value: Any) -> None:
        """Makes no payload: our values are never of this encoding."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> NoReturn:  # noqa: ARG002
        """Raises the error."""
        raise self._error_type(self._why)


class _Nothing(EncodingPayloadConverter):
    """Reads what was not sent."""

    @property
    def encoding(self) -> str:
        return NOTHING

    def to_payload(self, value: Any) -> None:
        """Makes no payload: None has an encoding of its own."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> None:
        """None."""


class OrderPayloadConverter(PydanticPayloadConverter):
    """Our models to JSON and back."""

    def __init__(self) -> None:
        super().__init__()
        unreadable = (
            _Unreadable(
                ENCRYPTED,
                EncryptedPayloadError,
                "a payload in Temporal is encrypted, but TEMPORAL_CODEC_KEYS is not set: "
                "give this process the keys that the others have",
            ),
            _Unreadable(
                REFUSED,
                UnencryptedPayloadError,
                "a payload in Temporal is not encrypted, but TEMPORAL_CODEC_KEYS is set: whoever sent it needs the "
                "keys, or set TEMPORAL_CODEC_ALLOW_UNENCRYPTED=true while encryption is introduced",
            ),
            _Unreadable(
                FOREIGN,
                ForeignPayloadError,
                "a payload in Temporal was encrypted for another workflow or namespace: somebody has moved it, and it "
                "is not read; find out who writes to the namespace",
            ),
        )
        more: tuple[EncodingPayloadConverter, ...] = (*unreadable, _Nothing())
        self.converters = {**self.converters, **{one.encoding.encode(): one for one in more}}


class EncryptedOnlyPayloadConverter(OrderPayloadConverter):
    """The same where every payload has to be encrypted.

    What comes without any payload is not encrypted either. A codec is never asked about that, so it is for who reads to
    ask (`demands_encryption`).
    """

    def __init__(self) -> None:
        super().__init__()
        nothing = _Unreadable(NOTHING, UnencryptedPayloadError, "nothing was sent, where all has to be encrypted")
        self.converters = {**self.converters, NOTHING.encode(): nothing}


def demands_encryption(converter: PayloadConverter) -> bool:
    """Whether what is not encrypted is to be refused, also where there is nothing to encrypt."""
    # The SDK gives a workflow its converter wrapped in another, so that it can only be asked by a payload.
    try:
        converter.from_payload(Payload(metadata={"encoding": NOTHING.encode()}))
    except UnencryptedPayloadError:
        return True
    return False


DATA_CONVERTER: Final = DataConverter(payload_converter_class=OrderPayloadConverter)
"""The converter without encryption."""


def encrypting(codec: PayloadCodec, *, allow_unencrypted: bool = False) -> DataConverter:
    """The converter with a codec, by which the messages and stack traces of failures go as well.

    Args:
        codec: it refuses what is not encrypted, unless that is allowed.
        allow_unencrypted: whether that is so.
    """
    return replace(
        DATA_CONVERTER,
        payload_converter_class=OrderPayloadConverter if allow_unencrypted else EncryptedOnlyPayloadConverter,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
