"""What the API's measurements run on: a system of their own on the servers that the environment names."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from stack.endpoints import Endpoints
from tests.helpers.system.processes import clean_environment, free_port, run_to_end
from tests.helpers.system.system import OrderSystem, order_system

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


@dataclass(slots=True)
class Server:
    """A process that serves HTTP on this machine."""

    port: int
    process: psutil.Process
    headers: tuple[str, ...] = ()
    """Those that show who asks, for every request."""

    def cpu_seconds(self) -> float:
        """What it has used of the processor so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def resident_bytes(self) -> int:
        """Its resident size now."""
        return int(self.process.memory_info().rss)


@asynccontextmanager
async def open_api_room(**settings: str) -> AsyncIterator[OrderSystem]:
    """A database, topics and a namespace, in which nothing runs yet.

    Raises:
        LookupError: the environment names no servers.
    """
    endpoints = Endpoints.from_environment()
    if endpoints is None:
        raise LookupError("no servers: start them with `orders stack up`, and set what `orders stack env` prints")
    with tempfile.TemporaryDirectory(prefix="orders-bench-") as folder:
        quietly: dict[str, Any] = {"LOG_LEVEL": "warning", **settings}
        async with order_system(endpoints, Path(folder), start=False, **quietly) as system:
            yield system


@asynccontextmanager
async def our_api(system: OrderSystem) -> AsyncIterator[Server]:
    """``orders api``, asked with an API key as in production: the key is checked, and its requests are counted.

    The limit that they are counted against is one that no load here reaches.
    """
    made = await run_to_end(["api-keys", "create", "bench", "--role", "operator"], system.settings, system.folder)
    if made.returncode != 0:
        raise RuntimeError(f"no key was made: {made.stderr}")
    port = free_port()
    settings = {"API_PORT": str(port), "API_IDENTITY": "required", "API_CALLER_REQUESTS_PER_MINUTE": "100000000"}
    command = [sys.executable, "-m", "orders", "api"]
    with _process(command, {**system.settings, **settings}, system.folder) as process:
        await _until_it_answers(port, process)
        yield Server(port, process, (f"Authorization: Bearer {made.stdout.strip()}",))


@asynccontextmanager
async def bare_api(system: OrderSystem) -> AsyncIterator[Server]:
    """The baseline, `benchmarks.api_bare`."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.api_bare", str(port)]
    with _process(command, system.settings, Path(__file__).parents[1]) as process:
        await _until_it_answers(port, process)
        yield Server(port, process)


@asynccontextmanager
async def database(system: OrderSystem) -> AsyncIterator[Any]:
    """A connection to the system's database, asyncpg's."""
    settings = system.settings
    connection = await asyncpg.connect(
        host=settings["DB_HOST"],
        port=int(settings["DB_PORT"]),
        user=settings["DB_USER"],
        password=settings["DB_PASSWORD"],
        database=settings["DB_NAME"],
    )
    try:
        yield connection
    finally:
        await connection.close()


@contextmanager
def _process(command: Sequence[str], settings: dict[str, str], folder: Path) -> Iterator[psutil.Process]:
    with subprocess.Popen(  # noqa: S603 -- our own command lines
        command, cwd=folder, env=clean_environment(settings), stdin=subprocess.DEVNULL
    ) as started:
        try:
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            try:
                started.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                started.kill()


async def _until_it_answers(port: int, process: psutil.Process) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError("the server ended before it answered")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise RuntimeError(f"nothing answers on port {port} after {_START_SECONDS:g} s")
