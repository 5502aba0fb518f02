"""Lists take the filters that they know, and no others."""

from typing import Final

from fastapi import Request

from orders.web.problems import FieldError, Problem

_ERRORS_MAX: Final = 50
"""Most parameters that one answer lists."""


async def no_others(request: Request) -> None:
    """A dependency of a route that lists: refuses a query parameter that the route does not have.

    A filter that is misspelt and passed over would list everything, and whoever acts on the list would act on it all.

    Raises:
        Problem: names each such parameter, and those that there are.
    """
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    sentence = f"is no parameter of this address: there are {', '.join(known)}"
    others = [name for name in dict.fromkeys(request.query_params) if name not in known][:_ERRORS_MAX]
    if others:
        errors = [FieldError(sentence, parameter=name) for name in others]
        raise Problem("request_invalid", "; ".join(f"{name} {sentence}" for name in others), errors=errors)
