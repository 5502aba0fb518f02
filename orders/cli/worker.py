"""``orders worker``."""

import asyncio
from typing import Annotated

import typer

from orders.cli.common import command_app, run_process
from orders.local.endpoints import server_settings
from orders.processes.exit_status import ExitStatus
from orders.processes.worker import TaskQueue, run_worker

app = command_app()


@app.command()
def worker(
    *,
    queue: Annotated[
        list[TaskQueue] | None, typer.Option("--queue", "-q", help="Only this task queue; both unless given.")
    ] = None,
) -> None:
    """Run a worker: workflows and activities.

    order-tq runs orders, their payments and what is published; shipping-tq ships. Run as many as you like of each:
    Temporal shares the work among them. While Temporal is away it waits. SIGTERM or Ctrl-C: it finishes what it is at,
    and ends with 0 within 25 s; the second ends it at once.

    Example: [bold]orders worker --queue shipping-tq[/bold]
    """
    settings = server_settings()
    queues = tuple(queue) if queue else tuple(TaskQueue)

    async def body(stop: asyncio.Event) -> ExitStatus:
        return await run_worker(settings, queues, stop)

    run_process("worker", settings, body)
