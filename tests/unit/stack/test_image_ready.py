"""`ready`, by which docker-compose.yml asks a process of the image: the same answer as `orders health` gives."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orders.processes.health_server import HealthAnswer, HealthChecks, health_server
from tests.helpers.system.waiting import patient_timeout

READY = Path(__file__).parents[3] / "deploy" / "image" / "ready"
TIMEOUT_SECONDS = 30


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@asynccontextmanager
async def process_that_is(answer: HealthAnswer, address: str = "127.0.0.1") -> AsyncIterator[int]:
    async def ready() -> HealthAnswer:
        await asyncio.sleep(0)
        return answer

    async with health_server(address, free_port(), HealthChecks(lambda: answer, ready)) as port:
        yield port


async def ask(process: str, port: int | None, address: str = "0.0.0.0") -> tuple[int | None, str]:  # noqa: S104 - as in the image
    """Runs the script as an engine would, and gives its exit status and what it said."""
    environment = {"PATH": os.environ["PATH"], "HEALTH_BIND_ADDRESS": address}
    if port is not None:
        environment[f"{process.upper()}_HEALTH_PORT"] = str(port)
    asked = await asyncio.create_subprocess_exec(
        READY, process, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with patient_timeout(TIMEOUT_SECONDS):
        said, _ = await asked.communicate()
    return asked.returncode, said.decode()


@pytest.mark.parametrize("process", ["bridge", "worker", "api"])
async def test_a_process_that_is_ready_is_told_by_status_0(process: str) -> None:
    async with process_that_is(HealthAnswer(ok=True)) as port:
        assert await ask(process, port) == (0, '{"ok": true, "reasons": []}\n')


async def test_one_that_is_not_is_told_by_status_1_and_says_why() -> None:
    async with process_that_is(HealthAnswer(ok=False, reasons=("no partitions yet",))) as port:
        assert await ask("bridge", port) == (1, '{"ok": false, "reasons": ["no partitions yet"]}\n')


async def test_a_process_that_is_told_to_listen_on_one_address_is_asked_there() -> None:
    async with process_that_is(HealthAnswer(ok=True), "127.0.0.2") as port:
        assert (await ask("bridge", port, "127.0.0.2"))[0] == 0
        assert await ask("bridge", port, "127.0.0.1") == (1, f"nobody answers at 127.0.0.1:{port}\n")


async def test_nobody_who_listens_is_told_by_status_1() -> None:
    port = free_port()
    assert await ask("worker", port) == (1, f"nobody answers at 127.0.0.1:{port}\n")


async def test_one_that_takes_the_connection_and_never_answers_is_waited_for_in_vain() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        status, said = await ask("worker", port)
    assert status == 1
    assert said == f"no answer from 127.0.0.1:{port} in 4 s\n"


async def test_a_name_that_is_no_process_of_the_image_is_told_what_to_name() -> None:
    status, said = await ask("nothing", None)
    assert status == 2
    assert said.startswith("ready bridge | worker | api: ")


@pytest.mark.parametrize("port", [None, 0])
async def test_a_process_that_was_told_not_to_listen_is_told_apart(port: int | None) -> None:
    assert await ask("bridge", port) == (1, "BRIDGE_HEALTH_PORT is not set, so the bridge does not listen\n")
