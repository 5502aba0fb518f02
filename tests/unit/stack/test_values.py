"""Endpoints, ports, the state file and the choice of a source: what needs no server."""

import re
import socket
import stat
import time
from pathlib import Path

import pytest

from stack import docker
from stack.endpoints import REQUIRED_VARIABLES, Endpoints
from stack.errors import StackError
from stack.folder import StackFolder
from stack.lifecycle import choose_source
from stack.paths import cache_dir, stack_dir
from stack.ports import FIRST_PORT, HOST, LAST_PORT, VARIABLES, _any_free, choose_ports
from stack.processes import ProcessIdentity
from stack.progress import ProgressBoard, describe_seconds
from stack.state import StackState, read_ports
from tests.helpers.system.waiting import Patience, in_time

ENDPOINTS = Endpoints("127.0.0.1:9092", "127.0.0.1:7233", "http://127.0.0.1:8233", "127.0.0.1", 5432, "u", "p", "d")


def test_endpoints_survive_the_way_through_the_environment() -> None:
    assert Endpoints.from_environment(ENDPOINTS.as_environment()) == ENDPOINTS


@pytest.mark.parametrize("missing", REQUIRED_VARIABLES)
def test_an_environment_that_names_two_of_the_three_servers_names_none(missing: str) -> None:
    environment = ENDPOINTS.as_environment()
    del environment[missing]
    assert Endpoints.from_environment(environment) is None
    assert Endpoints.from_environment(environment | {missing: ""}) is None


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1", "5432 "])
def test_a_database_port_that_is_no_port_is_refused_by_name(port: str) -> None:
    with pytest.raises(ValueError, match="DB_PORT"):
        Endpoints.from_environment(ENDPOINTS.as_environment() | {"DB_PORT": port})


def test_an_unknown_ui_is_not_in_the_environment() -> None:
    without = Endpoints("a:1", "b:2", None, "c", 3, "u", "p", "d")
    assert "TEMPORAL_UI_URL" not in without.as_environment()


def test_free_ports_are_below_those_that_outgoing_connections_get() -> None:
    ports = choose_ports({}, {})
    assert set(ports) == set(VARIABLES)
    assert len(set(ports.values())) == len(VARIABLES)
    assert all(FIRST_PORT <= port <= LAST_PORT < 32768 for port in ports.values())


def test_the_last_ports_are_used_again_where_they_are_free() -> None:
    first = choose_ports({}, {})
    with socket.socket() as squatter:
        squatter.bind((HOST, first["kafka"]))
        squatter.listen()
        second = choose_ports(first, {})
    assert second["kafka"] != first["kafka"]
    assert {name: port for name, port in second.items() if name != "kafka"} == {
        name: port for name, port in first.items() if name != "kafka"
    }


def test_a_port_that_the_environment_sets_is_taken_or_the_start_is_refused() -> None:
    free = choose_ports({}, {})["postgres"]
    assert choose_ports({}, {"STACK_POSTGRES_PORT": str(free)})["postgres"] == free
    with socket.socket() as squatter:
        squatter.bind((HOST, free))
        squatter.listen()
        with pytest.raises(StackError, match=f"port {free} of STACK_POSTGRES_PORT is in use"):
            choose_ports({}, {"STACK_POSTGRES_PORT": str(free)})
    with pytest.raises(StackError, match="STACK_KAFKA_PORT is 'soon'"):
        choose_ports({}, {"STACK_KAFKA_PORT": "soon"})
    with pytest.raises(StackError, match="in use"):
        choose_ports({}, {"STACK_KAFKA_PORT": str(free), "STACK_POSTGRES_PORT": str(free)})


def test_where_no_port_is_free_the_settings_of_ports_are_named() -> None:
    with pytest.raises(StackError, match=f"no free port was found between {FIRST_PORT} and {LAST_PORT}"):
        _any_free(set(range(FIRST_PORT, LAST_PORT + 1)))


