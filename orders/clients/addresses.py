"""Why a server is asked at the address at which it does not answer, in words for a person."""

import os

from orders.settings import Settings
from orders.settings.model import ENDPOINT_SETTINGS


def not_answering(settings: Settings, server: str, address: str, *, endpoint: str, variables: str) -> str:
    """The sentence for a server that does not answer, and what to do.

    One variable of three that is left over in a shell sends every command away from a running `orders up`, which nobody
    guesses from an address: so the sentence names the variable.

    Args:
        settings: what the address is from.
        server: its name.
        address: where it was asked.
        endpoint: the setting that leads to it, one of `ENDPOINT_SETTINGS`.
        variables: what to set to ask elsewhere.
    """
    begin = f"{server} does not answer at {address}"
    named = [name for name in ENDPOINT_SETTINGS if name in settings.model_fields_set]
    if not named or len(named) == len(ENDPOINT_SETTINGS):
        return f"{begin}: start it (`orders up` starts everything), or set {variables}"
    because = " and ".join(_with_origin(name) for name in named) + (" is" if len(named) == 1 else " are")
    only_where = (
        f"commands look for a running `orders up` only where none of "
        f"{', '.join(map(str.upper, ENDPOINT_SETTINGS))} is set. Take away what is set, or "
    )
    if endpoint in named:
        return f"{begin}. It was asked there because {because} set: {only_where}start it there"
    return (
        f"{begin}, its usual address. It was asked there because {because} set and {endpoint.upper()} is not: "
        f"{only_where}set {variables} too"
    )


def _with_origin(name: str) -> str:
    variable = name.upper()
    in_environment = any(one.upper() == variable and value for one, value in os.environ.items())
    return f"{variable} ({'in the environment' if in_environment else 'in .env'})"
