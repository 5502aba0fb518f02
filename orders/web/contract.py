"""The published OpenAPI document: ``python -m orders.web.contract FILE`` writes it; a test holds the file to it."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from orders.clients.opened import Clients
from orders.operations.reachability import Reachability
from orders.settings import Settings
from orders.web.app import make_app
from orders.web.context import WebContext
from orders.web.identity import Gate
from orders.web.replays import ReplayDesk
from orders.web.streams import LiveFeed
from schemas.contract.__main__ import render


def document() -> dict[str, Any]:
    """The document, which no setting changes."""
    made: dict[str, Any] = unconnected_app().openapi()
    return made


def unconnected_app(settings: Settings | None = None) -> FastAPI:
    """The application with clients that are not open: it describes itself, and refuses what needs no server."""
    clients = Clients(settings or Settings(_env_file=None), AsyncExitStack(), lambda _: None)
    feed = LiveFeed(clients, streams_max=1)
    context = WebContext(clients, Reachability(clients), feed, ReplayDesk(clients))
    return make_app(context, Gate(clients, None, httpx.AsyncClient()))


if __name__ == "__main__":  # pragma: no cover -- a person's command; a test calls what it calls
    Path(sys.argv[1]).write_text(render(document()))