def test_the_state_file_gives_back_what_was_written_and_is_for_its_owner_only(tmp_path: Path) -> None:
    state = StackState(
        "native",
        durable=True,
        endpoints=ENDPOINTS,
        ready=True,
        codec_endpoint="http://127.0.0.1:8000/codec",
        processes={"kafka": ProcessIdentity(7, "boot x, tick 1")},
    )
    path = tmp_path / "state.json"
    state.write(path)
    assert StackState.read(path) == state
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_stack_has_a_password_of_its_own_which_stays_and_is_for_its_owner_only(tmp_path: Path) -> None:
    one, other = StackFolder(tmp_path / "one"), StackFolder(tmp_path / "other")
    password = one.password()
    assert len(password) == 32
    assert one.password() == StackFolder(tmp_path / "one").password() == password
    assert other.password() != password
    (file,) = [path for path in (tmp_path / "one").iterdir() if path.read_text() == password]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": 2}', '{"version": 1, "source": "native"}', "7"])
def test_a_state_file_of_another_version_or_half_a_one_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    assert StackState.read(path) is None
    path.write_text(content)
    assert StackState.read(path) is None
    assert read_ports(path) in ({}, {"version": 2}, {"version": 1})


@pytest.mark.parametrize(
    ("wanted", "docker_answers", "source"),
    [
        (None, True, "docker"),
        (None, False, "native"),
        ("", True, "docker"),
        ("native", True, "native"),
        ("docker", True, "docker"),
    ],
)
def test_docker_serves_where_it_answers_unless_native_servers_are_wanted(
    wanted: str | None, docker_answers: bool, source: str
) -> None:
    assert choose_source(wanted, docker_answers=docker_answers) == source


def test_a_source_that_cannot_be_had_is_refused() -> None:
    with pytest.raises(StackError, match="no Docker engine answers"):
        choose_source("docker", docker_answers=False)
    with pytest.raises(StackError, match="'podman'"):
        choose_source("podman", docker_answers=True)


@pytest.mark.parametrize(
    "host",
    ["unix:///nonexistent/docker.sock", "npipe:////./pipe/nonexistent", "tcp://192.0.2.1:2375", "ssh://no@192.0.2.1"],
)
def test_an_engine_that_is_absent_or_elsewhere_is_found_out_at_once(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with in_time(docker.ANSWER_TIMEOUT_SECONDS + 1):
        assert not docker.engine_answers()


@pytest.mark.parametrize("name", ["", "..", "a/b", "Upper", "-x", "x" * 65])
def test_a_name_that_would_leave_the_state_folder_is_refused(name: str) -> None:
    with pytest.raises(StackError, match="cannot name a stack"):
        stack_dir(name)


def test_caches_and_state_lie_where_the_user_keeps_such_things(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ORDERS_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    assert cache_dir() == tmp_path / "c" / "temporal-order-orchestrator"
    assert stack_dir("x") == tmp_path / "s" / "temporal-order-orchestrator" / "stacks" / "x"
    monkeypatch.setenv("ORDERS_CACHE_DIR", str(tmp_path / "o"))
    assert cache_dir() == tmp_path / "o"


def test_long_work_is_told_again_and_again_with_its_latest_note() -> None:
    lines: list[str] = []
    with ProgressBoard(lines.append, silence_limit_seconds=0.05) as board:
        board.begin("temporal", "building")
        board.note("temporal", "building: 7 packages")
        patience = Patience(5)
        while len(lines) < 3 and not patience.is_over():
            time.sleep(0.01)
        board.end("temporal", "ready")
    assert lines[0] == "temporal: building"
    assert lines[1].startswith("temporal: building: 7 packages (")
    assert re.fullmatch(r"temporal: ready \(\d s\)", lines[-1])


def test_on_a_terminal_one_line_says_what_is_under_way_and_others_what_has_ended() -> None:
    lines: list[str] = []
    shown: list[str] = []
    with ProgressBoard(lines.append, shown.append) as board:
        board.begin("temporal", "building")
        board.note("kafka", "starting")
        patience = Patience(30)
        while not shown and not patience.is_over():
            time.sleep(0.01)
        board.end("kafka", "ready")
    assert re.fullmatch(r"temporal: building \(\d s\); kafka: starting \(\d s\)", shown[0])
    assert shown[-1] == "", "the line is taken away at the end"
    assert len(lines) == 1
    assert lines[0].startswith("kafka: ready (")


def test_durations_read_as_a_person_says_them() -> None:
    assert [describe_seconds(8.9), describe_seconds(125)] == ["8 s", "2 min 05 s"]
