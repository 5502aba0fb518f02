"""The servers as native processes of this machine: started side by side, watched until they answer, ended together."""

import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from stack import processes
from stack.addresses import choose_addresses
from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.folder import StackFolder
from stack.jars import KAFKA, TEMPORAL_TEST_SERVER, ensure_jars
from stack.kafka import KafkaService
from stack.postgres import PostgresService
from stack.progress import ProgressBoard
from stack.readiness import NotReadyError, wait_until_ready
from stack.service import SERVICES, Service, ServiceName, Start
from stack.state import StackState
from stack.temporal import TemporalService
from stack.temporal_cli import ensure_temporal

LOG_TAIL_LINES = 1


class NativeServers:
    """Three native processes in one folder. See ``stack.running.Backend``; callers hold the folder's lock."""

    def __init__(self, folder: StackFolder, state: StackState) -> None:
        self._folder = folder
        self._state = state
        self._services = _services(folder, state)
        self._writing = threading.Lock()
        self._failures: list[Exception] = []

    @classmethod
    def start(
        cls, folder: StackFolder, board: ProgressBoard, *, durable: bool, codec_endpoint: str | None = None
    ) -> "NativeServers":
        """Starts all three side by side, and returns when all answer. If one fails, none is left running.

        Raises:
            StackError: One does not start; the message names its log.
        """
        _, endpoints = choose_addresses(folder)
        state = StackState("native", durable=durable, endpoints=endpoints, codec_endpoint=codec_endpoint)
        servers = cls(folder, state)
        servers._write(servers._state)
        try:
            servers._start_all(board)
        except BaseException:
            servers.end()
            raise
        servers._write(replace(servers._state, ready=True))
        return servers

    def _start_all(self, board: ProgressBoard) -> None:
        start = Start(board, threading.Event())
        with ThreadPoolExecutor(len(SERVICES), thread_name_prefix="start") as pool:
            futures = [pool.submit(self._try_one, service, start) for service in self._services.values()]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                # Also on Ctrl-C: the pool's end waits for its threads, and they look at this.
                if not _all_succeeded(futures):
                    start.abandoned.set()
        if self._failures:
            raise self._failures[0]

    def _try_one(self, service: Service, start: Start) -> None:
        try:
            self._start_one(service, start)
        except Exception as error:
            # In the order of time: what fails after the first was most likely given up because of it.
            self._failures.append(error)
            start.abandoned.set()
            raise

    def _start_one(self, service: Service, start: Start) -> None:
        start.board.note(service.name, "preparing")
        service.prepare(start)
        if start.abandoned.is_set():
            return
        start.board.note(service.name, "starting")
        try:
            identity = processes.start(service.launch(), service.log_path)
        except OSError as error:
            raise StackError(f"{service.name} cannot be started ({error}); its log: {service.log_path}") from error
        with self._writing:
            self._write(replace(self._state, processes={**self._state.processes, service.name: identity}))
        try:
            wait_until_ready(
                service.check,
                lambda: identity.find() is not None and not start.abandoned.is_set(),
                service.start_patience_seconds,
            )
        except NotReadyError as error:
            raise StackError(self._explain(service, identity, error)) from error
        start.board.end(service.name, "ready")

    def _explain(self, service: Service, identity: processes.ProcessIdentity, error: NotReadyError) -> str:
        how = "does not answer" if identity.find() else "ended while it started"
        lines = service.log_path.read_text(errors="replace").strip().splitlines()[-LOG_TAIL_LINES:]
        said = f"; it said last: {lines[0].strip()[:300]}" if lines else ""
        return f"{service.name} {how} ({error}){said}; its log: {service.log_path}"

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
        """The pids of those that run."""
        known = self._state.processes
        return {name: known[name].pid for name in SERVICES if name in known and known[name].find()}

    @property
    def is_complete(self) -> bool:
        """Whether the start was completed and every process is still there."""
        return self._state.ready and len(self.pids) == len(SERVICES)

    def log_path(self, service: ServiceName) -> Path:
        """Where a server's output goes."""
        return self._services[service].log_path

    def kill(self, service: ServiceName) -> None:
        """Kills a server, as ``kill -9`` of all its processes."""
        processes.kill(self._identity(service))

    def pause(self, service: ServiceName) -> None:
        """Stops a server's processes (SIGSTOP)."""
        processes.pause(self._identity(service))

    def resume(self, service: ServiceName) -> None:
        """Lets a paused server go on."""
        processes.resume(self._identity(service))

    def restart(self, service: ServiceName) -> None:
        """Ends a server in order, if it runs, and starts it again on its port with its data."""
        self._end_one(service)
        with ProgressBoard(lambda _: None) as board:
            self._start_one(self._services[service], Start(board, threading.Event()))

    def end(self) -> None:
        """Ends every process that was started, within a bound, and deletes what is not durable."""
        with ThreadPoolExecutor(len(SERVICES), thread_name_prefix="end") as pool:
            list(pool.map(self._end_one, SERVICES))
        if not self._state.durable:
            for service in self._services.values():
                service.erase()
        self._folder.forget()

    def _end_one(self, name: ServiceName) -> None:
        identity = self._state.processes.get(name)
        if identity is not None:
            service = self._services[name]
            processes.stop(identity, service.first_signal, service.stop_patience_seconds)

    def _identity(self, service: ServiceName) -> processes.ProcessIdentity:
        identity = self._state.processes.get(service)
        if identity is None or identity.find() is None:
            raise StackError(f"{service} is not running; start it again with restart")
        return identity

    def _write(self, state: StackState) -> None:
        self._state = state
        self._folder.write_state(state)


def prepare_programs(board: ProgressBoard, *, test_server: bool, temporal: bool) -> None:
    """Downloads and builds what the native servers need and is missing, side by side; a moment if nothing is.

    Args:
        board: Where progress is told.
        test_server: Whether Temporal's time-skipping test server is needed as well.
        temporal: Whether the program ``temporal`` is.

    Raises:
        StackError: Something cannot be had.
    """
    start = Start(board, threading.Event())
    jar_sets = (KAFKA, TEMPORAL_TEST_SERVER) if test_server else (KAFKA,)

    def ensure_all_jars() -> None:
        for jar_set in jar_sets:
            ensure_jars(jar_set, lambda text: board.begin("jars", text), lambda text: board.note("jars", text))
        board.end("jars", "ready")

    def ensure_program() -> None:
        ensure_temporal(start)
        board.end("temporal", "the program is ready")

    with ThreadPoolExecutor(2, thread_name_prefix="prepare") as pool:
        futures = [pool.submit(ensure_all_jars)]
        if temporal:
            futures.append(pool.submit(ensure_program))
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if not _all_succeeded(futures):
                start.abandoned.set()
    for future in futures:
        future.result()


def _services(folder: StackFolder, state: StackState) -> dict[ServiceName, Service]:
    path, endpoints, ports = folder.path, state.endpoints, folder.read_ports()
    return {
        "kafka": KafkaService(path, ports["kafka"], ports["kafka_controller"], endpoints),
        "temporal": TemporalService(path, ports["temporal"], ports["temporal_ui"], endpoints, state.codec_endpoint),
        "postgres": PostgresService(path, ports["postgres"], endpoints, durable=state.durable),
    }


def _all_succeeded(futures: Iterable[Future[None]]) -> bool:
    return all(future.done() and future.exception() is None for future in futures)
