"""Servers that run, wherever they come from."""

from functools import cached_property
from pathlib import Path
from typing import Protocol

from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.folder import StackFolder
from stack.progress import Progress
from stack.service import ServiceName
from stack.tools import Tools, make_tools


class Backend(Protocol):
    """What runs the servers. Each method blocks until its effect is there."""

    @property
    def endpoints(self) -> Endpoints:
        """Where they answer."""

    @property
    def codec_endpoint(self) -> str | None:
        """Where Temporal's UI has payloads decrypted; None where that is nowhere, or is not known."""

    @property
    def pids(self) -> dict[ServiceName, int]:
        """The pids of their main processes on this machine, of those that run and have one."""

    @property
    def is_complete(self) -> bool:
        """Whether all three were started and none has ended."""

    def log_path(self, service: ServiceName) -> Path:
        """Where a server's output goes."""

    def kill(self, service: ServiceName) -> None:
        """Kills a server at once."""

    def pause(self, service: ServiceName) -> None:
        """Freezes a server."""

    def resume(self, service: ServiceName) -> None:
        """Lets a frozen server go on."""

    def restart(self, service: ServiceName) -> None:
        """Ends a server if it runs, starts it again, and returns when it answers."""

    def end(self) -> None:
        """Ends all that was started, and forgets it."""


class ForeignServers:
    """Servers that the environment names. They are somebody else's: nothing here ends or disturbs them."""

    is_complete = True
    codec_endpoint: str | None = None

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self.pids: dict[ServiceName, int] = {}

    def log_path(self, service: ServiceName) -> Path:
        """They have no log of ours."""
        raise self._refusal(service)

    def kill(self, service: ServiceName) -> None:
        """Refused."""
        raise self._refusal(service)

    pause = resume = restart = kill

    def end(self) -> None:
        """Leaves them as they are."""

    @staticmethod
    def _refusal(service: ServiceName) -> StackError:
        return StackError(
            f"{service} was not started here but is named by the environment; "
            "unset KAFKA_BOOTSTRAP_SERVERS, TEMPORAL_HOST and DB_HOST to have servers of your own"
        )


class RunningStack:
    """Three servers that answered when this was made.

    Attributes:
        endpoints: Where they answer.
        started_here: Whether this call started them, and ``down`` is ours to call; False if they were found.
        codec_endpoint: Where Temporal's UI has payloads decrypted; None where that is nowhere, or is not known.
    """

    def __init__(self, folder: StackFolder, backend: Backend, progress: Progress, *, started_here: bool) -> None:
        self._folder = folder
        self._backend = backend
        self._progress = progress
        self.started_here = started_here
        self.endpoints = backend.endpoints
        self.codec_endpoint = backend.codec_endpoint

    @cached_property
    def tools(self) -> Tools:
        """Scripts of Kafka's console tools and psql, made when first asked for.

        Raises:
            StackError: Kafka's jars cannot be downloaded.
        """
        self._folder.path.mkdir(parents=True, exist_ok=True)
        return make_tools(self.endpoints, self._folder.path / "bin", self._progress)

    @property
    def pids(self) -> dict[ServiceName, int]:
        """The pids of the servers' main processes; empty for servers that are not processes of ours."""
        return self._backend.pids

    def log_path(self, service: ServiceName) -> Path:
        """Where a server's output goes."""
        return self._backend.log_path(service)

    def down(self) -> None:
        """Ends all that was started, whoever started it; servers that the environment names are left alone."""
        with self._folder.locked(self._progress):
            self._backend.end()

    def kill(self, service: ServiceName) -> None:
        """Kills a server at once, as ``kill -9``; its data stay."""
        self._backend.kill(service)

    def pause(self, service: ServiceName) -> None:
        """Freezes a server: its connections stay open, and nothing answers."""
        self._backend.pause(service)

    def resume(self, service: ServiceName) -> None:
        """Lets a frozen server go on."""
        self._backend.resume(service)

    def restart(self, service: ServiceName) -> None:
        """Ends a server if it runs, starts it again on the same port, and returns when it answers.

        Raises:
            StackError: It does not come back; the message names its log.
        """
        with self._folder.locked(self._progress):
            self._backend.restart(service)
