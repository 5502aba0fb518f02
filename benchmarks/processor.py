"""What a measurement's calls cost of the processor, and whom: the measuring process itself, and the servers beside it.

On a machine that all of them share, this is what a rate that misses its target is made of.
"""

import time
from collections.abc import Mapping

import psutil

from stack.endpoints import Endpoints

OWN, LOOP = "own", "own_loop"


class Processor:
    """Reads how much processor time each of those has taken by now.

    Args:
        endpoints: Where the servers are. One that does not run on this machine, or as this user, is left out.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        ports = {_port(endpoints.kafka_bootstrap_servers): "kafka", _port(endpoints.temporal_host): "temporal"}
        self._servers: dict[str, psutil.Process] = {}
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.pid is None:
                continue
            if connection.laddr.port in ports:
                self._servers[ports[connection.laddr.port]] = psutil.Process(connection.pid)

    def seconds(self) -> dict[str, float]:
        """Seconds of the processor so far. To be called in the thread of the loop."""
        servers = {name: sum(process.cpu_times()[:2]) for name, process in self._servers.items()}
        return {OWN: time.process_time(), LOOP: time.thread_time(), **servers}


class Costs:
    """Adds up the turns of one side of a ratio."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._calls = 0

    def add(self, before: Mapping[str, float], after: Mapping[str, float], calls: int) -> None:
        """Adds a turn of so many calls."""
        for name, seconds in after.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds - before[name]
        self._calls += calls

    def ms_a_call(self) -> dict[str, float]:
        """Milliseconds of the processor that a call took, of each."""
        return {name: round(1_000 * seconds / self._calls, 3) for name, seconds in self._seconds.items()}


def _port(address: str) -> int:
    return int(address.split(",", maxsplit=1)[0].rpartition(":")[2])
