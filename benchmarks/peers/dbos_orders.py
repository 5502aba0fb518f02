"""The order on DBOS: its own Kafka consumers, a workflow with a step for each thing done, the approval by a message.

Started as ``python dbos_orders.py`` in the peers' environment. Written as DBOS's documentation has it: steps over its
system database in the same Postgres, ``recv`` for the approval, shipping as a child workflow.
"""

import asyncio
import json
import os
import threading
from typing import Any

from dbos import DBOS, DBOSConfig, KafkaMessage, SetWorkflowID

from benchmarks.peers.books import Books

KAFKA = {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"], "auto.offset.reset": "earliest"}
SYSTEM_DATABASE = (
    f"postgresql://{os.environ['DB_USER']}:{os.environ['DB_PASSWORD']}"
    f"@{os.environ['DB_HOST']}:{os.environ['DB_PORT']}/dbos_orders"
)
CONFIG: DBOSConfig = {"name": "orders", "system_database_url": SYSTEM_DATABASE, "log_level": "WARNING"}
if "DBOS_KAFKA_POLLING_SECONDS" in os.environ:
    CONFIG["kafka_queue_polling_interval_sec"] = float(os.environ["DBOS_KAFKA_POLLING_SECONDS"])

DBOS(config=CONFIG)

_books: Books | None = None
_opening = asyncio.Lock()


async def books() -> Books:
    """The connections, made by the first step that needs them."""
    global _books  # noqa: PLW0603 -- one for the process, in the loop that its workflows run on
    async with _opening:
        if _books is None:
            _books = await Books.open()
    return _books


@DBOS.step(retries_allowed=True, max_attempts=100)
async def receive_order(order: dict[str, Any]) -> None:
    await (await books()).receive(order)


@DBOS.step(retries_allowed=True, max_attempts=100)
async def validate_order(order: dict[str, Any]) -> bool:
    return await (await books()).validate(order)


@DBOS.step(retries_allowed=True, max_attempts=100)
async def record_approval(order: dict[str, Any], approval: dict[str, Any]) -> None:
    await (await books()).approve(order, approval)


@DBOS.step(retries_allowed=True, max_attempts=100)
async def charge_payment(order: dict[str, Any]) -> None:
    await (await books()).charge(order)


@DBOS.step(retries_allowed=True, max_attempts=100)
async def prepare_package(order: dict[str, Any]) -> None:
    await (await books()).prepare(order)


@DBOS.step(retries_allowed=True, max_attempts=100)
async def dispatch_carrier(order: dict[str, Any]) -> str:
    return await (await books()).dispatch(order)


@DBOS.step(retries_allowed=True, max_attempts=100)
async def mark_order_shipped(order: dict[str, Any], tracking_id: str) -> None:
    await (await books()).mark_shipped(order, tracking_id)


@DBOS.step(retries_allowed=True, max_attempts=100)
async def complete_order(order: dict[str, Any], tracking_id: str) -> None:
    await (await books()).complete(order, tracking_id)


@DBOS.workflow()
async def shipping_workflow(order: dict[str, Any]) -> str:
    await prepare_package(order)
    return await dispatch_carrier(order)


@DBOS.workflow()
async def order_workflow(order: dict[str, Any]) -> str:
    await receive_order(order)
    if not await validate_order(order):
        return "REJECTED"
    approval = await DBOS.recv_async("approved", timeout_seconds=30)
    if approval is None:
        return "EXPIRED"
    await record_approval(order, approval)
    await charge_payment(order)
    tracking_id = await shipping_workflow(order)
    await mark_order_shipped(order, tracking_id)
    await complete_order(order, tracking_id)
    return "COMPLETED"


@DBOS.kafka_consumer({**KAFKA, "group.id": "dbos-created"}, ["order.created"])
@DBOS.workflow()
async def on_created(message: KafkaMessage) -> None:
    order = json.loads(message.value or b"")
    with SetWorkflowID(order["order_id"]):
        await DBOS.start_workflow_async(order_workflow, order)


@DBOS.kafka_consumer({**KAFKA, "group.id": "dbos-approved"}, ["order.approved"])
@DBOS.workflow()
async def on_approved(message: KafkaMessage) -> None:
    approval = json.loads(message.value or b"")
    await DBOS.send_async(approval["order_id"], approval, topic="approved")


if __name__ == "__main__":
    DBOS.launch()
    threading.Event().wait()
