"""The codec: what it hides, what it refuses, and what it says then."""

import base64
import secrets
from typing import Any

import pytest
from structlog.testing import capture_logs
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import ActivitySerializationContext, SerializationContext, WorkflowSerializationContext
from temporalio.exceptions import ApplicationError

from orders.clients.payload_codec import KEY_ID_FIELD, PLACE_FIELD, AesGcmCodec, UndecryptablePayloadError
from orders.clients.temporal import temporal_data_converter
from orders.settings import Settings
from orders.settings.codec_keys import parse_codec_keys
from schemas.workflow_io import OrderWorkflowInput
from workflows.converter import (
    DATA_CONVERTER,
    EncryptedPayloadError,
    ForeignPayloadError,
    UnencryptedPayloadError,
    encrypting,
)

CANARY = "canary-7d1f"


def new_key(key_id: str) -> str:
    """A key as it stands in the setting."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


OLD, NEW = new_key("old"), new_key("new")


def activity_of(workflow_id: str | None) -> ActivitySerializationContext:
    """The place of an activity in the namespace `shop`."""
    return ActivitySerializationContext(
        namespace="shop",
        workflow_id=workflow_id,
        activity_id="1",
        activity_type="charge_payment",
        activity_task_queue="order-tq",
        workflow_type=None,
        is_local=False,
    )


def codec(*keys: str, allow_unencrypted: bool = False) -> AesGcmCodec:
    return AesGcmCodec(parse_codec_keys(",".join(keys)), allow_unencrypted=allow_unencrypted)


async def encoded(*keys: str, value: Any = CANARY) -> Payload:
    (payload,) = await encrypting(codec(*keys)).encode([value])
    return payload


async def test_nothing_of_a_payload_can_be_read_and_it_comes_back_as_it_was() -> None:
    value = OrderWorkflowInput(order_id=CANARY)
    payload = await encoded(OLD, value=value)
    assert CANARY.encode() not in payload.SerializeToString()
    assert b"json" not in payload.SerializeToString()
    assert payload.metadata[KEY_ID_FIELD] == b"old"
    assert await encrypting(codec(OLD)).decode([payload], [OrderWorkflowInput]) == [value]


async def test_the_same_payload_is_never_encrypted_to_the_same_bytes() -> None:
    assert len({(await encoded(OLD)).data for _ in range(50)}) == 50


async def test_the_first_key_encrypts_and_all_decrypt() -> None:
    before = await encoded(OLD)
    rotated = encrypting(codec(NEW, OLD))
    assert await rotated.decode([before], [str]) == [CANARY]
    (after,) = await rotated.encode([CANARY])
    assert after.metadata[KEY_ID_FIELD] == b"new"
    assert await encrypting(codec(OLD, NEW)).decode([after], [str]) == [CANARY]


async def test_a_key_that_is_missing_is_named_together_with_the_setting() -> None:
    with pytest.raises(UndecryptablePayloadError, match=r"the key 'old', which TEMPORAL_CODEC_KEYS does not have"):
        await codec(NEW).decode([await encoded(OLD)])


@pytest.mark.parametrize("position", [0, 11, 12, -1])
async def test_a_changed_payload_is_refused(position: int) -> None:
    payload = await encoded(OLD)
    changed = bytearray(payload.data)
    changed[position] ^= 1
    payload.data = bytes(changed)
    with pytest.raises(UndecryptablePayloadError, match="cannot be decrypted with the key 'old'"):
        await codec(OLD).decode([payload])


async def test_a_payload_cannot_pass_under_another_keys_id() -> None:
    """The same key under two ids: the id is authenticated too."""
    payload = await encoded(OLD)
    payload.metadata[KEY_ID_FIELD] = b"alias"
    with pytest.raises(UndecryptablePayloadError, match="another key was used under this id"):
        await codec(OLD, OLD.replace("old:", "alias:")).decode([payload])


HERE = WorkflowSerializationContext(namespace="shop", workflow_id="order:o-1")
ANOTHER = WorkflowSerializationContext(namespace="shop", workflow_id="order:o-2")
ELSEWHERE = {
    "another order": ANOTHER,
    "a child of the order": WorkflowSerializationContext(namespace="shop", workflow_id="shipping:o-1:1"),
    "another namespace": WorkflowSerializationContext(namespace="shop-test", workflow_id="order:o-1"),
    "an activity of another order": activity_of("order:o-2"),
    "an activity of no workflow": activity_of(None),
    "nowhere": None,
}


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE.keys())
async def test_a_payload_is_of_no_use_in_another_place(place: SerializationContext | None) -> None:
    converter = encrypting(codec(OLD))
    there = converter if place is None else converter.with_context(place)
    for source, target in ((converter.with_context(HERE), there), (there, converter.with_context(HERE))):
        payloads = await source.encode([CANARY])
        with capture_logs() as logs, pytest.raises(ForeignPayloadError, match="encrypted for another workflow"):
            await target.decode(payloads, [str])
        assert [entry["event"] for entry in logs] == ["payload.foreign.refused"]


async def test_that_a_payload_was_moved_cannot_be_hidden_by_a_change_of_what_it_says() -> None:
    converter = encrypting(codec(OLD))
    (payload,) = await converter.with_context(HERE).encode([CANARY])
    payload.metadata[PLACE_FIELD] = b"shop/order:o-2"
    with pytest.raises(UndecryptablePayloadError, match="the payload was changed"):
        await converter.with_context(ANOTHER).decode([payload], [str])


async def test_an_activity_reads_what_its_workflow_has_encrypted() -> None:
    converter = encrypting(codec(OLD))
    payloads = await converter.with_context(HERE).encode([CANARY])
    assert await converter.with_context(activity_of("order:o-1")).decode(payloads, [str]) == [CANARY]


@pytest.mark.parametrize("data", [b"", b"short", bytes(12), bytes(27)])
async def test_rubbish_is_refused_as_such(data: bytes) -> None:
    payload = await encoded(OLD)
    payload.data = data
    with pytest.raises(UndecryptablePayloadError, match="TEMPORAL_CODEC_KEYS"):
        await codec(OLD).decode([payload])


async def test_a_key_id_that_is_none_is_not_shown() -> None:
    payload = await encoded(OLD)
    payload.metadata[KEY_ID_FIELD] = f"\x1b[31m {CANARY}".encode()
    with pytest.raises(UndecryptablePayloadError) as refused:
        await codec(OLD).decode([payload])
    assert CANARY not in str(refused.value)


async def test_an_unencrypted_payload_is_refused_where_there_are_keys() -> None:
    plain = await DATA_CONVERTER.encode([CANARY])
    with pytest.raises(UnencryptedPayloadError, match="TEMPORAL_CODEC_KEYS is set") as refused:
        await encrypting(codec(OLD)).decode(plain, [str])
    assert CANARY not in str(refused.value)
    lenient = encrypting(codec(OLD, allow_unencrypted=True), allow_unencrypted=True)
    assert await lenient.decode(plain, [str]) == [CANARY]
    assert await lenient.decode([await encoded(OLD)], [str]) == [CANARY]


async def test_an_encrypted_payload_is_refused_with_the_settings_name_where_there_are_no_keys() -> None:
    with pytest.raises(EncryptedPayloadError, match="TEMPORAL_CODEC_KEYS is not set"):
        await DATA_CONVERTER.decode([await encoded(OLD)], [str])


async def test_a_failures_message_and_trace_are_encrypted_and_come_back() -> None:
    converter = encrypting(codec(OLD))
    with pytest.raises(ApplicationError) as raised:
        raise ApplicationError(f"of {CANARY}", f"detail {CANARY}", type="Odd") from ValueError(f"cause {CANARY}")
    failure = Failure()
    await converter.encode_failure(raised.value, failure)
    assert CANARY.encode() not in failure.SerializeToString()
    back = await converter.decode_failure(failure)
    assert isinstance(back, ApplicationError)
    assert (back.message, back.type) == (f"of {CANARY}", "Odd")


async def test_settings_with_keys_make_clients_encrypt() -> None:
    settings = Settings(_env_file=None, temporal_codec_keys=f"{NEW}, {OLD}")
    (payload,) = await temporal_data_converter(settings).encode([CANARY])
    assert payload.metadata[KEY_ID_FIELD] == b"new"
    assert temporal_data_converter(Settings(_env_file=None)) is DATA_CONVERTER


async def test_no_key_is_shown_by_the_settings() -> None:
    settings = Settings(_env_file=None, temporal_codec_keys=OLD)
    key = OLD.partition(":")[2]
    assert key not in repr(settings) + settings.model_dump_json() + repr(parse_codec_keys(OLD))
