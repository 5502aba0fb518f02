"""`orders up` with servers of its own, which may die like any other process."""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import stack
from stack.endpoints import REQUIRED_VARIABLES
from tests.helpers.system.encrypted import new_keys
from tests.helpers.system.processes import OrdersProcess, run_to_end

BACK_WITHIN_SECONDS = 90.0


@pytest.fixture
def own_servers_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Settings under which `orders up` starts servers of its own, in the test's folder."""
    for name in REQUIRED_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    settings = {
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "STACK_SOURCE": "native",
        # The approval is sent once all servers are back, which a busy machine takes over the default's 30 s for.
        "ORDER_APPROVAL_TIMEOUT_SECONDS": "600",
        "TEMPORAL_CODEC_KEYS": new_keys(),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield settings
    stack.down()


async def test_up_starts_its_servers_again_when_they_are_killed(
    own_servers_only: dict[str, str], tmp_path: Path
) -> None:
    up = OrdersProcess("up", ["up"], own_servers_only, tmp_path)
    try:
        await up.wait_until_logged("ready: the bridge has its partitions")
        order_id = f"o-{secrets.token_hex(4)}"
        await run(["produce", "created", order_id, "--payment-id", f"p-{order_id}"], own_servers_only, tmp_path)

        servers = stack.find()
        assert servers is not None
        for name, pid in servers.pids.items():
            os.kill(pid, signal.SIGKILL)
            await up.wait_until_logged(f"{name} is back", BACK_WITHIN_SECONDS)

        assert servers.endpoints.temporal_ui_url is not None
        await shows_payloads_by_the_api(servers.endpoints.temporal_ui_url, up)
        await run(["produce", "approved", order_id], own_servers_only, tmp_path)
        waited = await run(["wait", order_id, "--timeout", "90"], own_servers_only, tmp_path)
        assert "COMPLETED" in waited, up.log_tail
        up.send(signal.SIGINT)
        assert await up.wait_until_ended(BACK_WITHIN_SECONDS) == 0, up.log_tail
        assert stack.find() is None, "its servers were left behind"
    finally:
        up.close()


async def shows_payloads_by_the_api(ui_url: str, up: OrdersProcess) -> None:
    """Temporal's UI is told where the API is, and the API lets its pages ask."""
    async with httpx.AsyncClient(timeout=60) as http:
        told = (await http.get(f"{ui_url}/api/v1/settings")).json()["Codec"]["Endpoint"]
        assert f"shows payloads decrypted by {told}" in " ".join(up.log.split()), up.log_tail
        asked = {"payloads": [{"metadata": {"encoding": ""}, "data": ""}]}
        headers = {"Origin": ui_url, "Sec-Fetch-Site": "same-site"}
        answer = await http.post(f"{told}/decode", json=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == ui_url


async def run(command: list[str], settings: dict[str, str], folder: Path) -> str:
    ended = await run_to_end(command, settings, folder, within_seconds=120)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


async def test_a_second_up_finds_the_first_and_takes_over_its_servers(
    own_servers_only: dict[str, str], tmp_path: Path
) -> None:
    first = OrdersProcess("first", ["up"], own_servers_only, tmp_path)
    second: OrdersProcess | None = None
    try:
        await first.wait_until_logged("ready: the bridge has its partitions")
        for process in ("bridge", "worker", "api"):
            assert (await run(["health", process], own_servers_only, tmp_path)).strip() == "ready"
        second = OrdersProcess("second", ["up"], own_servers_only, tmp_path)
        await second.wait_until_logged(f"orders up` (process {first.pid}")
        await second.wait_until_logged("a worker serves each task queue")
        first.send(signal.SIGINT)
        assert await first.wait_until_ended(BACK_WITHIN_SECONDS) == 0, first.log_tail
        assert f"orders up` (process {second.pid}" in first.log
        await second.wait_until_logged("left the servers to this one")
        second.send(signal.SIGINT)
        assert await second.wait_until_ended(BACK_WITHIN_SECONDS) == 0, second.log_tail
        assert stack.find() is None, "the servers were left behind"
    finally:
        first.close()
        if second is not None:
            second.close()
