"""What every route and page needs: settings, clients of the servers, and whether the process is about to stop."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from orders.clients.opened import Clients
from orders.operations.reachability import Reachability
from orders.settings import Settings
from orders.web.streams import EventFeed


@dataclass(slots=True)
class WebContext:
    """One for each process; `orders.web.app.make_app` keeps it as ``app.state.context``."""

    clients: Clients
    servers: Reachability
    feed: EventFeed
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process begins to stop. Whatever waits or streams ends then, at once."""

    @property
    def settings(self) -> Settings:
        """The process's settings."""
        return self.clients.settings


def context_of(connection: HTTPConnection) -> WebContext:
    """The context of the application that serves this request."""
    context: WebContext = connection.app.state.context
    return context


Web = Annotated[WebContext, Depends(context_of)]
"""Parameter of a route: the process's context."""
