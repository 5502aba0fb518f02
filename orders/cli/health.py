"""``orders health``."""

import http.client
import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from orders.cli.common import JsonOption, command_app, console, print_json
from orders.errors import OrdersError, WrongSettingsError
from orders.processes.exit_status import ExitStatus
from orders.processes.health_server import LIVE_PATH, READY_PATH
from orders.settings import Settings, load_settings

app = command_app()

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
"""Whom to ask where a process listens on all addresses: the one on this machine."""


class Process(StrEnum):
    """The processes that answer questions about their health."""

    BRIDGE = "bridge"
    WORKER = "worker"
    API = "api"


@app.command()
def health(
    process: Annotated[Process, typer.Argument(help="Which process, on this machine.")],
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Ask only whether it is alive, not whether it is ready.")
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="How long to wait for the answer, in s.")] = 4.0,
    as_json: JsonOption = False,
) -> None:
    """Ask a process on this machine whether it is ready: 0 where it is, 1 where not, with the reason.

    It has to listen: BRIDGE_HEALTH_PORT, WORKER_HEALTH_PORT or API_HEALTH_PORT. The same answers are at /livez and
    /readyz there, for an orchestrator that asks by HTTP.

    Example: [bold]orders health bridge || orders health bridge --live[/bold]
    """
    answer = _ask(load_settings(), process, LIVE_PATH if live else READY_PATH, timeout)
    if as_json:
        print_json(answer)
    elif answer["ok"]:
        console().print("alive" if live else "ready")
    else:
        console(stderr=True).print(f"not {'alive' if live else 'ready'}: {', '.join(answer['reasons'])}", markup=False)
    if not answer["ok"]:
        raise typer.Exit(int(ExitStatus.FAILURE))


def _ask(settings: Settings, process: Process, path: str, timeout: float) -> dict[str, Any]:
    """Asks a process on this machine over HTTP, and returns its answer.

    Raises:
        WrongSettingsError: the process is told not to listen.
        OrdersError: the process does not answer, or something else does.
    """
    port: int = getattr(settings, f"{process}_health_port")
    if port == 0:
        raise WrongSettingsError(
            f"{process.upper()}_HEALTH_PORT is 0, so the {process} does not listen: set it, for it and this command"
        )
    address = _EVERY_ADDRESS.get(settings.health_bind_address, settings.health_bind_address)
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        return {"ok": bool(answer["ok"]), "reasons": [str(one) for one in answer["reasons"]], **answer}
    except (OSError, http.client.HTTPException) as error:
        raise OrdersError(
            f"no {process} answers at {address}:{port}: it does not run, or its loop stands still"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise OrdersError(f"what answers at {address}:{port} is no {process} of ours") from error
    finally:
        connection.close()
