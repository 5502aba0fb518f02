"""Orders whose payloads are encrypted, on the real server: keys that change, that are missing, and senders without."""

import base64
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType as HistoryEventType
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.testing import WorkflowEnvironment

from orders.clients.payload_codec import KEY_ID_FIELD, AesGcmCodec
from orders.settings.codec_keys import parse_codec_keys
from schemas.states import OrderState, OrderStep
from stack.endpoints import Endpoints
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CREATED, Bench, running
from workflows.converter import DATA_CONVERTER, encrypting
from workflows.names import order_workflow_id

CANARY = "canary of 3b9e"
PATIENCE_SECONDS = 60.0
"""On a busy machine."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


def new_key(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


OLD, NEW = new_key("old"), new_key("new")


def with_keys(*keys: str, allow_unencrypted: bool = False) -> DataConverter:
    return encrypting(AesGcmCodec(parse_codec_keys(",".join(keys)), allow_unencrypted=allow_unencrypted))


async def bench_with(endpoints: Endpoints, converter: DataConverter, like: Bench | None = None) -> Bench:
    """A bench whose client and workers convert so, on the queues and books of another one."""
    environment = WorkflowEnvironment.from_client(
        await Client.connect(endpoints.temporal_host, data_converter=converter)
    )
    if like is not None:
        return replace(like, env=environment, handles={})
    return Bench(environment, task_timeout=timedelta(seconds=3))


async def awaits_approval(bench: Bench, order_id: str) -> None:
    """Waits until it does."""

    async def is_there() -> bool:
        return (await bench.status(order_id)).step is OrderStep.AWAITING_MANUAL_APPROVAL

    await assert_eventually(is_there, PATIENCE_SECONDS, "the order awaits approval")


async def fails_a_task(reader: Bench, order_id: str, saying: str) -> None:
    """Waits until it has."""
    await assert_eventually(
        lambda: has_failed_a_task(reader, order_id, saying), PATIENCE_SECONDS, f"a workflow task that failed: {saying}"
    )


async def has_failed_a_task(bench: Bench, order_id: str, saying: str) -> bool:
    """Whether a workflow task failed; its reason is read by whoever has the keys."""
    history = await bench.client.get_workflow_handle(order_workflow_id(order_id)).fetch_history()
    failures = [
        event.workflow_task_failed_event_attributes.failure
        for event in history.events
        if event.event_type == HistoryEventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    ]
    errors = [await bench.client.data_converter.decode_failure(failure) for failure in failures]
    return any(saying in str(error) for error in errors)


def key_ids(history: WorkflowHistory) -> set[str]:
    """The keys that a history needs."""
    text = b"".join(event.SerializeToString() for event in history.events)
    return {
        name for name in ("old", "new") if KEY_ID_FIELD.encode() + b"\x12" + bytes([len(name)]) + name.encode() in text
    }


async def test_a_run_that_was_begun_with_the_old_key_ends_with_the_new_one(endpoints: Endpoints, order_id: str) -> None:
    before = await bench_with(endpoints, with_keys(OLD))
    async with running(before, max_cached_workflows=0):
        await before.send(order_id, CREATED, customer_id=CANARY, shipping_address={"street": CANARY})
        await awaits_approval(before, order_id)
    after = await bench_with(endpoints, with_keys(NEW, OLD), before)
    async with running(after, max_cached_workflows=0):
        await after.send(order_id, APPROVED)
        result = await after.result(order_id)
        history = await after.handle(order_id).fetch_history()
    assert result.state is OrderState.COMPLETED
    assert key_ids(history) == {"old", "new"}
    assert CANARY.encode() not in b"".join(event.SerializeToString() for event in history.events)
    after.check()


async def test_a_worker_that_lacks_the_key_loses_nothing(endpoints: Endpoints, order_id: str) -> None:
    complete = await bench_with(endpoints, with_keys(NEW, OLD))
    lacking = await bench_with(endpoints, with_keys(NEW), complete)
    sender = await bench_with(endpoints, with_keys(OLD), complete)
    async with running(lacking, max_cached_workflows=0):
        await sender.send(order_id, CREATED)
        await fails_a_task(complete, order_id, "the key 'old'")
    async with running(complete, max_cached_workflows=0):
        await complete.send(order_id, APPROVED)
        assert (await complete.result(order_id)).state is OrderState.COMPLETED
    complete.check()


async def test_a_signal_without_encryption_is_refused_as_invalid_and_stops_nothing(
    endpoints: Endpoints, order_id: str
) -> None:
    """As somebody sends it by hand from Temporal's UI."""
    bench = await bench_with(endpoints, with_keys(OLD))
    plain = await bench_with(endpoints, DATA_CONVERTER, bench)
    async with running(bench):
        await bench.send(order_id, CREATED)
        await awaits_approval(bench, order_id)
        await plain.send(order_id, ADDRESS, "by-hand")
        await bench.send(order_id, APPROVED)
        assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert "invalid" in bench.story(order_id)
    assert "address" not in bench.story(order_id)


async def test_a_run_without_encryption_waits_until_it_is_allowed(endpoints: Endpoints, order_id: str) -> None:
    plain = await bench_with(endpoints, DATA_CONVERTER)
    strict = await bench_with(endpoints, with_keys(OLD), plain)
    lenient = await bench_with(endpoints, with_keys(OLD, allow_unencrypted=True), plain)
    await plain.send(order_id, CREATED)
    async with running(strict, max_cached_workflows=0):
        await fails_a_task(lenient, order_id, "Failed decoding arguments")
    async with running(lenient, max_cached_workflows=0):
        await lenient.send(order_id, APPROVED)
        assert (await lenient.result(order_id)).state is OrderState.COMPLETED
    lenient.check()


async def test_a_worker_without_keys_leaves_an_encrypted_event_to_one_that_has_them(
    endpoints: Endpoints, order_id: str
) -> None:
    plain = await bench_with(endpoints, DATA_CONVERTER)
    keyed = await bench_with(endpoints, with_keys(OLD, allow_unencrypted=True), plain)
    async with running(plain, max_cached_workflows=0):
        await plain.send(order_id, CREATED)
        await awaits_approval(plain, order_id)
        await keyed.send(order_id, APPROVED)
        await fails_a_task(plain, order_id, "TEMPORAL_CODEC_KEYS is not set")
    async with running(keyed, max_cached_workflows=0):
        assert (await keyed.result(order_id)).state is OrderState.COMPLETED
    keyed.check()
