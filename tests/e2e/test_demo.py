"""What a new user does first: `orders demo`, and `orders up` with messages pasted into a shell."""

import asyncio
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from orders.local.demo.scenarios import scenarios
from stack.endpoints import Endpoints
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.servers.gateway_server import running_gateway
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.processes import OrdersProcess, clean_environment, free_port, run_to_end
from tests.helpers.system.system import PLANTED_SECRET, OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually, patient_seconds, patient_timeout

STOP_SECONDS = 60.0


@pytest.fixture
async def quiet_system(
    endpoints: Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OrderSystem]:
    """Topics, tables and a namespace of one's own, and no process yet; logs go to the test's folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    async with order_system(endpoints, tmp_path, start=False) as made:
        yield made


async def test_the_demo_of_the_console_leaves_orders_waiting_and_says_where(quiet_system: OrderSystem) -> None:
    port = free_port()
    demo = quiet_system.start("demo", "demo", "--console", expect_end=False, API_PORT=str(port))
    await demo.wait_until_logged(f"http://127.0.0.1:{port}/console/", within_seconds=180)

    async def they_wait() -> bool:
        async with httpx.AsyncClient() as client:
            try:
                page = await client.get(f"http://127.0.0.1:{port}/console/")
            except httpx.TransportError:
                return False
        return page.is_success and "<strong>12 orders</strong> wait" in page.text

    await assert_eventually(they_wait, 90, lambda: f"12 orders that wait\n{demo.log_tail}")
    demo.send(signal.SIGINT)
    assert await demo.wait_until_ended(STOP_SECONDS) == 0, demo.log_tail


async def test_the_demo_does_the_main_job_and_agrees_with_what_was_expected(quiet_system: OrderSystem) -> None:
    ended = await run_to_end(["demo"], quiet_system.settings, quiet_system.folder, within_seconds=240)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    for scenario in scenarios("x"):
        row = next(line for line in ended.stdout.splitlines() if scenario.title in line)
        assert "✓" in row, row
    assert "✗" not in ended.stdout
    assert "console producer" in ended.stdout
    assert "Send more by hand" in ended.stdout
    assert_no_violations(await quiet_system.evidence())


async def test_the_demo_works_beside_processes_of_others_and_tells_a_program(quiet_system: OrderSystem) -> None:
    quiet_system.start_bridge()
    for queue in ("order-tq", "shipping-tq"):
        quiet_system.start_worker(queue)
    await quiet_system.wait_until_bridges_own_partitions()
    ended = await run_to_end(["demo", "--json"], quiet_system.settings, quiet_system.folder, within_seconds=240)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    told = json.loads(ended.stdout)
    assert told["agree"] is True
    assert len(told["scenarios"]) == len(scenarios("x"))
    assert {one["differences"] == [] for one in told["scenarios"]} == {True}
    assert all(process.exit_status is None for process in quiet_system.processes), "others' processes are left alone"


async def test_the_demo_says_what_did_not_come_out_as_expected(quiet_system: OrderSystem) -> None:
    # Every order is above this amount: a deployment that rejects what it should not.
    ended = await run_to_end(
        ["demo", "--json"],
        {**quiet_system.settings, "ORDER_AMOUNT_MAX": "1"},
        quiet_system.folder,
        within_seconds=240,
    )
    assert ended.returncode == 1, ended.stderr
    told = json.loads(ended.stdout)
    assert told["agree"] is False
    differing = [one for one in told["scenarios"] if not one["agrees"]]
    assert len(differing) == len(told["scenarios"]) - 1, "all but the malformed one"
    assert any("REJECTED" in line for line in differing[0]["differences"])
    assert "did not come out as expected" in ended.stderr


async def test_the_demo_names_a_provider_that_fails_and_says_when_it_answers_again(
    quiet_system: OrderSystem, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path, api_key=PLANTED_SECRET) as gateway:
        await gateway.weather(1.0, "status:500")
        demo = quiet_system.start("demo", "demo", expect_end=True, PAYMENT_GATEWAY_URL=gateway.url)
        await demo.wait_until_logged(f"trouble: the payment provider ({gateway.url}) does not answer: ", 180)
        assert "(500)" in demo.log
        await gateway.weather(0.0)
        await demo.wait_until_logged("over: the payment provider answers again", 120)
        assert await demo.wait_until_ended(180) == 0, demo.log_tail
        assert demo.log.count("trouble:") == 1


def short_demo() -> str:
    """The demonstration with less patience for what does not happen: else a test would take two minutes."""
    return f"""
from orders.__main__ import main
from orders.cli import demo

