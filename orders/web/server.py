"""The HTTP server, which leaves the signals to us and ends in time."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from orders.errors import WrongSettingsError
from orders.settings import Settings

STOP_SECONDS: Final = 3
"""How long requests may take that are under way when the process is told to stop. Waits and streams end at once."""
_GIVEN_UP_SECONDS: Final = 1
"""How long those may take to say so that are given up then."""
_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than proxies keep idle connections (60 s): one that is closed just as they send a request is their 502."""
_BACKLOG: Final = 2_048

_log = structlog.get_logger("orders.api")


class _Server(uvicorn.Server):
    """Takes no signals: uvicorn's own handlers wait for open streams for ever, and raise the signal again at last."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to `orders.processes.running`."""
        yield


def listening_socket(settings: Settings) -> socket.socket:
    """A socket on the API's address.

    Raises:
        WrongSettingsError: it cannot listen there.
    """
    host, port = settings.api_host, settings.api_port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Already now: who is told the address may connect, and is served as soon as the server runs.
        listening.listen(_BACKLOG)
    except OSError as error:
        raise WrongSettingsError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): set API_HOST and API_PORT to an address of "
            "this machine and a free port"
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """The address as a browser takes it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(app: ASGIApp, settings: Settings, listening: socket.socket, stopping: asyncio.Event) -> None:
    """Serves until the event is set, and returns once every request has been answered, if only that it was given up.

    Args:
        app: what answers.
        settings: whose proxies are believed.
        listening: where.
        stopping: ends the server. The application ends its waits and streams by the same event.
    """
    # Its lines of starting and stopping are ours already.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    trusted = settings.api_trusted_proxies
    config = uvicorn.Config(
        app,
        http="h11",
        # Requests are all that comes: our middlewares look for nothing else.
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=trusted is not None,
        forwarded_allow_ips=trusted or "",
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listening]), name="http server")
    ending = asyncio.create_task(stopping.wait(), name="http server stop")
    try:
        await asyncio.wait([serving, ending], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        # It has cancelled them, and waits for none.
        if given_up := list(server.server_state.tasks):
            await asyncio.wait(given_up, timeout=_GIVEN_UP_SECONDS)
    finally:
        ending.cancel()
