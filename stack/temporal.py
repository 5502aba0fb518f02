"""Temporal as a native process: the development server of its command line, a whole server in one process."""

import signal
from pathlib import Path

from stack import readiness
from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.ports import HOST
from stack.processes import Launch
from stack.service import ServiceName, Start
from stack.temporal_cli import ensure_temporal, server_of

# The defaults (2,400, 2,400, 1,200 and 3,000 a second) would let a load test measure a limiter.
LIMITS = {
    "frontend.namespaceRPS": 100_000,
    "frontend.rps": 100_000,
    "matching.rps": 100_000,
    "history.rps": 100_000,
}

TUNING: dict[str, int | str] = {
    # How often a second a shard looks for new tasks of each kind. By default 20, which costs every task of a workflow
    # up to 50 ms, as this server has one shard: an order alone took 1,400 ms, with 200 it takes 303 ms. 2,000 makes it
    # no faster, and loads tasks one by one when there are many (4.7 orders a second instead of 5.1; seen 2026-11-25).
    # Transfer tasks start workflow tasks, activities and children, and carry signals to others; timer tasks are
    # time-outs and waits; visibility tasks are what lists and search attributes show; outbound ones are callbacks.
    "history.transferProcessorMaxPollRPS": 200,
    "history.timerProcessorMaxPollRPS": 200,
    "history.visibilityProcessorMaxPollRPS": 200,
    "history.outboundProcessorMaxPollRPS": 200,
    # An activity then begins with the answer to the workflow task that asked for it, where its worker has a free slot:
    # without a way through the transfer queue and a poll. Off by default; Temporal Cloud has it on.
    "system.enableActivityEagerExecution": "true",
}
"""What makes the local servers fast; the containers of docker-compose.yml read the same from a file beside this one."""

GARBAGE = {"GOGC": "400"}
"""Go collects garbage when the heap has grown by so many percent. It is 100 unless set, which is often for a server as
small as this one: 220 ms of the processor an order against 180 (measured 2026-11-26, in turns, on a busy machine)."""

FEATURES = {"system.enableDeploymentVersions": "true"}
"""What this server has but does not do by itself: keep runs on the build of the workers they began on. From 1.28 on it
does, so containers are not told."""


def codec_options(endpoint: str | None) -> list[str]:
    """How the server tells its UI where payloads are decrypted; nothing where that is nowhere."""
    return [] if endpoint is None else ["--ui-codec-endpoint", endpoint]


class TemporalService:
    """See ``stack.service.Service``."""

    name: ServiceName = "temporal"
    first_signal = signal.SIGTERM
    start_patience_seconds = 60.0
    stop_patience_seconds = 10.0

    def __init__(
        self, folder: Path, port: int, ui_port: int, endpoints: Endpoints, codec_endpoint: str | None = None
    ) -> None:
        self._folder = folder / "temporal"
        self._port = port
        self._ui_port = ui_port
        self._endpoints = endpoints
        self._codec_endpoint = codec_endpoint
        self._program: Path | None = None

    @property
    def log_path(self) -> Path:
        """Where its output goes."""
        return self._folder.parent / "logs" / "temporal.log"

    @property
    def _database(self) -> Path:
        return self._folder / "temporal.db"

    def prepare(self, start: Start) -> None:
        """Finds the program, or builds it once."""
        self._program = ensure_temporal(start)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._check_data(server_of(self._program))

    def _check_data(self, server: str) -> None:
        """Refuses data of another server: it starts with them, says that it is ready, and moves no workflow."""
        made_by = self._database.with_suffix(".server")
        if self._database.exists() and made_by.exists() and (maker := made_by.read_text()) != server:
            raise StackError(
                f"the data of the local Temporal in {self._folder} are of {maker}, and this one is {server}, which "
                "cannot read them: delete them with what belongs to them, by `orders clean --state`, or set "
                "XDG_STATE_HOME to another folder"
            )
        made_by.write_text(server)

    def launch(self) -> Launch:
        """The server's process."""
        command = [str(self._program), "server", "start-dev", "--ip", HOST, "--port", str(self._port)]
        command += ["--ui-port", str(self._ui_port), "--log-level", "warn", "--color", "never"]
        command += codec_options(self._codec_endpoint)
        for name, value in (*LIMITS.items(), *TUNING.items(), *FEATURES.items()):
            command += ["--dynamic-config-value", f"{name}={value}"]
        # Never in memory: there a server on a busy machine may lose all its tables at once, and answers "no such table:
        # namespaces" until its end (seen at a load of 15; temporalio/temporal issue 3784).
        command += ["--db-filename", str(self._database)]
        # Six times the starts per second of SQLite's defaults, as many as in memory (measured 2026-11-23). A killed
        # server loses nothing, as the system keeps what was written; a power cut may, which local servers bear.
        command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=OFF"]
        return Launch(command, folder=self._folder, environment=dict(GARBAGE))

    def check(self) -> None:
        """Asks the frontend for the default namespace."""
        readiness.check_temporal(self._endpoints)

    def erase(self) -> None:
        """Deletes all runs."""
        for path in self._folder.glob("temporal.db*"):
            path.unlink(missing_ok=True)
