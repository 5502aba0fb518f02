"""The console's pages in the application."""

from fastapi import FastAPI

from orders.web.console import state
from orders.web.console.pages import assets, dead_letters, decisions, order, orders, replays, system, waiting
from orders.web.routes import serve

# What stands first is asked first: /console/dead-letters/replays/… before /console/dead-letters/{place}.
_PAGES = (assets, waiting, decisions, orders, order, replays, dead_letters, system)


def install_console(app: FastAPI) -> None:
    """Puts the console's pages into an application; they are no part of the API's contract."""
    state.install(app)
    serve(app, *(page.router for page in _PAGES))
