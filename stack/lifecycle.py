"""Starting, finding and ending the servers, from the first source that serves."""

import os
import sys
from pathlib import Path

from stack import docker
from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.folder import StackFolder
from stack.native import NativeServers, prepare_programs
from stack.paths import stack_dir
from stack.progress import Progress, ProgressBoard
from stack.readiness import unready_services
from stack.running import Backend, ForeignServers, RunningStack
from stack.state import Source, StackState

SOURCE_VARIABLE = "STACK_SOURCE"


def up(
    *,
    progress: Progress | None = None,
    status: Progress | None = None,
    name: str = "default",
    state_dir: Path | None = None,
    durable: bool = True,
    codec_endpoint: str | None = None,
) -> RunningStack:
    """Gives running servers: those that the environment names, those of an earlier ``up``, or new ones.

    Blocks: a warm start some seconds, the first one of a machine minutes. Safe to call from several processes at once.
    Interrupted or failed, it leaves nothing running that it started.

    Args:
        progress: Called with a line, from any thread, whenever there is something to tell, and every half minute at
            least; None prints the lines to the standard error.
        status: On a terminal, shows what is under way in the place of what it showed before; lines then say only what
            has come to its end. None where there is no terminal.
        name: Tells stacks of one user apart.
        state_dir: The stack's folder; None means the one of that name in the user's state folder.
        durable: Whether the servers' data outlive ``down`` and a crash; if not, they are faster. Of no effect where the
            servers are running already.
        codec_endpoint: Where Temporal's UI has payloads decrypted (https://docs.temporal.io/codec-server), as browsers
            reach it; None for nowhere. Of no effect where the servers are running already.

    Returns:
        The servers; ``started_here`` says whether the caller should end them.

    Raises:
        StackError: They cannot be started; the message says what to do next and where the log is.
    """
    say = progress or _say
    folder = StackFolder(state_dir or stack_dir(name))
    named = _named_by_environment()
    if named is not None:
        _demand_answers(named)
        return RunningStack(folder, ForeignServers(named), say, started_here=False)
    with folder.locked(say):
        found = _find(folder)
        if found is not None:
            return RunningStack(folder, found, say, started_here=False)
        _end_remains(folder)
        with ProgressBoard(say, status) as board:
            backend = _start(folder, board, durable=durable, codec_endpoint=codec_endpoint)
    return RunningStack(folder, backend, say, started_here=True)


def prepare(*, progress: Progress | None = None, test_server: bool = False, native: bool = False) -> None:
    """Downloads and builds what the servers need, so that a later ``up`` takes seconds. Blocks, for minutes once.

    Args:
        progress: As for ``up``.
        test_server: Whether Temporal's time-skipping test server will be needed as well.
        native: Whether native servers will be needed, also where Docker would serve.

    Raises:
        StackError: Something cannot be had; the message says what to do next.
    """
    source = _choose_source()
    with ProgressBoard(progress or _say) as board:
        if source == "docker":
            docker.pull_images(board)
        prepare_programs(board, test_server=test_server, temporal=native or source == "native")


def find(
    *, name: str = "default", state_dir: Path | None = None, progress: Progress | None = None
) -> RunningStack | None:
    """Gives the servers of an earlier ``up``, or those that the environment names; None if they do not all answer."""
    say = progress or _say
    folder = StackFolder(state_dir or stack_dir(name))
    named = _named_by_environment()
    backend = _find(folder) if named is None else _find_named(named)
    return None if backend is None else RunningStack(folder, backend, say, started_here=False)


def is_started(*, name: str = "default", state_dir: Path | None = None) -> bool:
    """Whether servers were started and nobody has ended them since; one of them may have died. Asks no server."""
    return StackFolder(state_dir or stack_dir(name)).read_state() is not None


def down(*, name: str = "default", state_dir: Path | None = None, progress: Progress | None = None) -> bool:
    """Ends what an earlier ``up`` of that name started, also if it was interrupted or only some of it still runs.

    Returns:
        Whether there was anything to end.
    """
    folder = StackFolder(state_dir or stack_dir(name))
    if folder.read_state() is None:
        return False
    with folder.locked(progress or _say):
        return _end_remains(folder)


def choose_source(wanted: str | None, *, docker_answers: bool) -> Source:
    """Chooses where new servers come from: Docker where an engine answers, else native processes.

    Args:
        wanted: The value of STACK_SOURCE, which overrides; None or empty for no wish.
        docker_answers: Whether a Docker engine answers.

    Raises:
        StackError: The wish is not known, or cannot be had.
    """
    if wanted not in (None, "", "docker", "native"):
        raise StackError(f"{SOURCE_VARIABLE} is {wanted!r}; set it to 'docker' or 'native', or unset it")
    if wanted == "docker" and not docker_answers:
        raise StackError(f"{SOURCE_VARIABLE} is 'docker' but no Docker engine answers; start it, or unset the variable")
    return "docker" if docker_answers and wanted != "native" else "native"


def _start(folder: StackFolder, board: ProgressBoard, *, durable: bool, codec_endpoint: str | None) -> Backend:
    if _choose_source() == "docker":
        return docker.DockerServers.start(folder, board, durable=durable, codec_endpoint=codec_endpoint)
    return NativeServers.start(folder, board, durable=durable, codec_endpoint=codec_endpoint)


def _choose_source() -> Source:
    wanted = os.environ.get(SOURCE_VARIABLE)
    return choose_source(wanted, docker_answers=wanted != "native" and docker.engine_answers())


def _backend(folder: StackFolder, state: StackState) -> Backend:
    return docker.DockerServers(folder, state) if state.source == "docker" else NativeServers(folder, state)


def _find(folder: StackFolder) -> Backend | None:
    state = folder.read_state()
    if state is None or not state.ready:
        return None
    backend = _backend(folder, state)
    return backend if backend.is_complete and not unready_services(backend.endpoints) else None


def _find_named(endpoints: Endpoints) -> Backend | None:
    return None if unready_services(endpoints) else ForeignServers(endpoints)


def _end_remains(folder: StackFolder) -> bool:
    state = folder.read_state()
    if state is None:
        return False
    _backend(folder, state).end()
    return True


def _named_by_environment() -> Endpoints | None:
    try:
        return Endpoints.from_environment()
    except ValueError as error:
        raise StackError(str(error)) from error


def _demand_answers(endpoints: Endpoints) -> None:
    unready = unready_services(endpoints)
    if unready:
        reasons = "; ".join(f"{service}: {reason}" for service, reason in unready.items())
        raise StackError(
            f"servers that the environment names do not answer ({reasons}); "
            "start them, or unset KAFKA_BOOTSTRAP_SERVERS, TEMPORAL_HOST and DB_HOST to have servers started here"
        )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