demo.SCENARIOS_TIMEOUT_SECONDS = {patient_seconds(25)}
main()
"""


async def test_the_demo_ends_with_the_name_of_whom_its_orders_wait_for(
    quiet_system: OrderSystem, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path, api_key="another-key") as gateway:
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", short_demo(), "demo", "--json"],
            cwd=tmp_path,
            env=clean_environment({**quiet_system.settings, "CARRIER_GATEWAY_URL": gateway.url}),
            capture_output=True,
            text=True,
            timeout=patient_seconds(240),
            check=False,
        )
    assert ended.returncode == 1, ended.stderr
    sentence = f"the carrier ({gateway.url}) cannot be asked: the provider refuses the key (401)"
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "did not come out as expected" in last
    assert sentence in last
    told = json.loads(ended.stdout)
    assert len(told["troubles"]) == 1
    assert told["troubles"][0].startswith(sentence)
    (approved,) = [one for one in told["scenarios"] if one["scenario"] == "approved"]
    assert any(line.startswith("waits for prepare_package") for line in approved["differences"]), approved


async def test_the_demo_names_a_server_that_goes_away_and_ends_without_a_traceback(
    quiet_system: OrderSystem, tmp_path: Path
) -> None:
    log = tmp_path / "demo.log"
    async with Proxy(quiet_system.endpoints.temporal_host) as temporal:
        with log.open("wb") as output:
            demo = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                short_demo(),
                "demo",
                cwd=tmp_path,
                env=clean_environment({**quiet_system.settings, "TEMPORAL_HOST": temporal.address}),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            await assert_eventually(lambda: "RECEIVED" in log.read_text(), 180, log.read_text)
            await temporal.refuse()
            async with patient_timeout(240):
                assert await demo.wait() == 1, log.read_text()
        finally:
            if demo.returncode is None:
                demo.kill()
    said = log.read_text()
    assert f"trouble: Temporal ({temporal.address}) does not answer" in said, said
    assert "Traceback" not in said, said
    assert said.splitlines()[-1].startswith("error: "), said
    assert f"Temporal ({temporal.address}) does not answer" in said.splitlines()[-1]


async def test_up_runs_everything_survives_a_kill_and_ends_all_of_it_at_ctrl_c(quiet_system: OrderSystem) -> None:
    up = quiet_system.start("up", "up", ORDER_APPROVAL_TIMEOUT_SECONDS="60")
    await up.wait_until_logged("Ctrl-C ends everything")
    await up.wait_until_logged("ready: the bridge has its partitions")
    keyed, bare = await paste_all_but_cancel(up)
    await quiet_system.wait_until_states(keyed, *COMPLETED)
    await quiet_system.wait_until_states(bare, *COMPLETED)

    bridge = pid_of(up, "bridge")
    os.kill(bridge, signal.SIGKILL)
    await up.wait_until_logged("bridge was ended by SIGKILL")
    after = f"o-{secrets.token_hex(4)}"
    for command in (["produce", "created", after, "--payment-id", f"p-{after}"], ["produce", "approved", after]):
        sent = await run_to_end(command, quiet_system.settings, quiet_system.folder)
        assert sent.returncode == 0, sent.stderr
    await quiet_system.wait_until_states(after, *COMPLETED)

    children = [pid_of(up, "bridge"), pid_of(up, "worker order-tq"), pid_of(up, "worker shipping-tq")]
    up.send(signal.SIGINT)
    assert await up.wait_until_ended(STOP_SECONDS) == 0, up.log_tail
    assert not any(psutil.pid_exists(pid) for pid in children), "children were left behind"
    assert_no_violations(await quiet_system.evidence())


async def test_up_that_is_killed_leaves_no_process_behind(quiet_system: OrderSystem) -> None:
    up = quiet_system.start("up", "up")
    await up.wait_until_logged("ready: the bridge has its partitions")
    children = {pid_of(up, name) for name in ("bridge", "worker order-tq", "worker shipping-tq")}
    await up.kill9()
    await assert_eventually(lambda: not any(psutil.pid_exists(pid) for pid in children), STOP_SECONDS)


COMPLETED = (
    "RECEIVED",
    "VALIDATED",
    "APPROVED",
    "PAID",
    "PACKAGE_PREPARED",
    "CARRIER_DISPATCHED",
    "SHIPPED",
    "COMPLETED",
)


async def paste_all_but_cancel(up: OrdersProcess) -> tuple[str, str]:
    """Pastes the printed lines into a shell, in their order; returns the order ids, with a key and without."""
    lines = re.findall(r"^echo .*$", up.log, flags=re.MULTILINE)
    assert len(lines) == 8, up.log_tail
    for line in [one for one in lines if "order.cancelled" not in one]:
        pasted = await asyncio.to_thread(
            subprocess.run,
            ["/bin/sh", "-c", line],
            env=clean_environment({}),
            capture_output=True,
            text=True,
            timeout=patient_seconds(60),
            check=False,
        )
        assert pasted.returncode == 0, pasted.stderr
        assert pasted.stderr == "", "no warning of a deprecated option"
    keyed, bare = sorted(set(re.findall(r"hand-[0-9a-f]+-[12]", "".join(lines))))
    return keyed, bare


def pid_of(up: OrdersProcess, name: str) -> int:
    """The pid that a child logged last."""
    pids = re.findall(rf"^{name} .*process\.started .*pid=(\d+)", up.log, flags=re.MULTILINE)
    assert pids, f"{name} has not started\n{up.log_tail}"
    return int(pids[-1])
