"""Ports for the servers: those that the environment sets, else the last ones, else free ones."""

import os
import random
import socket
from collections.abc import Collection, Mapping

from stack.errors import StackError

HOST = "127.0.0.1"
# Below Linux's range for outgoing connections (32768 and up): from within it, a client that tries to reach a stopped
# server may be given the server's own port as its source port, connect to itself, and keep the server from coming back.
FIRST_PORT = 20000
LAST_PORT = 32000
ATTEMPTS = 200

# Each port's name, and the variable that sets it; None where nobody outside connects to it.
VARIABLES: Mapping[str, str | None] = {
    "kafka": "STACK_KAFKA_PORT",
    "kafka_controller": None,
    "temporal": "STACK_TEMPORAL_PORT",
    "temporal_ui": "STACK_TEMPORAL_UI_PORT",
    "postgres": "STACK_POSTGRES_PORT",
}


def choose_ports(previous: Mapping[str, int], environment: Mapping[str, str] | None = None) -> dict[str, int]:
    """Chooses a port for each name of ``VARIABLES``, no two alike.

    Args:
        previous: The ports of this stack's last start; used again where they are free.
        environment: Where ``STACK_..._PORT`` is looked up; None means this process's.

    Raises:
        StackError: A port that the environment sets is no port, or is taken; or no port is free.
    """
    variables = os.environ if environment is None else environment
    chosen: dict[str, int] = {}
    for name, variable in VARIABLES.items():
        wanted = variables.get(variable) if variable else None
        if variable and wanted:
            chosen[name] = _demanded(variable, wanted, chosen.values())
        elif name in previous and previous[name] not in chosen.values() and is_free(previous[name]):
            chosen[name] = previous[name]
        else:
            chosen[name] = _any_free({*chosen.values(), *previous.values()})
    return chosen


def is_free(port: int, host: str = HOST) -> bool:
    """Says whether a server could listen on this port of an address, unless told of the loopback's, now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do: connections of the last one that linger in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _demanded(variable: str, text: str, taken: Collection[int]) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:  # noqa: PLR2004 -- the range of a port
        raise StackError(f"{variable} is {text!r}; set it to a port number from 1 to 65535, or unset it")
    port = int(text)
    if port in taken or not is_free(port):
        raise StackError(f"port {port} of {variable} is in use; set another, or unset it to have a free one")
    return port


def _any_free(avoid: set[int]) -> int:
    for _ in range(ATTEMPTS):
        port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311 -- nothing secret
        if port not in avoid and is_free(port):
            return port
    raise StackError(f"no free port was found between {FIRST_PORT} and {LAST_PORT}; set the STACK_..._PORT variables")
