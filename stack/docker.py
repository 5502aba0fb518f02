"""The servers as containers, by testcontainers, where a Docker engine answers.

The images are the projects' own. Ports are chosen beforehand and bound as they are: Kafka must advertise its own, and a
restarted container must come back on the same one.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from stack import readiness
from stack.addresses import DATABASE, USER, choose_addresses
from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.folder import StackFolder
from stack.ports import HOST
from stack.progress import ProgressBoard
from stack.service import SERVICES, ServiceName
from stack.state import StackState
from stack.temporal import GARBAGE, LIMITS, TUNING, codec_options

KAFKA_IMAGE = "apache/kafka:4.3.1@sha256:77e3df9054047a88b520d0cc46e16696d3b22022e1d580aeccd2632df6532837"
TEMPORAL_IMAGE = "temporalio/temporal:1.9.1@sha256:ad4c82c97bd12b417d1ea942610dbcd511afb250c4d5ed26c694009533df447e"
POSTGRES_IMAGE = "postgres:18.6-alpine@sha256:77f585114c32fbca283dc835b0596f4e52b51b4c6662d7810b2f4084f60a1873"
LOCAL_SCHEMES = ("unix", "npipe")
DEFAULT_SOCKET = "/var/run/docker.sock"
ANSWER_TIMEOUT_SECONDS = 3
START_TIMEOUT = timedelta(minutes=2)
STOP_PATIENCE_SECONDS = 20
# Where the broker's clients connect inside the container; any port that is not one of the container's others.
KAFKA_CONTROLLER_PORT = 29093


def engine_answers() -> bool:
    """Says whether a Docker engine of this machine can be used, in three seconds at most.

    One on another machine does not count: its ports would not be on our loopback address.
    """
    if os.environ.get("DOCKER_HOST", "unix://").split("://")[0] not in LOCAL_SCHEMES:
        return False
    if not _listens(os.environ.get("DOCKER_HOST", "unix://")):
        return False
    try:
        import docker  # noqa: PLC0415 -- only the extra "stack" installs it
    except ImportError:
        return False
    try:
        # Asks the engine for its version. Among what goes wrong: we may not use its socket.
        docker.from_env(timeout=ANSWER_TIMEOUT_SECONDS).close()
    except docker.errors.DockerException:
        return False
    return True


def _listens(address: str) -> bool:
    """Whether anybody listens on a Unix socket; True for other addresses.

    Asked before the client is made, which leaves its socket open where nobody does (docker 7.1).
    """
    scheme, _, path = address.partition("://")
    if scheme != "unix":
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_TIMEOUT_SECONDS)
        return probe.connect_ex(path or DEFAULT_SOCKET) == 0


def pull_images(board: ProgressBoard) -> None:
    """Downloads the images that are missing.

    Raises:
        StackError: One cannot be had.
    """
    import docker  # noqa: PLC0415

    client = docker.from_env()
    try:
        for image in (KAFKA_IMAGE, TEMPORAL_IMAGE, POSTGRES_IMAGE):
            board.begin("images", f"downloading {image.partition('@')[0]}, if it is missing")
            try:
                client.images.get(image)
            except docker.errors.ImageNotFound:
                client.images.pull(image)
        board.end("images", "ready")
    except docker.errors.DockerException as error:
        raise StackError(
            f"an image cannot be downloaded ({error}); check the network, or STACK_SOURCE=native"
        ) from error
    finally:
        client.close()


class DockerServers:
    """Three containers. See ``stack.running.Backend``; callers hold the folder's lock."""

    def __init__(self, folder: StackFolder, state: StackState) -> None:
        self._folder = folder
        self._state = state
        self._writing = threading.Lock()

    @classmethod
    def start(
        cls, folder: StackFolder, board: ProgressBoard, *, durable: bool, codec_endpoint: str | None = None
    ) -> "DockerServers":
        """Starts all three side by side, and returns when all answer. If one fails, none is left running.

        Raises:
            StackError: An image cannot be had, or a server does not answer.
        """
        ports, endpoints = choose_addresses(folder)
        state = StackState("docker", durable=durable, endpoints=endpoints, codec_endpoint=codec_endpoint)
        servers = cls(folder, state)
        servers._write(servers._state)
        makers: dict[ServiceName, Callable[[], Any]] = {
            "kafka": lambda: kafka_container(ports["kafka"]),
            "temporal": lambda: temporal_container(ports["temporal"], ports["temporal_ui"], codec_endpoint),
            "postgres": lambda: postgres_container(ports["postgres"], endpoints.db_password),
        }
        try:
            with ThreadPoolExecutor(len(makers), thread_name_prefix="start") as pool:
                list(pool.map(lambda name: servers._start_one(name, makers[name], board), makers))
        except BaseException:
            servers.end()
            raise
        servers._write(replace(servers._state, ready=True))
        return servers

    def _start_one(self, name: ServiceName, make: Callable[[], Any], board: ProgressBoard) -> None:
        import docker  # noqa: PLC0415
        from testcontainers.core.config import testcontainers_config  # noqa: PLC0415

        # Its reaper would end the containers with this process; they are ours to end, in "down".
        testcontainers_config.ryuk_disabled = True
        container = make()
        board.begin(name, f"starting a container of {container.image} (the first time it is downloaded)")
        try:
            container.start()
        # testcontainers raises RuntimeError where a container ends before it is ready.
        except (docker.errors.DockerException, OSError, RuntimeError) as error:
            log_path = self._discard(name, container)
            raise StackError(f"{name}'s container does not start ({error}); its log: {log_path}") from error
        with self._writing:
            known = {**self._state.containers, name: container.get_wrapped_container().id}
            self._write(replace(self._state, containers=known))
        self._await(name)
        board.end(name, "ready")

    def _await(self, name: ServiceName) -> None:
        try:
            readiness.wait_until_ready(
                lambda: readiness.CHECKS[name](self._state.endpoints),
                lambda: self._is_running(name),
                START_TIMEOUT.total_seconds(),
            )
        except readiness.NotReadyError as error:
            raise StackError(f"{name} does not answer ({error}); its log: {self.log_path(name)}") from error

    def _is_running(self, name: ServiceName) -> bool:
        import docker  # noqa: PLC0415

        client = docker.from_env()
        try:
            return bool(client.containers.get(self._state.containers[name]).status == "running")
        except docker.errors.NotFound:
            return False
        finally:
            client.close()

    def _discard(self, name: ServiceName, container: Any) -> Path:
        """Removes a container that did not start, and keeps what it said: gives the file that holds it."""
        import docker  # noqa: PLC0415

        said = b""
        # It may not even have been made, which testcontainers reports as a RuntimeError.
        with contextlib.suppress(docker.errors.DockerException, OSError, RuntimeError):
            said = b"".join(container.get_logs())
        with contextlib.suppress(docker.errors.DockerException, OSError):
            container.stop()
        return self._keep_log(name, said)

    @property
    def endpoints(self) -> Endpoints:
        """Where they answer."""
        return self._state.endpoints

    @property
    def codec_endpoint(self) -> str | None:
        """Where Temporal's UI has payloads decrypted."""
        return self._state.codec_endpoint

    @property
    def pids(self) -> dict[ServiceName, int]:
        """None: containers' processes are the engine's."""
        return {}

    @property
    def is_complete(self) -> bool:
        """Whether the start was completed. That they answer is asked of the servers themselves."""
        return self._state.ready and len(self._state.containers) == len(SERVICES)

    def log_path(self, service: ServiceName) -> Path:
        """Writes the container's log so far to a file, and gives its path."""
        return self._keep_log(service, self._container(service).logs())

    def _keep_log(self, service: ServiceName, text: bytes) -> Path:
        path = self._folder.path / "logs" / f"{service}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        return path

    def kill(self, service: ServiceName) -> None:
        """Kills a container's processes."""
        self._container(service).kill()

    def pause(self, service: ServiceName) -> None:
        """Freezes a container."""
        self._container(service).pause()

    def resume(self, service: ServiceName) -> None:
        """Lets a frozen container go on."""
        self._container(service).unpause()

    def restart(self, service: ServiceName) -> None:
        """Restarts a container, with its data."""
        self._container(service).restart(timeout=STOP_PATIENCE_SECONDS)
        self._await(service)

    def end(self) -> None:
        """Removes the containers; their volumes too, unless durable."""
        import docker  # noqa: PLC0415

        for name in self._state.containers:
            with contextlib.suppress(docker.errors.NotFound):
                container = self._container(name)
                container.stop(timeout=STOP_PATIENCE_SECONDS)
                container.remove(force=True, v=True)
        self._folder.forget()

    def _container(self, service: str) -> Any:
        import docker  # noqa: PLC0415

        identifier = self._state.containers.get(service)
        if identifier is None:
            raise StackError(f"{service} is not running; start the servers again")
        return docker.from_env().containers.get(identifier)

    def _write(self, state: StackState) -> None:
        self._state = state
        self._folder.write_state(state)


