"""Encrypts every payload on its way to Temporal, and decrypts what comes back: AES-256 in Galois/counter mode."""

import os
from collections.abc import Sequence
from copy import copy
from typing import Final, Self

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from orders.settings.codec_keys import CodecKey, is_key_id
from workflows.converter import ENCRYPTED, FOREIGN, REFUSED, ForeignPayloadError, UnreadablePayloadError

KEY_ID_FIELD: Final = "encryption-key-id"
"""In the payload's metadata, as in Temporal's own samples."""

NONCE_BYTES: Final = 12
"""What GCM is made for. They are random: one key serves for 2**32 payloads (NIST SP 800-38D, section 8.3)."""

PLACE_FIELD: Final = "encryption-place"
"""In the payload's metadata: the namespace and the id of the workflow that it was encrypted for."""

_BOUND_TO: Final = "temporal-order-orchestrator/payload/2"
"""Authenticated with each payload, together with the key's id and the place: none can be exchanged for another."""

_log = structlog.get_logger("orders.payload_codec")


class UndecryptablePayloadError(UnreadablePayloadError):
    """A payload is encrypted with a key that this process does not have, or was changed."""


class AesGcmCodec(PayloadCodec, WithSerializationContext):
    """Encrypts each payload whole, its type included, and puts the result into another payload as its data.

    A payload is bound to its place: the namespace and the workflow that it goes to, or comes from; an activity's
    payloads are its workflow's. In another place it cannot be decrypted. So whoever can write to the namespace, and has
    no key, cannot take the approval of one order for another.

    Args:
        keys: the first encrypts, all decrypt; a new key is put before the others, and an old one taken away when
            nothing that it encrypted is needed any more.
        allow_unencrypted: whether a payload that is not encrypted is read as it is.
    """

    def __init__(self, keys: Sequence[CodecKey], *, allow_unencrypted: bool = False) -> None:
        self._encrypting_id = keys[0].key_id
        self._ciphers = {key.key_id: AESGCM(key.key) for key in keys}
        self._allow_unencrypted = allow_unencrypted
        self._place = ""
        """Where payloads belong; empty where the SDK does not say: they belong to no workflow then."""

    def with_context(self, context: SerializationContext) -> Self:
        """The same codec for the payloads of one workflow; the SDK asks for it before it encodes or decodes."""
        bound = copy(self)
        bound._place = _place_of(context)  # noqa: SLF001 -- its own kind
        return bound

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts each payload."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts each payload.

        A payload that is not encrypted, or was encrypted for another place, is replaced by one that no reader accepts.
        A signal that somebody sent by hand is then answered as invalid; an error here would stop its order for good.

        Raises:
            UndecryptablePayloadError: a key is missing. In a worker that fails the workflow task, which Temporal
                repeats until the key is there: nothing is lost.
        """
        return [self._decrypt(payload) for payload in payloads]

    def decode_in_place(self, payload: Payload, namespace: str) -> Payload:
        """Decrypts a payload for a person who looks at it, wherever it is: by the place that it says it is of.

        That place is authenticated with it, so what it says is true of where it was *made*. Whether it still stands
        there cannot be told without knowing where it was found, which Temporal's UI does not say; so the place stays in
        the metadata of what is returned. What is not encrypted is returned as it is.

        Args:
            payload: as Temporal keeps it.
            namespace: of which it has to be.

        Raises:
            UnreadablePayloadError: a key is missing, it was changed, or it is of another namespace.
        """
        if payload.metadata.get("encoding") != ENCRYPTED.encode():
            return payload
        place = payload.metadata.get(PLACE_FIELD, b"").decode("utf-8", "replace")
        if place and not place.startswith(f"{namespace}/"):
            raise ForeignPayloadError("a payload was encrypted in another namespace than it is asked for")
        there = copy(self)
        there._place = place  # noqa: SLF001 -- its own kind
        opened = there._decrypt(payload)  # noqa: SLF001
        opened.metadata[PLACE_FIELD] = place.encode()
        return opened

    def _encrypt(self, payload: Payload) -> Payload:
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._encrypting_id]
        sealed = cipher.encrypt(nonce, payload.SerializeToString(), self._bound_to(self._encrypting_id))
        metadata = {
            "encoding": ENCRYPTED.encode(),
            KEY_ID_FIELD: self._encrypting_id.encode(),
            PLACE_FIELD: self._place.encode(),
        }
        return Payload(metadata=metadata, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCRYPTED.encode():
            return payload if self._allow_unencrypted else _refused()
        if payload.metadata.get(PLACE_FIELD, b"") != self._place.encode():
            return _foreign()
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
            return Payload.FromString(cipher.decrypt(nonce, sealed, self._bound_to(key_id)))
        except (InvalidTag, ValueError, DecodeError) as error:
            raise UndecryptablePayloadError(
                f"a payload in Temporal cannot be decrypted with the key {key_id!r} of TEMPORAL_CODEC_KEYS: "
                "another key was used under this id, or the payload was changed"
            ) from error

    def _bound_to(self, key_id: str) -> bytes:
        # No part holds the character that stands between them.
        return f"{_BOUND_TO}\0{key_id}\0{self._place}".encode()


def _place_of(context: SerializationContext) -> str:
    if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext) and context.workflow_id:
        # Neither id of ours holds a slash, so that no two places are written alike.
        return f"{context.namespace}/{context.workflow_id}"
    return ""


def _foreign() -> Payload:
    _log.warning(
        "payload.foreign.refused",
        action="find out who writes to the namespace: a payload was taken from one workflow and put into another",
    )
    return Payload(metadata={"encoding": FOREIGN.encode()})


def _refused() -> Payload:
    _log.warning(
        "payload.unencrypted.refused",
        action="give its sender TEMPORAL_CODEC_KEYS, or set TEMPORAL_CODEC_ALLOW_UNENCRYPTED for a while",
    )
    return Payload(metadata={"encoding": REFUSED.encode()})
