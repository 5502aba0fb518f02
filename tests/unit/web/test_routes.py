"""How the application's routes are made."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Mount

from orders.web.contract import unconnected_app

APP = unconnected_app()


def routes(of: Any) -> Iterator[APIRoute]:
    """The routes that FastAPI makes."""
    return (route for route in of.routes if isinstance(route, APIRoute))


def calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    """What FastAPI calls for a request."""
    if dependant.call is not None:
        yield dependant.call
    for one in dependant.dependencies:
        yield from calls(one)


def is_async(call: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(call)) or inspect.iscoroutinefunction(call.__call__)  # type: ignore[operator]


def test_every_route_is_the_application_s_own() -> None:
    """What stands within another router is looked for twice for each request (`orders.web.routes`)."""
    assert [route for route in APP.routes if not isinstance(route, APIRoute | Mount)] == []


def test_no_request_takes_a_thread() -> None:
    """FastAPI has a thread run whatever is not async: a fifth of a request's processor, and there are 40 threads."""
    found = list(routes(APP))
    assert len(found) > 40
    slow = {f"{route.path}: {call}" for route in found for call in calls(route.dependant) if not is_async(call)}
    assert slow == set()
