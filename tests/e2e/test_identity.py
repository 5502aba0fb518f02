"""What an order and its events are called: no name meets another's, and none is swallowed."""

import json
import secrets
from typing import Any

from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from schemas.event_types import EventType
from tests.e2e.test_main_job import COMPLETED_PATH, rejections_of, send
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.system import OrderSystem


@workflow.defn(name="SomebodyElses")
class SomebodyElses:
    """A workflow of another team, under the very id of an order."""

    def __init__(self) -> None:
        self._is_done = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._is_done)

    @workflow.signal
    def done(self) -> None:
        self._is_done = True


async def shown(system: OrderSystem, command: str, order_id: str) -> dict[str, Any]:
    ended = await run_in_process([command, order_id, "--json"], system.settings)
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


async def test_an_order_may_be_called_like_a_workflow_of_ours_or_of_others(system: OrderSystem) -> None:
    plain = f"s{secrets.token_hex(4)}"
    ids = [plain, f"shipping:{plain}:1", f"order:{plain}", f"late:{plain}:{'0' * 32}", f"{plain}:1", f"taken-{plain}"]
    queue = f"others-{plain}"
    async with Worker(
        system.client, task_queue=queue, workflows=[SomebodyElses], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        theirs = await system.client.start_workflow("SomebodyElses", id=ids[-1], task_queue=queue)
        for order_id in ids:
            body = {"order_id": order_id, "payment_id": f"p-{order_id}", "amount": 7}
            await send(system, EventType.ORDER_CREATED, body)
            await send(system, EventType.ORDER_APPROVED, {"order_id": order_id})
        for order_id in ids:
            await system.wait_until_states(order_id, *COMPLETED_PATH)
        await system.wait_until_drained()
        await theirs.signal("done")
        await theirs.result()
    for order_id in ids:
        status, known = await shown(system, "status", order_id), await shown(system, "explain", order_id)
        assert (status["order_id"], status["state"]) == (order_id, "COMPLETED")
        runs = {(run["workflow_id"], run["type"]) for run in known["temporal"]["runs"]}
        assert runs == {(f"order:{order_id}", "OrderWorkflow"), (f"shipping:{order_id}:1", "ShippingWorkflow")}
        assert known["temporal"]["result"]["order_id"] == order_id


async def test_one_event_id_on_messages_of_several_types_is_refused_but_the_first(system: OrderSystem) -> None:
    """People take the order's id for it. While the order lives, and after its end."""
    order_id = f"o-{secrets.token_hex(6)}"
    created = {"order_id": order_id, "payment_id": f"p-{order_id}", "amount": 7, "event_id": order_id}
    await send(system, EventType.ORDER_CREATED, created)
    await system.wait_until_states(order_id, "RECEIVED", "VALIDATED")
    await send(system, EventType.ORDER_APPROVED, {"order_id": order_id, "event_id": order_id})
    await send(system, EventType.ORDER_APPROVED, {"order_id": order_id, "event_id": order_id})
    await system.wait_until_drained()
    await send(system, EventType.ORDER_APPROVED, {"order_id": order_id, "event_id": "another"})
    await system.wait_until_states(order_id, *COMPLETED_PATH)
    await system.wait_until_idle()
    for _ in range(2):
        await send(system, EventType.ORDER_CANCELLED, {"order_id": order_id, "event_id": order_id})
    await send(system, EventType.ORDER_CREATED, created)
    await system.wait_until_idle()
    evidence = await system.evidence()
    assert rejections_of(evidence, order_id) == [
        ("order.approved", "event_id_reused"),
        ("order.cancelled", "event_id_reused"),
    ]
    known = await shown(system, "explain", order_id)
    outcomes = [(record["topic"], record["outcome"]) for record in known["kafka"]["records"]]
    assert sorted(outcomes) == sorted(
        [
            (system.topic_of(EventType.ORDER_CREATED), "applied"),
            (system.topic_of(EventType.ORDER_CREATED), "applied"),
            (system.topic_of(EventType.ORDER_APPROVED), "rejected (event_id_reused)"),
            (system.topic_of(EventType.ORDER_APPROVED), "rejected (event_id_reused)"),
            (system.topic_of(EventType.ORDER_APPROVED), "applied"),
            (system.topic_of(EventType.ORDER_CANCELLED), "rejected (event_id_reused)"),
            (system.topic_of(EventType.ORDER_CANCELLED), "rejected (event_id_reused)"),
        ]
    )


async def test_headers_with_a_dash_are_an_identity_and_adjustments_are_charged(system: OrderSystem) -> None:
    order_id = f"o-{secrets.token_hex(6)}"
    body = {
        "order_id": order_id,
        "payment_id": f"p-{order_id}",
        "items": [{"sku": "mug", "quantity": 2.0, "unit_amount": 1250}],
        "adjustments": [{"kind": "discount", "amount": -250}, {"kind": "shipping", "amount": 490}],
        "customer_id": None,
    }
    attributes = {"specversion": "1.0", "id": order_id, "source": "/shop", "type": "order.created"}
    headers = tuple((f"ce-{name}", f'"{value}"'.encode()) for name, value in attributes.items())
    topic = system.topic_of(EventType.ORDER_CREATED)
    record = Outgoing(topic, json.dumps(body).encode(), f'"{order_id}"'.encode(), headers)
    await system.produce([record, record])
    await send(system, EventType.ORDER_APPROVED, {"order_id": order_id})
    await system.wait_until_states(order_id, *COMPLETED_PATH)
    await system.wait_until_idle()
    evidence = await system.evidence()
    bodies = evidence.published_of(order_id)
    assert bodies[0]["cause"]["event_id"] == f"/shop|{order_id}"
    assert (bodies[-1]["amount"], [one["amount"] for one in bodies[-1]["adjustments"]]) == (2740, [-250, 490])
    assert [entry.amount for entry in evidence.ledger if entry.payment_id == f"p-{order_id}"] == [2740]
