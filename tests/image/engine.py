"""A Docker engine for these tests: the one at hand; else one of their own, from Debian's packages."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from stack.docker import engine_answers
from tests.helpers.debian import ensure_installed
from tests.image.stand_in import import_stand_in

START_SECONDS = 60
STOP_SECONDS = 60
ANSWER_SECONDS = 300
"""For a command in a container, too: on a machine that does much else a start of Python takes ten seconds."""
_POLL_SECONDS = 0.1
_OTHERWISE = "start a Docker engine, which is then used"


class NoEngineError(Exception):
    """No engine answers, and our own does not start."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers."""

    address: str
    """For DOCKER_HOST."""
    has_stand_in: bool
    """Whether the image's base is our stand-in for it, as no registry of images is asked."""

    @property
    def environment(self) -> dict[str, str]:
        """For programs that are to use it."""
        return {**os.environ, "DOCKER_HOST": self.address}

    @contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        """A client of it."""
        client = docker.DockerClient(base_url=self.address, timeout=ANSWER_SECONDS)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def engine_for_tests(say: Callable[[str], None]) -> Iterator[Engine]:
    """An engine that answers while the block lasts.

    Args:
        say: is told what takes long.

    Raises:
        NotInstalledError: there is none, and none can be installed.
        NoEngineError: ours does not start; the message ends with its log.
    """
    if engine_answers():
        yield Engine(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock", has_stand_in=False)
        return
    program = ensure_installed(lambda: _find("dockerd"), ["docker.io"], instead=_OTHERWISE, say=say)
    # Debian 13 packs the client apart; Debian 12 brings it with the engine.
    ensure_installed(lambda: _find("docker"), ["docker-cli"], instead=_OTHERWISE, say=say)
    ensure_installed(lambda: _find("debootstrap"), ["debootstrap"], instead=_OTHERWISE, say=say)
    with _own_engine(program) as address:
        engine = Engine(address, has_stand_in=True)
        import_stand_in(engine.environment, say)
        yield engine


def _find(name: str) -> Path | None:
    # Both are programs for root, whose folders are not on everybody's PATH.
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin")
    return Path(path) if path else None


@contextmanager
def _own_engine(program: Path) -> Iterator[str]:
    """Starts an engine that nobody else sees: a socket, data and processes of its own, and nothing done to the network.

    It has no bridge, so its containers use this machine's network: `--network host`. It ends with this process, however
    that ends, as the kernel then sends it SIGTERM; and its containers end with it.
    """
    # Short, as a socket's path may have no more than 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="orders-engine-"))
    address = f"unix://{folder}/docker.sock"
    command = ["setpriv", "--pdeathsig", "TERM", str(program), "--host", address]
    command += ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/docker.pid"]
    command += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
    log_path = folder / "engine.log"
    with log_path.open("wb") as log:
        engine = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _await_answer(engine, address, log_path)
        yield address
    finally:
        engine.terminate()
        try:
            engine.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            engine.kill()
            engine.wait()
        _unmount(folder)
        shutil.rmtree(folder)


def _unmount(folder: Path) -> None:
    """Undoes what an engine leaves mounted in its folder: the name of the network that its containers used."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for path in reversed([path for path in mounted if Path(path).is_relative_to(folder)]):
        subprocess.run(["umount", "--lazy", path], check=True)  # noqa: S607 - as root finds it


def _await_answer(engine: "subprocess.Popen[bytes]", address: str, log_path: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    # By its own client: the library's leaves a socket open where nobody answers (docker 7.1).
    while subprocess.run(["docker", "--host", address, "version"], capture_output=True, check=False).returncode != 0:  # noqa: S607
        if engine.poll() is not None or time.monotonic() > deadline:
            said = log_path.read_text(errors="replace")[-4000:]
            raise NoEngineError(f"an engine of our own does not start; its log ends with\n{said}")
        time.sleep(_POLL_SECONDS)
