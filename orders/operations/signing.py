"""Signs a message, as upstream would: with a private key of somebody whose public key the bridges have."""

from dataclasses import replace
from pathlib import Path
from time import time
from uuid import uuid4

from bridge import Record, RefusedError
from orders.errors import UsageError
from orders.mapping import OrderMapping
from orders.operations.messages import Message
from orders.settings import Settings
from orders.signatures.keys import KeysError, read_private_key
from orders.signatures.signature import SIGNATURE_HEADER, Claims, sign, value_digest
from schemas.event_types import EventType


def signed_message(
    settings: Settings, event_type: EventType, message: Message, path: Path, key_id: str | None
) -> Message:
    """The message with a signature among its headers.

    It is read as the bridge reads it: what has no id or time of its own is given them by its signature.

    Args:
        settings: how much of a message is read.
        event_type: what happened.
        message: to be signed.
        path: the private key: in PEM form, or a JWK.
        key_id: its id; None for the JWK's own, or the name of the PEM file without its end.

    Raises:
        UsageError: the key cannot be used, or the message breaks the contract.
    """
    try:
        key = read_private_key(path, key_id)
    except KeysError as error:
        raise UsageError(f"the key to sign with, {path}, {error}") from None
    record = Record(event_type.value, 0, 0, int(time() * 1_000), None, message.value, message.headers)
    try:
        read = OrderMapping({event_type.value: event_type}, limits=settings.read_limits).read(record)
    except RefusedError as error:
        raise UsageError(f"the message cannot be signed, as a bridge would set it aside: {error}") from None
    claims = Claims.model_validate(
        {
            "order_id": read.order_id,
            "type": event_type.value,
            "event_id": read.own_id or f"cli:{uuid4()}",
            "occurred_at": read.event.occurred_at,
            "value_sha256": value_digest(message.value),
        }
    )
    return replace(message, headers=(*message.headers, (SIGNATURE_HEADER, sign(claims, key))))
