"""The API's baseline: FastAPI routes that do nothing but the same calls on Temporal, for ``benchmarks.api_calls``.

``python -m benchmarks.api_bare PORT`` serves them, on the Temporal that the environment names.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from uuid import uuid4

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from temporalio.client import Client

from bridge import Caller
from orders.mapping import OrderMapping
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.workflow_io import OrderStatus
from workflows.converter import DATA_CONVERTER
from workflows.names import STATUS_QUERY, order_workflow_id


class StartBody(BaseModel):
    """What starts an order."""

    payment_id: str


def make_app(client: Client) -> FastAPI:
    """The routes."""
    app = FastAPI()
    caller, mapping = Caller(client), OrderMapping({})

    async def call(order_id: str, event_type: EventType, fields: dict[str, str]) -> dict[str, str]:
        event = InboundEvent(
            event_id=uuid4().hex,
            type=event_type.value,
            occurred_at=datetime.now(UTC),
            body={"order_id": order_id, **fields},
        )
        await caller.make(mapping.call_for(order_id, event_type, event))
        return {"order_id": order_id, "event_id": event.event_id}

    @app.post("/orders/{order_id}/start", status_code=202)
    async def start(order_id: str, body: StartBody) -> dict[str, str]:
        return await call(order_id, EventType.ORDER_CREATED, {"payment_id": body.payment_id})

    @app.post("/orders/{order_id}/signals/approve", status_code=202)
    async def approve(order_id: str) -> dict[str, str]:
        return await call(order_id, EventType.ORDER_APPROVED, {})

    @app.get("/orders/{order_id}/status")
    async def status(order_id: str) -> OrderStatus:
        handle = client.get_workflow_handle(order_workflow_id(order_id))
        await handle.describe()
        answer: OrderStatus = await handle.query(STATUS_QUERY, result_type=OrderStatus)
        return answer

    return app


async def serve(port: int) -> None:
    """Serves until the process is ended."""
    client = await Client.connect(
        os.environ["TEMPORAL_HOST"], namespace=os.environ["TEMPORAL_NAMESPACE"], data_converter=DATA_CONVERTER
    )
    # As `orders.web.server` has it.
    config = uvicorn.Config(make_app(client), port=port, http="h11", access_log=False, log_level="warning")
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
