import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orders.local.ups import HealthAddress, Registration, Running, described, register, running_here
from stack.paths import stack_dir
from stack.processes import ProcessIdentity

KAFKA = "127.0.0.1:21000"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return stack_dir("default")


@pytest.fixture
def other_process() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.communicate()


def registered(folder: Path, *, owns_servers: bool = True) -> Registration:
    return register(
        folder,
        kafka=KAFKA,
        owns_servers=owns_servers,
        servers_are_named=False,
        console_url="http://127.0.0.1:8000/console",
        health=(HealthAddress(process="bridge", host="127.0.0.1", port=9464),),
    )


def another(folder: Path, pid: int, *, kafka: str = KAFKA, owns: bool = False, named: bool = False) -> Running:
    running = Running(
        command="up",
        pid=pid,
        started=ProcessIdentity.of(pid).started,
        since=datetime.now(UTC) + timedelta(seconds=1),
        folder="/elsewhere",
        kafka=kafka,
        owns_servers=owns,
        servers_are_named=named,
        console_url=None,
        log_dir="",
    )
    (folder / f"running-{pid}.json").write_text(running.model_dump_json())
    return running


def test_what_runs_is_found_until_it_ends(folder: Path) -> None:
    ours = registered(folder)
    assert running_here() == [ours.running]
    assert f"process {os.getpid()}" in described(ours.running)
    assert "http://127.0.0.1:8000/console" in described(ours.running)
    ours.end()
    assert running_here() == []


def test_what_was_killed_is_not_found_and_its_file_goes_with_the_next_start(folder: Path, other_process: int) -> None:
    folder.mkdir(parents=True)
    gone = another(folder, other_process)
    path = folder / f"running-{other_process}.json"
    path.write_text(gone.model_copy(update={"started": "before the machine was started"}).model_dump_json())
    (folder / "running-1.json").write_text("{")
    assert running_here() == []
    registered(folder)
    assert sorted(one.name for one in folder.glob("running-*.json")) == [f"running-{os.getpid()}.json"]


def test_servers_are_left_to_another_that_uses_them(folder: Path, other_process: int) -> None:
    ours = registered(folder)
    other = another(folder, other_process)
    assert ours.others() == [other]
    assert ours.end() == (False, other)
    assert json.loads((folder / f"running-{other_process}.json").read_text())["owns_servers"] is True


@pytest.mark.parametrize("elsewhere", [{"kafka": "kafka.example:9092"}, {"named": True}])
def test_servers_are_ended_where_nobody_else_can_end_them(
    folder: Path, other_process: int, elsewhere: dict[str, object]
) -> None:
    ours = registered(folder)
    another(folder, other_process, **elsewhere)  # type: ignore[arg-type]
    assert ours.end() == (True, None)


def test_servers_that_were_found_stay_their_owners(folder: Path, other_process: int) -> None:
    ours = registered(folder, owns_servers=False)
    another(folder, other_process, owns=True)
    assert not ours.owns_servers
    assert ours.end() == (False, None)


def test_servers_that_another_has_left_are_ended_by_the_last_one(folder: Path) -> None:
    ours = registered(folder, owns_servers=False)
    (folder / f"running-{os.getpid()}.json").write_text(
        ours.running.model_copy(update={"owns_servers": True}).model_dump_json()
    )
    assert ours.owns_servers
    assert ours.end() == (True, None)
