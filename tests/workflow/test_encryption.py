"""Orders whose payloads are encrypted, on the real server: keys that change, that are missing, and senders without."""

import base64
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType as HistoryEventType
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.testing import WorkflowEnvironment

from orders.clients.payload_codec import KEY_ID_FIELD, AesGcmCodec
from orders.settings.codec_keys import parse_codec_keys
from schemas.event_types import INBOUND
from schemas.inbound import InboundEvent
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
    codec = AesGcmCodec(parse_codec_keys(",".join(keys)), allow_unencrypted=allow_unencrypted)
    return encrypting(codec, allow_unencrypted=allow_unencrypted)


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
    description = await bench.client.get_workflow_handle(order_workflow_id(order_id)).describe()
    history = await bench.client.get_workflow_handle(order_workflow_id(order_id)).fetch_history()
    failures = [
        event.workflow_task_failed_event_attributes.failure
        for event in history.events
        if event.event_type == HistoryEventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    ]
    errors = [await description.data_converter.decode_failure(failure) for failure in failures]
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


@pytest.mark.parametrize("arguments", [[], [{}], [InboundEvent()]], ids=["nothing", "an object", "an empty event"])
async def test_a_signal_that_says_nothing_is_refused_where_keys_are_set(
    endpoints: Endpoints, order_id: str, arguments: list[Any]
) -> None:
    """It would approve an order for whoever may write to the namespace; nothing in it could be encrypted."""
    bench = await bench_with(endpoints, with_keys(OLD))
    plain = await bench_with(endpoints, DATA_CONVERTER, bench)
    async with running(bench):
        await bench.send(order_id, CREATED)
        await awaits_approval(bench, order_id)
        await plain.signal_with_start(order_id, INBOUND[APPROVED].signal, arguments)
        await bench.publishes(order_id, 3)
        assert bench.story(order_id) == ["RECEIVED", "VALIDATED", "invalid"]
        await bench.send(order_id, APPROVED)
        assert (await bench.result(order_id)).state is OrderState.COMPLETED


async def test_without_keys_a_signal_that_says_nothing_counts_as_before(endpoints: Endpoints, order_id: str) -> None:
    """As somebody approves by hand in Temporal's UI."""
    bench = await bench_with(endpoints, with_keys(OLD, allow_unencrypted=True))
    plain = await bench_with(endpoints, DATA_CONVERTER, bench)
    async with running(bench):
        await bench.send(order_id, CREATED)
        await awaits_approval(bench, order_id)
        await plain.signal_with_start(order_id, INBOUND[APPROVED].signal, [])
        assert (await bench.result(order_id)).state is OrderState.COMPLETED


async def test_what_was_encrypted_for_one_order_is_refused_by_another_which_goes_on(
    endpoints: Endpoints, order_id: str
) -> None:
    """I2: the approval of one order, its bytes as they are in Temporal, and a result of one of its activities."""
    bench, other = await bench_with(endpoints, with_keys(OLD)), f"{order_id}-other"
    async with running(bench):
        for one in (order_id, other):
            await bench.send(one, CREATED)
            await awaits_approval(bench, one)
        await bench.send(order_id, APPROVED)
        await bench.result(order_id)
        history = await bench.handle(order_id).fetch_history()
        approval = next(
            event.workflow_execution_signaled_event_attributes.input
            for event in history.events
            if event.workflow_execution_signaled_event_attributes.signal_name == INBOUND[APPROVED].signal
        )
        assert list(approval.payloads[0].metadata) != []
        await signal_as_it_is(bench, other, INBOUND[APPROVED].signal, approval)
        await bench.publishes(other, 3)
        assert bench.story(other) == ["RECEIVED", "VALIDATED", "invalid"]
        await bench.send(other, APPROVED)
        assert (await bench.result(other)).state is OrderState.COMPLETED


async def test_what_an_order_s_own_activity_answered_is_no_event_of_it(endpoints: Endpoints, order_id: str) -> None:
    """It can be decrypted there: but it says of no event what it is."""
    bench = await bench_with(endpoints, with_keys(OLD))
    async with running(bench):
        await bench.send(order_id, CREATED)
        await awaits_approval(bench, order_id)
        history = await bench.handle(order_id).fetch_history()
        answer = next(
            event.activity_task_completed_event_attributes.result
            for event in history.events
            if event.activity_task_completed_event_attributes.result.payloads
        )
        await signal_as_it_is(bench, order_id, INBOUND[APPROVED].signal, answer)
        await bench.publishes(order_id, 3)
        assert bench.story(order_id) == ["RECEIVED", "VALIDATED", "invalid"]
        await bench.send(order_id, APPROVED)
        assert (await bench.result(order_id)).state is OrderState.COMPLETED


async def signal_as_it_is(bench: Bench, order_id: str, signal: str, payloads: Payloads) -> None:
    """Signals an order with bytes as they stand in a history: for that nobody needs a key."""
    await bench.client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=bench.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=order_workflow_id(order_id)),
            signal_name=signal,
            input=payloads,
        )
    )


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
