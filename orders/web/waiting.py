"""Waiting for somebody who may go away: work ends with its client, and with the process."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Result = TypeVar("Result")


class ClientGoneError(Exception):
    """The client has closed its connection; nobody reads an answer."""


async def gone(request: Request) -> None:
    """Returns when the client has closed its connection; the request's body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


async def while_wanted(request: Request, stopping: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result | None:
    """Does the work for as long as the client is there and the process goes on; otherwise cancels the work.

    A framework does not cancel a handler when its client goes away (FastAPI's issue 3766), and a server that stops
    waits for its handlers: both are ours to look for.

    Args:
        request: whose client waits; its body has been read.
        stopping: set when the process begins to stop.
        work: cancelled at its next await.

    Returns:
        None where the process stops before the work is done.

    Raises:
        ClientGoneError: the client went away first.
    """
    working = asyncio.create_task(work, name="work for a client")
    leaving = asyncio.create_task(gone(request), name="client gone")
    ending = asyncio.create_task(stopping.wait(), name="process stopping")
    tasks: list[asyncio.Task[Any]] = [working, leaving, ending]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if leaving.done():
            raise ClientGoneError
        return None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
