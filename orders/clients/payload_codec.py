"""Encrypts every payload on its way to Temporal, and decrypts what comes back: AES-256 in Galois/counter mode."""

import os
from collections.abc import Sequence
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from orders.settings.codec_keys import CodecKey, is_key_id
from workflows.converter import ENCRYPTED, REFUSED, UnreadablePayloadError

KEY_ID_FIELD: Final = "encryption-key-id"
"""In the payload's metadata, as in Temporal's own samples."""

NONCE_BYTES: Final = 12
"""What GCM is made for. They are random: one key serves for 2**32 payloads (NIST SP 800-38D, section 8.3)."""

_BOUND_TO: Final = b"temporal-order-orchestrator/payload/1:"
"""Authenticated with each payload, together with the key's id: neither can be exchanged for another."""

_log = structlog.get_logger("orders.payload_codec")


class UndecryptablePayloadError(UnreadablePayloadError):
    """A payload is encrypted with a key that this process does not have, or was changed."""


class AesGcmCodec(PayloadCodec):
    """Encrypts each payload whole, its type included, and puts the result into another payload as its data.

    Args:
        keys: the first encrypts, all decrypt; a new key is put before the others, and an old one taken away when
            nothing that it encrypted is needed any more.
        allow_unencrypted: whether a payload that is not encrypted is read as it is.
    """

    def __init__(self, keys: Sequence[CodecKey], *, allow_unencrypted: bool = False) -> None:
        self._encrypting_id = keys[0].key_id
        self._ciphers = {key.key_id: AESGCM(key.key) for key in keys}
        self._allow_unencrypted = allow_unencrypted

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts each payload."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts each payload.

        A payload that is not encrypted is replaced by one that no reader accepts. A signal that somebody sent by hand
        is then answered as invalid; an error here would stop its order for good.

        Raises:
            UndecryptablePayloadError: a key is missing. In a worker that fails the workflow task, which Temporal
                repeats until the key is there: nothing is lost.
        """
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._encrypting_id]
        sealed = cipher.encrypt(nonce, payload.SerializeToString(), _bound_to(self._encrypting_id))
        metadata = {"encoding": ENCRYPTED.encode(), KEY_ID_FIELD: self._encrypting_id.encode()}
        return Payload(metadata=metadata, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCRYPTED.encode():
            return payload if self._allow_unencrypted else _refused()
        key_id = payload.metadata.get(KEY_ID_FIELD, b"").decode("utf-8", "replace")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            named = f"the key {key_id!r}" if is_key_id(key_id) else "a key without a proper id"
            raise UndecryptablePayloadError(
                f"a payload in Temporal is encrypted with {named}, which TEMPORAL_CODEC_KEYS does not have: "
                "add it behind the key that encrypts"
            )
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, _bound_to(key_id)))
        except (InvalidTag, ValueError, DecodeError) as error:
            raise UndecryptablePayloadError(
                f"a payload in Temporal cannot be decrypted with the key {key_id!r} of TEMPORAL_CODEC_KEYS: "
                "another key was used under this id, or the payload was changed"
            ) from error


def _bound_to(key_id: str) -> bytes:
    return _BOUND_TO + key_id.encode()


def _refused() -> Payload:
    _log.warning(
        "payload.unencrypted.refused",
        action="give its sender TEMPORAL_CODEC_KEYS, or set TEMPORAL_CODEC_ALLOW_UNENCRYPTED for a while",
    )
    return Payload(metadata={"encoding": REFUSED.encode()})
