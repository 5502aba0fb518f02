"""``orders worker``."""

import asyncio
from typing import Annotated

import typer

from orders.cli.common import command_app, run_process
from orders.local.endpoints import server_settings
from orders.processes.exit_status import ExitStatus
from orders.processes.worker import TaskQueue, WorkerDuty, WorkerPart, run_worker

app = command_app()


@app.command()
def worker(
    *,
    queue: Annotated[
        list[TaskQueue] | None, typer.Option("--queue", "-q", help="Only this task queue; both unless given.")
    ] = None,
    only: Annotated[
        WorkerPart | None,
        typer.Option(
            "--only",
            help="Workflows alone, or activities alone; both unless given.",
        ),
    ] = None,
) -> None:
    """Run a worker: workflows and activities.

    order-tq runs orders, their payments and what is published; shipping-tq ships. Run as many as you like of each:
    Temporal shares the work among them. While Temporal is away it waits. SIGTERM or Ctrl-C: it finishes what it is at,
    and ends with 0 within 25 s; the second ends it at once.

    Workflows and activities may be apart, and scale apart: then run at least one of each for each task queue. Only what
    runs activities asks Postgres, Kafka and the providers.

    Examples: [bold]orders worker --queue shipping-tq[/bold],
    [bold]orders worker --only workflows[/bold] beside [bold]orders worker --only activities[/bold]
    """
    settings = server_settings()
    duty = WorkerDuty(tuple(queue) if queue else tuple(TaskQueue), only)

    async def body(stop: asyncio.Event) -> ExitStatus:
        return await run_worker(settings, duty, stop)

    run_process("worker", settings, body)
