"""``orders health``."""

import http.client
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import typer

from orders.cli.common import JsonOption, command_app, console, print_json
from orders.errors import OrdersError, WrongSettingsError
from orders.local.endpoints import has_local_servers
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

    It finds the processes of every `orders up` that runs here. Of others it asks the one whose port is set by
    BRIDGE_HEALTH_PORT, WORKER_HEALTH_PORT or API_HEALTH_PORT. The same answers are at /livez and /readyz there, for an
    orchestrator that asks by HTTP.

    Example: [bold]orders health bridge || orders health bridge --live[/bold]
    """
    places = _places(load_settings(), process)
    answer = _ask_all(places, LIVE_PATH if live else READY_PATH, timeout)
    if as_json:
        print_json(answer)
    elif answer["ok"]:
        console().print("alive" if live else "ready")
    else:
        console(stderr=True).print(f"not {'alive' if live else 'ready'}: {', '.join(answer['reasons'])}", markup=False)
    if not answer["ok"]:
        raise typer.Exit(int(ExitStatus.FAILURE))


class _Place(NamedTuple):
    """Where a process answers."""

    name: str
    host: str
    port: int


def _places(settings: Settings, process: Process) -> list[_Place]:
    """Where the processes of this kind are: all of an `orders up` here, or the one of the settings.

    Raises:
        WrongSettingsError: the process is told not to listen, and no `orders up` runs here.
    """
    port: int = getattr(settings, f"{process}_health_port")
    # Where a port is set, `orders up` gives it to the first worker, and the next ports to the others.
    found = [one for one in _of_each_up(process) if port == 0 or port in {place.port for place in one}]
    if found:
        return [place for one in found for place in one]
    if port == 0:
        raise WrongSettingsError(
            f"{process.upper()}_HEALTH_PORT is 0, so the {process} does not listen, and no `orders up` runs here: "
            "set it, for the process and this command"
        )
    return [_Place(process, _EVERY_ADDRESS.get(settings.health_bind_address, settings.health_bind_address), port)]


def _of_each_up(process: Process) -> list[list[_Place]]:
    """For each `orders up` that runs here, where its processes of this kind are."""
    if not has_local_servers():
        return []
    from orders.local.ups import running_here  # noqa: PLC0415 - what it is made of is not installed everywhere

    each = [
        [_Place(one.process, one.host, one.port) for one in up.health if one.process.split()[0] == process]
        for up in running_here()
    ]
    return [places for places in each if places]


def _together(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One answer of several processes: ready where all are."""
    return {
        "ok": all(one["ok"] for one in answers),
        "reasons": [f"{one['process']}: {reason}" for one in answers for reason in one["reasons"]],
        "processes": list(answers),
    }


def _ask_all(places: Sequence[_Place], path: str, timeout: float) -> dict[str, Any]:
    """The answer of all of them.

    Raises:
        OrdersError: the only one does not answer, or something else does. Of several that is a reason.
    """
    if len(places) == 1:
        return _ask(places[0], path, timeout)
    answers = []
    for place in places:
        try:
            answer = _ask(place, path, timeout)
        except OrdersError as error:
            answer = {"ok": False, "reasons": [str(error)]}
        answers.append({"process": place.name, "host": place.host, "port": place.port, **answer})
    return _together(answers)


def _ask(place: _Place, path: str, timeout: float) -> dict[str, Any]:
    """Asks a process on this machine over HTTP, and returns its answer.

    Raises:
        OrdersError: the process does not answer, or something else does.
    """
    name, host, port = place
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        return {"ok": bool(answer["ok"]), "reasons": [str(one) for one in answer["reasons"]], **answer}
    except (OSError, http.client.HTTPException) as error:
        raise OrdersError(f"no {name} answers at {host}:{port}: it does not run, or its loop stands still") from error
    except (ValueError, KeyError, TypeError) as error:
        raise OrdersError(f"what answers at {host}:{port} is no {name} of ours") from error
    finally:
        connection.close()
