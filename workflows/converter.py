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
)

ENCRYPTED: Final = "binary/encrypted"
"""Encoding of a payload that only a codec can read."""

REFUSED: Final = "unencrypted/refused"
"""Encoding that a codec which demands encryption gives to a payload without encryption."""


class UnreadablePayloadError(Exception):
    """A payload cannot be read with the settings of this process. The text says which setting, and what to do."""


class EncryptedPayloadError(UnreadablePayloadError):
    """A payload is encrypted, and this process has no keys."""


class UnencryptedPayloadError(UnreadablePayloadError):
    """A payload is not encrypted, and this process demands it."""


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
        )
        self.converters = {**self.converters, **{one.encoding.encode(): one for one in unreadable}}


DATA_CONVERTER: Final = DataConverter(payload_converter_class=OrderPayloadConverter)
"""The converter without encryption."""


def encrypting(codec: PayloadCodec) -> DataConverter:
    """The converter with a codec, by which the messages and stack traces of failures go as well."""
    return replace(
        DATA_CONVERTER,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
