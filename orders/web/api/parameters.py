"""Routes of the API, which take the query parameters that the OpenAPI document gives them, and no others."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from orders.web.problems import FieldError, Problem

_ERRORS_MAX: Final = 50
"""Most parameters that one answer lists."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
"""Answers a request whose route is known."""


class ApiRoute(APIRoute):
    """A route of the API. It refuses a request with a query parameter that the route does not have.

    A parameter that is misspelt and passed over would change what is asked: a list would list everything, and whoever
    acts on the list would act on it all. The refusal comes before anything else, also before the caller's identity is
    looked at: it tells nothing that the public document does not tell, and asks no server.

    Pages for people (/docs, the console) pass over what they do not know, as mail programs and search engines add
    parameters of their own (utm_source …) to the links that people follow.
    """

    def get_route_handler(self) -> Handler:
        """The route's handler, behind the check of its parameters."""
        answer = self.make_handler()
        known = [field.alias for field in self.dependant.query_params]

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                _refuse_others(request, known)
            return await answer(request)

        return handle

    def make_handler(self) -> Handler:
        """What answers a request whose parameters are all known; FastAPI's handler, unless a subclass has its own."""
        return super().get_route_handler()


def _refuse_others(request: Request, known: Sequence[str]) -> None:
    """Refuses a request with other query parameters than these.

    Raises:
        Problem: names each such parameter, and those that there are.
    """
    others = [name for name in dict.fromkeys(request.query_params) if name not in known][:_ERRORS_MAX]
    if not others:
        return
    there_are = f"there are {', '.join(known)}" if known else "there are none"
    sentence = f"is no parameter of this address: {there_are}"
    errors = [FieldError(sentence, parameter=name) for name in others]
    raise Problem("request_invalid", "; ".join(f"{name} {sentence}" for name in others), errors=errors)