def kafka_container(port: int) -> Any:
    """One node, broker and controller in one, that advertises the port it is bound to on this machine."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    return (
        _bound(DockerContainer(KAFKA_IMAGE), {port: port})
        .with_envs(
            KAFKA_NODE_ID="1",
            KAFKA_PROCESS_ROLES="broker,controller",
            KAFKA_CONTROLLER_QUORUM_VOTERS=f"1@localhost:{KAFKA_CONTROLLER_PORT}",
            KAFKA_LISTENERS=f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://localhost:{KAFKA_CONTROLLER_PORT}",
            KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://{HOST}:{port}",
            KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
            KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
            KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS="8",
            KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
            KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
            KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
        )
        .waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(START_TIMEOUT))
    )


def temporal_container(port: int, ui_port: int, codec_endpoint: str | None = None) -> Any:
    """Temporal's development server, as the native one, in memory.

    testcontainers waits for nothing: it logs no line to wait for, and its port would be asked of the engine's bridge
    wherever we run in a container ourselves, while it is bound to the loopback address that we share with the engine.
    """
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    command = ["server", "start-dev", "--ip", "0.0.0.0", "--port", "7233", "--ui-port", "8233", "--log-level", "warn"]  # noqa: S104
    for name, value in (*LIMITS.items(), *TUNING.items()):
        command += ["--dynamic-config-value", f"{name}={value}"]
    # The browser asks there, and not the container.
    command += codec_options(codec_endpoint)
    container = _bound(DockerContainer(TEMPORAL_IMAGE), {7233: port, 8233: ui_port})
    return container.with_command(command).with_envs(**GARBAGE)


def postgres_container(port: int, password: str) -> Any:
    """PostgreSQL with the application's role and database."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    return (
        _bound(DockerContainer(POSTGRES_IMAGE), {5432: port})
        .with_envs(POSTGRES_USER=USER, POSTGRES_PASSWORD=password, POSTGRES_DB=DATABASE)
        .waiting_for(
            LogMessageWaitStrategy("database system is ready to accept connections", times=2).with_startup_timeout(
                START_TIMEOUT
            )
        )
    )


def _bound(container: Any, ports: dict[int, int]) -> Any:
    # Its own with_bind_ports binds to every address of the machine, and these servers are for this machine only.
    for inside, outside in ports.items():
        container.ports[f"{inside}/tcp"] = (HOST, outside)
    return container
