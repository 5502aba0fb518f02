"""A whole system of one checkout for a measurement: servers, bridge and workers of its own, each with its CPU time.

The checkout may be this one or an older one: it is driven by its own command line, in its own environment, and its
servers are started as it starts them. So what is compared is all that a release brings, its servers' settings included.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from stack.paths import cache_dir
from stack.ports import HOST

HERE: Final = Path(__file__).parents[1]
BASELINE: Final = "fd0770e"
"""The commit that an order's cost is compared with: the last one before it was looked at."""
_READY_SECONDS: Final = 180
_STOP_SECONDS: Final = 40
_SETTINGS: Final = [
    "API_",
    "BRIDGE_",
    "CARRIER_",
    "DB_",
    "EVENTS_",
    "FAILPOINTS",
    "KAFKA_",
    "LOG_",
    "OIDC_",
    "ORDER_",
    "ORDERS_",
    "PAYMENT_",
    "TEMPORAL_",
    "TRACES_",
    "WORKER_",
]
_UP: Final = """
import json, pathlib, sys, stack
running = stack.up(state_dir=pathlib.Path(sys.argv[1]), durable=False)
print(json.dumps(running.endpoints.as_environment()))
"""
_DOWN: Final = "import pathlib, sys, stack; stack.down(state_dir=pathlib.Path(sys.argv[1]))"

_READY_WORDS: Final = {"bridge": '"bridge.partitions.assigned"', "worker": '"worker.started"'}
"""What the log of a process without a health port holds once it is ready."""


