"""The servers as containers, by Docker's own client, on an engine that has the engine's API and no containers."""

import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testcontainers.core.config import ConnectionMode, testcontainers_config

import stack
from stack import docker, lifecycle, readiness
from stack.endpoints import REQUIRED_VARIABLES, Endpoints
from stack.folder import StackFolder
from stack.progress import ProgressBoard
from stack.readiness import NotReadyError
from stack.state import StackState
from tests.helpers.servers.docker_engine import DockerEngine, running_docker_engine, stored_name

IMAGES = {docker.KAFKA_IMAGE, docker.TEMPORAL_IMAGE, docker.POSTGRES_IMAGE}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerEngine]:
    for name in (*REQUIRED_VARIABLES, "STACK_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("stack.readiness.CHECKS", {name: check_port_of(name) for name in stack.SERVICES})
    # As in a container that was given the engine's socket: testcontainers then looks elsewhere for the ports.
    monkeypatch.setattr(testcontainers_config, "connection_mode_override", ConnectionMode.gateway_ip)
    with tempfile.TemporaryDirectory() as folder, running_docker_engine(Path(folder)) as running:
        monkeypatch.setenv("DOCKER_HOST", running.address)
        yield running


def check_port_of(name: str) -> Callable[[Endpoints], None]:
    """A check that passes where something listens at the service's endpoint."""

    def check(endpoints: Endpoints) -> None:
        ports = {
            "kafka": int(endpoints.kafka_bootstrap_servers.rpartition(":")[2]),
            "temporal": int(endpoints.temporal_host.rpartition(":")[2]),
            "postgres": endpoints.db_port,
        }
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", ports[name])) != 0:
                raise NotReadyError("nobody listens")

    return check


def quiet(_line: str) -> None:
    pass


@pytest.mark.usefixtures("engine")
def test_an_engine_of_this_machine_that_answers_is_used() -> None:
    assert docker.engine_answers()


def test_an_engine_that_only_has_errors_for_us_is_not_used(engine: DockerEngine) -> None:
    engine.is_ill = True
    assert not docker.engine_answers()


@pytest.mark.usefixtures("engine")
def test_an_engine_is_not_used_where_its_client_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    assert not docker.engine_answers()


def test_servers_in_containers_are_started_found_disturbed_and_removed(engine: DockerEngine, tmp_path: Path) -> None:
    running = stack.up(state_dir=tmp_path, progress=quiet, codec_endpoint="http://127.0.0.1:8000/codec")
    assert running.started_here
    assert {container.image for container in engine.containers.values()} == IMAGES
    assert running.pids == {}
    again = stack.up(state_dir=tmp_path, progress=quiet)
    assert not again.started_here
    assert again.endpoints == running.endpoints
    assert again.codec_endpoint == running.codec_endpoint == "http://127.0.0.1:8000/codec"

    assert running.log_path("kafka").read_text().startswith(docker.KAFKA_IMAGE)
    again.pause("temporal")
    again.resume("temporal")
    again.restart("postgres")
    again.kill("kafka")
    assert engine.done == [
        f"{docker.TEMPORAL_IMAGE} pause",
        f"{docker.TEMPORAL_IMAGE} unpause",
        f"{docker.POSTGRES_IMAGE} restart",
        f"{docker.KAFKA_IMAGE} kill",
    ]
    assert stack.find(state_dir=tmp_path) is None, "one of them does not answer"

    assert stack.down(state_dir=tmp_path)
    assert engine.containers == {}
    assert not stack.down(state_dir=tmp_path)


def test_a_service_that_has_no_container_is_said_to_be_not_running(engine: DockerEngine, tmp_path: Path) -> None:
    running = stack.up(state_dir=tmp_path, progress=quiet)
    engine.close()
    engine.containers.clear()
    assert stack.down(state_dir=tmp_path), "what somebody else removed stands in nobody's way"
    backend = docker.DockerServers(
        StackFolder(tmp_path), StackState("docker", durable=True, endpoints=running.endpoints)
    )
    with pytest.raises(stack.StackError, match="kafka is not running; start the servers again"):
        backend.kill("kafka")


def test_a_container_that_ends_as_it_starts_is_told_with_its_log_and_leaves_nothing(
    engine: DockerEngine, tmp_path: Path
) -> None:
    engine.dead_at_start = "kafka"
    with pytest.raises(stack.StackError, match=r"kafka's container does not start \(.*exited.*kafka\.log"):
        stack.up(state_dir=tmp_path, progress=quiet)
    assert (tmp_path / "logs" / "kafka.log").read_text().startswith(docker.KAFKA_IMAGE)
    assert engine.containers == {}
    assert not (tmp_path / "state.json").exists()


def test_a_container_whose_server_does_not_answer_is_told_with_its_log_and_leaves_nothing(
    engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Endpoints) -> None:
        raise NotReadyError("no controller yet")

    monkeypatch.setitem(readiness.CHECKS, "kafka", refuse)
    monkeypatch.setattr("stack.readiness.wait_until_ready", lambda check, *_: check())
    with pytest.raises(stack.StackError, match=r"kafka does not answer \(no controller yet\); its log: .*kafka\.log"):
        stack.up(state_dir=tmp_path, progress=quiet)
    assert (tmp_path / "logs" / "kafka.log").read_text().startswith(docker.KAFKA_IMAGE)
    assert engine.containers == {}


def test_a_container_that_ends_before_its_server_answers_is_not_waited_for(
    engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Endpoints) -> None:
        temporal = next(one for one in engine.containers.values() if one.image == docker.TEMPORAL_IMAGE)
        temporal.status = "exited"
        raise NotReadyError("it has gone")

    monkeypatch.setitem(readiness.CHECKS, "temporal", refuse)
    with pytest.raises(stack.StackError, match=r"temporal does not answer \(it has gone\); its log: .*temporal\.log"):
        stack.up(state_dir=tmp_path, progress=quiet)
    assert engine.containers == {}


def test_images_that_are_missing_are_downloaded_beforehand(
    engine: DockerEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs: list[dict[str, bool]] = []
    monkeypatch.setattr(lifecycle, "prepare_programs", lambda _, **wanted: programs.append(wanted))
    engine.images.add(stored_name(docker.KAFKA_IMAGE))
    stack.prepare()
    assert engine.images == set(map(stored_name, IMAGES))
    assert re.search(r"images: ready \(\d+ s\)\n$", capsys.readouterr().err)
    assert programs == [{"test_server": False, "temporal": False}]


def test_images_that_cannot_be_downloaded_are_told_with_a_way_out(engine: DockerEngine) -> None:
    engine.offline = True
    with ProgressBoard(quiet) as board, pytest.raises(stack.StackError, match=r"no route to .*STACK_SOURCE=native"):
        docker.pull_images(board)
