"""A real Prometheus with the rules of deploy/ in place, which reads the pages of a test's own processes each second."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from tests.helpers.deployed_rules import PROMETHEUS
from tests.helpers.promtool import prometheus
from tests.helpers.system.processes import free_port
from tests.helpers.system.waiting import assert_eventually

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
EVERY: Final = "1s"


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of what an expression comes to."""

    labels: dict[str, str]
    value: float


@dataclass(slots=True)
class Prometheus:
    """A server that runs."""

    port: int
    targets: Path
    """The file in which it looks for what it reads."""
    _reads: set[int] = field(default_factory=set)

    def read(self, port: int) -> None:
        """From now on it reads this port's page."""
        self._reads.add(port)
        self._tell()

    def leave(self, port: int) -> None:
        """It reads this port's page no more; what it has read stays."""
        self._reads.discard(port)
        self._tell()

    async def ask(self, expression: str) -> list[Answer]:
        """What an expression comes to now.

        Raises:
            AssertionError: Prometheus does not take it.
        """
        rows = await self._asked("query", "vector", query=expression)
        return [Answer(row["metric"], float(row["value"][1])) for row in rows]

    async def ask_over(self, expression: str, begin: float, end: float, step_seconds: float) -> list[dict[str, Any]]:
        """What an expression came to over a time, in Prometheus' own form: each series' labels and values.

        Raises:
            AssertionError: Prometheus does not take it.
        """
        return await self._asked("query_range", "matrix", query=expression, start=begin, end=end, step=step_seconds)

    async def _asked(self, way: str, kind: str, **parameters: str | float) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}/api/v1/{way}", params=parameters)
        told: dict[str, Any] = answer.json()
        assert told["status"] == "success", f"{parameters}: {told}"
        assert told["data"]["resultType"] == kind, parameters
        rows: list[dict[str, Any]] = told["data"]["result"]
        return rows

    async def until(
        self, expression: str, holds: Callable[[list[Answer]], bool], *, within_seconds: float = 60.0
    ) -> list[Answer]:
        """Asks again and again until the answer is as awaited."""
        seen: list[Answer] = []

        async def is_so() -> bool:
            seen[:] = await self.ask(expression)
            return holds(seen)

        await assert_eventually(is_so, within_seconds, lambda: f"an answer to {expression}, not {seen}")
        return seen

    async def until_it_alarms(self, alert: str, **labels: str) -> None:
        """Waits until what an alarm looks for is so: it fires, or will once it has been so for long enough."""
        wanted = ",".join(f'{name}="{text}"' for name, text in {"alertname": alert, **labels}.items())
        await self.until(f"ALERTS{{{wanted}}}", bool)

    async def until_it_has_read(self, port: int) -> None:
        """Waits until it has a page of this port."""
        await self.until(f'up{{instance="127.0.0.1:{port}"}} == 1', bool)

    def _tell(self) -> None:
        written = self.targets.with_suffix(".new")
        written.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}" for port in sorted(self._reads)]}]))
        written.replace(self.targets)


@asynccontextmanager
async def running_prometheus(folder: Path) -> AsyncIterator[Prometheus]:
    """Starts one, and ends it with the block.

    Args:
        folder: Empty; for its configuration, its data and its log.
    """
    server, log = Prometheus(free_port(), folder / "targets.json"), folder / "prometheus.log"
    server._tell()
    configuration = _configuration(folder)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 -- a moment
            [
                prometheus(),
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{server.port}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
    try:
        await _until_ready(server, process, log)
        yield server
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, STOP_SECONDS)


def _configuration(folder: Path) -> Path:
    """That of deploy/, read and evaluated each second, for the targets that tests name."""
    told: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    told["global"] = {"scrape_interval": EVERY, "evaluation_interval": EVERY}
    for name in told["rule_files"]:
        rules: dict[str, Any] = yaml.safe_load((PROMETHEUS / name).read_text())
        for group in rules["groups"]:
            group.pop("interval", None)
        (folder / name).write_text(yaml.safe_dump(rules, sort_keys=False))
    (job,) = told["scrape_configs"]
    del job["static_configs"]
    job["file_sd_configs"] = [{"files": ["targets.json"], "refresh_interval": EVERY}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    return path


async def _until_ready(server: Prometheus, process: "subprocess.Popen[bytes]", log: Path) -> None:
    async def is_ready() -> bool:
        assert process.poll() is None, "it has ended"
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                return (await client.get(f"http://127.0.0.1:{server.port}/-/ready")).status_code == 200
        except httpx.TransportError:
            return False

    await assert_eventually(is_ready, START_SECONDS, lambda: f"Prometheus on {server.port}\n{log.read_text()}")
