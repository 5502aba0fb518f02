"""Jars from a Maven repository: what is locked is downloaded, once, and nothing else is ever taken for it."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from jgo.config import GlobalSettings

from stack import jars
from stack.errors import StackError
from stack.jars import JarSet, ensure_jars, read_lock, write_lock
from tests.helpers.servers.maven_repository import MavenRepository, running_maven_repository

# jgo leaves the answer that a file is not there unread, and its socket to the garbage collector (3.2).
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

PROGRAM = JarSet("program", ("org.example:program:1.0",))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MavenRepository]:
    """A repository in the place of Maven's central one, and a lock for a program of two jars that it has."""
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(jars, "LOCKS_DIR", tmp_path / "locks")
    monkeypatch.setenv("ORDERS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(GlobalSettings, "load", GlobalSettings)
    with running_maven_repository(tmp_path / "maven") as running:
        monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", running.url)
        lock(running.add("org.example:program:1.0", "org.example:library:2.0"), running.add("org.example:library:2.0"))
        yield running
    gc.collect()


def lock(*lines: str) -> None:
    PROGRAM.lock_path.write_text("# A comment.\n" + "\n".join(lines) + "\n")


def quiet(_line: str) -> None:
    pass


def test_what_is_locked_is_downloaded_in_class_path_order_and_once(repository: MavenRepository) -> None:
    lines: list[str] = []
    found = ensure_jars(PROGRAM, lines.append)
    assert [jar.name for jar in found] == ["program-1.0.jar", "library-2.0.jar"]
    assert all(jar.exists() for jar in found)
    assert lines[-1] == "program: 2 of 2 jars are here"
    repository.asked.clear()
    assert ensure_jars(PROGRAM, quiet) == found
    assert repository.asked == []


def test_a_start_that_was_killed_goes_on_with_the_jars_that_it_has(repository: MavenRepository) -> None:
    first, second = ensure_jars(PROGRAM, quiet)
    (first.parent / ".complete").unlink()
    second.write_bytes(b"half of it")
    repository.asked.clear()
    ensure_jars(PROGRAM, quiet)
    assert first.name not in repository.asked
    assert second.name in repository.asked
    assert second.read_bytes() != b"half of it"


def test_a_jar_that_could_not_be_had_is_asked_for_again(repository: MavenRepository) -> None:
    repository.missing_once = {"library-2.0.jar"}
    assert all(jar.exists() for jar in ensure_jars(PROGRAM, quiet))
    assert repository.asked.count("library-2.0.jar") == 2


def test_a_jar_that_is_not_the_locked_one_is_refused(repository: MavenRepository) -> None:
    program, library = PROGRAM.lock_path.read_text().splitlines()[1:]
    lock(program, library[:-64] + "0" * 64)
    with pytest.raises(StackError, match=r"cannot download org\.example:library:2\.0 \(its sha256 differs from the lo"):
        ensure_jars(PROGRAM, quiet)
    assert repository.asked.count("library-2.0.jar") == jars.ATTEMPTS
    assert list((repository.folder.parent / "cache").rglob("library-2.0.jar")) == []


def test_a_jar_that_nobody_has_is_told_with_what_to_check(repository: MavenRepository) -> None:
    lock(repository.add("org.example:other:1.0").replace("other:1.0", "other:1.1"))
    with pytest.raises(StackError, match=r"cannot download org\.example:other:1\.1 .*check the network"):
        ensure_jars(PROGRAM, quiet)


def test_a_mirror_of_the_users_is_asked_first(repository: MavenRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GlobalSettings, "load", lambda: GlobalSettings(repositories={"mirror": repository.url}))
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", "http://127.0.0.1:1")
    assert all(jar.exists() for jar in ensure_jars(PROGRAM, quiet))


@pytest.mark.usefixtures("repository")
def test_a_lock_is_written_with_all_that_a_program_needs() -> None:
    locked = read_lock(PROGRAM)
    PROGRAM.lock_path.unlink()
    write_lock(PROGRAM)
    assert PROGRAM.lock_path.read_text().startswith("# org.example:program:1.0, with all they need. Written by:")
    assert set(read_lock(PROGRAM)) == set(locked)
