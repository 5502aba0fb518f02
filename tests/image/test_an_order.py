"""The image at work: what docker-compose.yml runs of ours, with its restrictions, against native servers."""

import asyncio
import json
import socket
import urllib.request
from typing import Any

import pytest

import stack
from tests.helpers.system.waiting import assert_eventually
from tests.image.compose import container_options, read_services, stop_seconds
from tests.image.conftest import Image

PROCESSES = ("bridge", "worker-order", "worker-shipping", "api")
HEALTHY_SECONDS = 300
ORDER_SECONDS = 180


def free_ports(number: int) -> list[int]:
    """Ports of this machine, whose network the containers share."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    try:
        return [each.getsockname()[1] for each in taken]
    finally:
        for each in taken:
            each.close()


class Installation:
    """The containers of one installation, by the names of their services."""

    def __init__(self, image: Image, servers: stack.RunningStack) -> None:
        self._image = image
        self._services = read_services()
        self._environment = servers.endpoints.as_environment()
        self.containers: dict[str, Any] = {}
        self.api_port = 0

    def migrate(self) -> tuple[int, str]:
        """Makes tables and topics, as the first of all services."""
        return self._image.run(**container_options(self._services["migrate"], self._environment))

    def start(self) -> None:
        """Starts the processes, each with ports of its own."""
        for name, port in zip(PROCESSES, free_ports(len(PROCESSES)), strict=True):
            ports = {f"{self._services[name]['command'][0].upper()}_HEALTH_PORT": str(port)}
            if name == "api":
                (self.api_port,) = free_ports(1)
                ports["API_PORT"] = str(self.api_port)
            options = container_options(self._services[name], {**self._environment, **ports})
            self.containers[name] = self._image.start(**options)

    def health(self, name: str) -> str:
        """What the engine says of a process, by the health check of its service."""
        container = self.containers[name]
        container.reload()
        state = container.attrs["State"]
        assert state["Running"], f"{name} has ended\n{container.logs(tail=30).decode(errors='replace')}"
        return str(state["Health"]["Status"])

    def run_in(self, name: str, *command: str) -> tuple[int, str]:
        """Runs a command in a process's container, as `docker compose exec` does."""
        status, (output, errors) = self.containers[name].exec_run(list(command), demux=True)
        said = (output or b"") + (b"" if status == 0 else errors or b"")
        return status, said.decode(errors="replace")

    def stop(self, name: str) -> int:
        """`docker stop`: gives the exit status."""
        container = self.containers[name]
        container.stop(timeout=stop_seconds(self._services[name]))
        return int(container.wait()["StatusCode"])


@pytest.fixture(scope="module")
def installation(image: Image, servers: stack.RunningStack) -> Installation:
    """All of ours, started after its tables and topics were made."""
    made = Installation(image, servers)
    status, said = made.migrate()
    assert status == 0, said
    made.start()
    return made


async def until_healthy(installation: Installation) -> None:
    for name in PROCESSES:

        async def is_healthy(name: str = name) -> bool:
            return await asyncio.to_thread(installation.health, name) == "healthy"

        await assert_eventually(is_healthy, HEALTHY_SECONDS, f"{name} is healthy")


async def test_tables_and_topics_are_made_as_often_as_one_likes(installation: Installation) -> None:
    status, said = await asyncio.to_thread(installation.migrate)
    assert status == 0, said


async def test_every_process_becomes_healthy_and_says_so(installation: Installation) -> None:
    await until_healthy(installation)
    for name in PROCESSES:
        status, said = await asyncio.to_thread(installation.run_in, name, "ready", name.partition("-")[0])
        assert (status, json.loads(said)["ok"]) == (0, True), name


async def test_an_order_is_sent_approved_and_completed_and_shown_by_the_api(installation: Installation) -> None:
    await until_healthy(installation)
    for command in (
        ("orders", "produce", "created", "o-1", "--payment-id", "p-1"),
        ("orders", "produce", "approved", "o-1"),
        ("orders", "wait", "o-1", "--timeout", str(ORDER_SECONDS)),
    ):
        status, said = await asyncio.to_thread(installation.run_in, "bridge", *command)
        assert status == 0, f"{' '.join(command)}: {said}"
    status, said = await asyncio.to_thread(installation.run_in, "bridge", "orders", "status", "o-1", "--json")
    assert (status, json.loads(said)["state"]) == (0, "COMPLETED"), said

    status, key = await asyncio.to_thread(
        installation.run_in, "api", "orders", "api-keys", "create", "try", "--role", "viewer", "--json"
    )
    assert status == 0, key
    request = urllib.request.Request(
        f"http://127.0.0.1:{installation.api_port}/orders/o-1/result",
        headers={"Authorization": f"Bearer {json.loads(key)['key']}"},
    )
    shown = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=30).read()))  # noqa: S310
    assert shown["state"] == "COMPLETED"


async def test_each_process_ends_with_status_0_when_it_is_told_to_stop(installation: Installation) -> None:
    await until_healthy(installation)
    statuses = await asyncio.gather(*(asyncio.to_thread(installation.stop, name) for name in PROCESSES))
    assert dict(zip(PROCESSES, statuses, strict=True)) == dict.fromkeys(PROCESSES, 0)
