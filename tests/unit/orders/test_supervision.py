"""Children that do not do as they are told, and servers that die: with scripts in our processes' places."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from rich.console import Console

import stack
from orders.errors import OrdersError, UnreachableError
from orders.local import servers, supervision
from orders.local.servers import LocalServers, keep_servers, local_servers
from orders.local.supervision import Child, Supervisor
from orders.local.terminal import Terminal
from orders.local.ups import Registration, register
from orders.settings import Settings
from stack.endpoints import Endpoints
from stack.paths import stack_dir
from tests.helpers.system.waiting import assert_eventually, patient_timeout

# Children -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def supervise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, list[str]], Supervisor]:
    """A supervisor of one child, which is a shell script; all that it says and is said of it goes to the list."""

    def make(script: str, said: list[str]) -> Supervisor:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(program))
        child = Child("child", ())
        return Supervisor([child], dict(os.environ), tmp_path, lambda _, line: said.append(line), said.append)

    return make


STUBBORN = "trap '' TERM; echo $$; while :; do sleep 0.05; done"


async def test_a_child_that_does_not_stop_is_killed_and_that_is_said(
    supervise: Callable[[str, list[str]], Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "STOP_PATIENCE_SECONDS", 0.2)
    said: list[str] = []
    stop = asyncio.Event()
    running = asyncio.create_task(supervise(STUBBORN, said).run(stop))
    await assert_eventually(lambda: said, 10)
    stop.set()
    async with patient_timeout(10):
        await running
    assert said[1:] == ["child did not stop within 0.2 s; killing it"]
    assert not psutil.pid_exists(int(said[0]))


async def test_a_supervisor_that_is_cancelled_ends_its_child_all_the_same(
    supervise: Callable[[str, list[str]], Supervisor],
) -> None:
    said: list[str] = []
    running = asyncio.create_task(supervise("echo $$; exec sleep 60", said).run(asyncio.Event()))
    await assert_eventually(lambda: said, 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not psutil.pid_exists(int(said[0]))


async def test_a_line_that_is_too_long_is_left_out_and_those_behind_it_are_read(
    supervise: Callable[[str, list[str]], Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_LINE_MAX_BYTES", 100)
    said: list[str] = []
    stop = asyncio.Event()
    running = asyncio.create_task(supervise(f"echo {'x' * 500}; echo short; exec sleep 60", said).run(stop))
    await assert_eventually(lambda: "short" in said, 10)
    stop.set()
    async with patient_timeout(10):
        await running
    assert not any("xx" in line for line in said)


# Servers ------------------------------------------------------------------------------------------------------------

ENDPOINTS = Endpoints("127.0.0.1:1", "127.0.0.1:2", "http://127.0.0.1:3", "127.0.0.1", 4, "u", "p", "d")


class Running:
    """Servers that run, one of which dies."""

    endpoints = ENDPOINTS

    def __init__(self, *, started_here: bool = True, error: Exception | None = None) -> None:
        self.started_here = started_here
        self.looks = 0
        self._pids = {"kafka": 1, "postgres": 2}
        self.restarted: list[str] = []
        self.is_down = False
        self._error = error

    @property
    def pids(self) -> dict[str, int]:
        self.looks += 1
        return dict(self._pids)

    def die(self, name: str) -> None:
        del self._pids[name]

    def restart(self, name: str) -> None:
        if self._error is not None:
            raise self._error
        self.restarted.append(name)
        self._pids[name] = 3

    def down(self) -> None:
        self.is_down = True


@pytest.fixture
def terminal() -> Terminal:
    return Terminal(Console(quiet=True))


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `orders up` but this test's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def registration_of(running: Running, *, servers_are_named: bool = False) -> Registration:
    return register(
        stack_dir("default"),
        kafka=ENDPOINTS.kafka_bootstrap_servers,
        owns_servers=running.started_here,
        servers_are_named=servers_are_named,
        console_url=None,
        health=(),
    )


async def test_servers_that_another_command_has_ended_end_this_one_too(terminal: Terminal) -> None:
    running = Running(started_here=False)
    kept: Any = LocalServers(running, Settings(_env_file=None), Path(), {}, {}, registration_of(running))  # type: ignore[arg-type] # A stand-in.
    async with patient_timeout(30):
        with pytest.raises(UnreachableError, match="`orders stack down`"):
            await keep_servers(kept, terminal)


async def keep(running: Running, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the servers until they have been looked at some times after Kafka has died."""
    monkeypatch.setattr(servers, "SERVERS_LOOKED_AT_EVERY_SECONDS", 0.01)
    registration = registration_of(running, servers_are_named=True)
    kept: Any = LocalServers(running, Settings(_env_file=None), Path(), {}, {}, registration)  # type: ignore[arg-type] # A stand-in.
    keeping = asyncio.create_task(keep_servers(kept, terminal))
    await asyncio.sleep(0)
    running.die("kafka")
    await assert_eventually(lambda: keeping.done() or running.looks > 5, 10)
    keeping.cancel()
    await asyncio.wait([keeping])
    if not keeping.cancelled():
        keeping.result()


