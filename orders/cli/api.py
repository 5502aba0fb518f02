"""``orders api``."""

import asyncio

from orders.cli.common import command_app, run_process
from orders.local.endpoints import server_settings
from orders.processes.api import run_api
from orders.processes.exit_status import ExitStatus

app = command_app()


@app.command()
def api() -> None:
    """Run the REST API and the console, on API_HOST and API_PORT.

    /docs shows every endpoint, and tries it out; /console is for people. Run as many as you like: nothing is kept in
    them. While Temporal or Postgres is away they answer 503 to what needs it. SIGTERM or Ctrl-C: waits and streams end,
    requests finish, and it ends with 0 within 5 s; the second ends it at once.

    Example: [bold]API_PORT=9000 orders api[/bold]
    """
    settings = server_settings()

    async def body(stop: asyncio.Event) -> ExitStatus:
        return await run_api(settings, stop)

    run_process("api", settings, body)
