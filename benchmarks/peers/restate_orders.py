"""The order on Restate: its server's own Kafka subscription, a workflow keyed by the order, the approval by a promise.

Started as ``python restate_orders.py PORT`` in the peers' environment. Written as Restate's documentation has it: a
``ctx.run`` for each thing done, shipping as a workflow of its own.
"""

import asyncio
import sys
from datetime import timedelta
from typing import Any

import hypercorn
import hypercorn.asyncio
import restate

from benchmarks.peers.books import Books

orders = restate.Workflow("orders")
shipping = restate.Workflow("shipping")

_books: Books | None = None
_opening = asyncio.Lock()


async def books() -> Books:
    """The connections, made by the first step that needs them."""
    global _books  # noqa: PLW0603 -- one for the process
    async with _opening:
        if _books is None:
            _books = await Books.open()
    return _books


async def receive_order(order: dict[str, Any]) -> None:
    await (await books()).receive(order)


async def validate_order(order: dict[str, Any]) -> bool:
    return await (await books()).validate(order)


async def record_approval(order: dict[str, Any], approval: dict[str, Any]) -> None:
    await (await books()).approve(order, approval)


async def charge_payment(order: dict[str, Any]) -> None:
    await (await books()).charge(order)


async def prepare_package(order: dict[str, Any]) -> None:
    await (await books()).prepare(order)


async def dispatch_carrier(order: dict[str, Any]) -> str:
    return await (await books()).dispatch(order)


async def mark_order_shipped(order: dict[str, Any], tracking_id: str) -> None:
    await (await books()).mark_shipped(order, tracking_id)


async def complete_order(order: dict[str, Any], tracking_id: str) -> None:
    await (await books()).complete(order, tracking_id)


@shipping.main()
async def ship(ctx: restate.WorkflowContext, order: dict[str, Any]) -> str:
    await ctx.run_typed("prepare_package", prepare_package, order=order)
    return await ctx.run_typed("dispatch_carrier", dispatch_carrier, order=order)


@orders.main()
async def run(ctx: restate.WorkflowContext, order: dict[str, Any]) -> str:
    await ctx.run_typed("receive_order", receive_order, order=order)
    if not await ctx.run_typed("validate_order", validate_order, order=order):
        return "REJECTED"
    approval = ctx.promise("approved", type_hint=dict)
    match await restate.select(approved=approval.value(), timeout=ctx.sleep(timedelta(seconds=30))):
        case ["approved", decision]:
            await ctx.run_typed("record_approval", record_approval, order=order, approval=decision)
        case _:
            return "EXPIRED"
    await ctx.run_typed("charge_payment", charge_payment, order=order)
    tracking_id = await ctx.workflow_call(ship, key=ctx.key(), arg=order)
    await ctx.run_typed("mark_order_shipped", mark_order_shipped, order=order, tracking_id=tracking_id)
    await ctx.run_typed("complete_order", complete_order, order=order, tracking_id=tracking_id)
    return "COMPLETED"


@orders.handler()
async def approve(ctx: restate.WorkflowSharedContext, approval: dict[str, Any]) -> None:
    await ctx.promise("approved", type_hint=dict).resolve(approval)


if __name__ == "__main__":
    config = hypercorn.Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.h2_max_concurrent_streams = 2147483647
    config.keep_alive_max_requests = 2147483647
    config.keep_alive_timeout = 2147483647
    asyncio.run(hypercorn.asyncio.serve(restate.app([orders, shipping]), config))