async def test_a_server_of_ours_that_dies_is_started_again_and_another_s_is_not(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, found = Running(), Running(started_here=False)
    await keep(ours, terminal, monkeypatch)
    assert ours.restarted == ["kafka"]
    await keep(found, terminal, monkeypatch)
    assert found.restarted == []


async def test_a_server_that_cannot_be_started_again_is_told(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OrdersError, match="no space left"):
        await keep(Running(error=stack.StackError("no space left")), terminal, monkeypatch)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of this test, without settings."""
    bare = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    bare["XDG_STATE_HOME"] = str(tmp_path / "state")
    monkeypatch.setattr(os, "environ", bare)
    monkeypatch.chdir(tmp_path)

    async def migrate(_: Settings) -> None:
        pass

    monkeypatch.setattr(servers, "migrate_all", migrate)
    return bare


def test_servers_that_were_started_are_ended_also_by_a_signal(
    terminal: Terminal, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running()
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(stack, "up", lambda **_: running)

    def use_and_be_told_to_stop() -> None:
        with local_servers(terminal) as local:
            assert local.settings.temporal_host == ENDPOINTS.temporal_host
            assert local.defaults["BRIDGE_INSTANCE_ID"].startswith("up-")
            assert local.defaults["BRIDGE_SESSION_TIMEOUT_SECONDS"] == "10"
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        use_and_be_told_to_stop()
    assert running.is_down
    assert signal.getsignal(signal.SIGTERM) is before
    assert "TEMPORAL_HOST" not in environment


def test_servers_that_a_file_names_are_looked_for_and_left_running(
    terminal: Terminal, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(started_here=False)
    lines = [f"{name}={value}" for name, value in ENDPOINTS.as_environment().items()]
    ours = ["BRIDGE_SESSION_TIMEOUT_SECONDS=20", "BRIDGE_INSTANCE_ID=mine", "API_PORT=9000", "BRIDGE_LOG_SETTLED=false"]
    (tmp_path / ".env").write_text("\n".join([*lines, *ours]))
    named: list[Endpoints | None] = []

    def up(**_: object) -> Running:
        named.append(Endpoints.from_environment(environment))
        return running

    monkeypatch.setattr(stack, "up", up)
    with local_servers(terminal) as local:
        assert local.defaults == {}, "what a person has set stays"
    assert named == [ENDPOINTS]
    assert not running.is_down


@pytest.mark.usefixtures("environment")
def test_servers_that_cannot_be_started_are_told(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def up(**_: object) -> SimpleNamespace:
        raise stack.StackError("no network")

    monkeypatch.setattr(stack, "up", up)
    with pytest.raises(OrdersError, match="no network"), local_servers(terminal):
        pass