@dataclass(slots=True)
class OrderRig:
    """What runs of one checkout, and where."""

    root: Path
    folder: Path
    settings: dict[str, str]
    processes: dict[str, psutil.Popen] = field(default_factory=dict)
    """Our processes, by name."""
    unused: frozenset[str] = frozenset()
    """Servers that stand idle and are not counted."""

    @property
    def kafka(self) -> str:
        """Where its Kafka is."""
        return self.settings["KAFKA_BOOTSTRAP_SERVERS"]

    async def start(self, name: str, *arguments: str, metrics: bool = True, **settings: str) -> None:
        """Starts an ``orders`` command and waits until it says that it is ready.

        Args:
            name: What its CPU time is told under.
            arguments: Of the command; the first is ``bridge`` or ``worker``.
            metrics: Whether it measures itself, and answers on a health port.
            settings: Environment variables beside the rig's.
        """
        if not metrics:
            await self._start_unmeasured(name, arguments, settings)
            return
        port = free_port()
        health = {f"{arguments[0].upper()}_HEALTH_PORT": str(port)}
        self.processes[name] = self.launch(
            name, [str(self.root / "bin" / "orders"), *arguments], {**self.settings, **health, **settings}
        )
        await until_ready(port, self.processes[name], self.folder / f"{name}.log")

    async def _start_unmeasured(self, name: str, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        """As `start`, without a health port: that it is ready is then in its log alone."""
        log, word = self.folder / f"{name}.log", _READY_WORDS[arguments[0]]
        before = log.read_text().count(word) if log.exists() else 0
        command = [str(self.root / "bin" / "orders"), *arguments]
        self.processes[name] = self.launch(name, command, {**self.settings, **settings})
        for _ in range(_READY_SECONDS * 10):
            if (await asyncio.to_thread(log.read_text)).count(word) > before:
                return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"{name} does not say {word} within {_READY_SECONDS} s")

    async def start_all(self, *, metrics: bool = True, **settings: str) -> None:
        """Starts a bridge, and a worker for each task queue; see `start`."""
        await asyncio.gather(
            self.start("bridge", "bridge", metrics=metrics, **settings),
            self.start("order worker", "worker", "--queue", "order-tq", metrics=metrics, **settings),
            self.start("shipping worker", "worker", "--queue", "shipping-tq", metrics=metrics, **settings),
        )

    def launch(
        self, name: str, command: Sequence[str], settings: Mapping[str, str], stdout: int | None = None
    ) -> psutil.Popen:
        """Starts a process whose output goes to a file of its name, or its standard output to ``stdout``."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return psutil.Popen(
                list(command),
                cwd=self.folder,
                env=clean_environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,
            )

    def by_name(self) -> dict[str, psutil.Process]:
        """The servers' processes and ours, without those that stand idle."""
        state = json.loads((self.folder / "stack" / "state.json").read_text())
        servers = {name: psutil.Process(each["pid"]) for name, each in state["processes"].items()}
        everything = {**servers, **self.processes}
        return {name: process for name, process in everything.items() if name not in self.unused}

    def cpu_seconds(self) -> dict[str, float]:
        """What each process has used of the processor so far, by name; servers with the processes they have made."""
        return {name: cpu_of(process) for name, process in self.by_name().items()}

    def log_tails(self) -> str:
        """The end of each process's log, for whoever looks why an order did not end."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)

    def stop(self) -> None:
        """Ends the processes of ours, by SIGTERM first."""
        running = [process for process in self.processes.values() if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(_STOP_SECONDS)
            except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
                process.kill()
                process.wait(_STOP_SECONDS)
        self.processes.clear()


@asynccontextmanager
async def order_servers(root: Path = HERE) -> AsyncIterator[OrderRig]:
    """The servers of a checkout, with tables and topics and no process of ours."""
    folder = Path(tempfile.mkdtemp(prefix="orders-bench-"))
    try:
        endpoints = await asyncio.to_thread(_in_checkout, root, folder, ["python", "-c", _UP, str(folder / "stack")])
        settings = {name: str(value) for name, value in json.loads(endpoints.splitlines()[-1]).items()}
        rig = OrderRig(root, folder, {**settings, "LOG_FORMAT": "json"})
        try:
            await asyncio.to_thread(_in_checkout, root, folder, ["orders", "migrate"], rig.settings)
            yield rig
        except BaseException:
            sys.stderr.write(rig.log_tails())
            raise
        finally:
            rig.stop()
    finally:
        await asyncio.to_thread(_in_checkout, root, folder, ["python", "-c", _DOWN, str(folder / "stack")])
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def order_rig(root: Path = HERE) -> AsyncIterator[OrderRig]:
    """The servers of a checkout, a bridge, and a worker for each task queue."""
    async with order_servers(root) as rig:
        await rig.start_all()
        yield rig


def baseline() -> Path:
    """A checkout of the baseline's commit, made once, in the cache folder.

    Raises:
        LookupError: The repository does not have the commit.
    """
    named = os.environ.get("BENCH_BASELINE")
    if named:
        return Path(named)
    folder = cache_dir() / "baseline" / BASELINE
    if not (folder / "bin" / "in-env").exists():
        draft = Path(tempfile.mkdtemp(prefix="orders-baseline-"))
        archive = subprocess.run(  # noqa: S603 -- our own command line
            ["git", "-C", str(HERE), "archive", BASELINE],  # noqa: S607 -- the user's git
            capture_output=True,
            check=False,
        )
        if archive.returncode != 0:
            raise LookupError(
                f"this repository does not have the commit {BASELINE} (git fetch --unshallow brings it); "
                f"or name a checkout of it: BENCH_BASELINE=/path/to/it. Git says: {archive.stderr.decode().strip()}"
            )
        subprocess.run(["tar", "-x", "-C", str(draft)], input=archive.stdout, check=True)  # noqa: S603, S607
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(draft, folder)
    return folder


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def cpu_of(process: psutil.Process) -> float:
    """Seconds of the processor that a process has used, and all that it has made, those that have ended included."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without settings of ours but these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(tuple(_SETTINGS))}
    return {**inherited, **settings}


async def until_ready(port: int, process: psutil.Popen, log: Path) -> None:
    """Waits until a process answers on its health port that it is ready.

    Raises:
        RuntimeError: It has ended, or is not ready in time; with the end of its log.
    """
    for _ in range(_READY_SECONDS * 10):
        if process.poll() is not None:
            break
        if await _answers_ready(port):
            return
        await asyncio.sleep(0.1)
    said = await asyncio.to_thread(log.read_text, errors="replace")
    raise RuntimeError(f"{log.stem} is not ready; its log ends:\n{said[-3000:]}")


async def _answers_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await writer.drain()
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


def _in_checkout(root: Path, folder: Path, command: Sequence[str], settings: Mapping[str, str] | None = None) -> str:
    ended = subprocess.run(  # noqa: S603 -- our own command line
        [str(root / "bin" / "in-env"), *command],
        cwd=folder,
        env={**clean_environment(settings or {}), "STACK_SOURCE": "native"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:2])} of {root} left with {ended.returncode}:\n{ended.stderr[-3000:]}")
    return ended.stdout
