"""The Temporal SDK's own metrics: on a port of this machine alone, from where they are put on our page."""

import functools
import http.client
import socket
from dataclasses import dataclass
from typing import Final

from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

_TRIES_MAX: Final = 10
_TIMEOUT_SECONDS: Final = 2.0
_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class SdkMetrics:
    """A runtime of the SDK that measures itself."""

    runtime: Runtime
    """For the clients and workers that are to be measured."""
    port: int

    def read(self) -> bytes:
        """The metrics as Prometheus' text. Blocks; for a thread of its own.

        Raises:
            OSError: They cannot be read.
        """
        connection = http.client.HTTPConnection(_LOOPBACK, self.port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()


@functools.cache
def sdk_metrics() -> SdkMetrics:
    """The measured runtime of this process: one, as each has threads of its own.

    Raises:
        OSError: No port is free.
    """
    for _ in range(_TRIES_MAX):
        port = _free_port()
        config = PrometheusConfig(
            bind_address=f"{_LOOPBACK}:{port}",
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
        )
        try:
            return SdkMetrics(Runtime(telemetry=TelemetryConfig(metrics=config)), port)
        except ValueError:
            continue  # Somebody has taken the port in this moment.
    raise OSError("no port is free for the Temporal SDK's metrics")


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind((_LOOPBACK, 0))
        port: int = tried.getsockname()[1]
        return port
