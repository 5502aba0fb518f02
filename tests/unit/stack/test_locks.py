"""What is downloaded is pinned: Python packages and Java programs, by version and hash, and the pins are complete."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stack.errors import StackError
from stack.jars import KAFKA, TEMPORAL_TEST_SERVER, JarSet, read_lock
from stack.temporal_cli import build_environment

ROOT = Path(__file__).parents[3]
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? *\\?$")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read_pins(name: str) -> dict[str, Requirement]:
    """The pins of a lock file that apply to this machine."""
    pins: dict[str, Requirement] = {}
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        match = PIN.match(line)
        if match:
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate():
                pins[canonicalize_name(requirement.name)] = requirement
    return pins


def needed(requirements: list[str]) -> dict[str, list[Requirement]]:
    """Everything that the requirements need on this machine, as the installed packages say, with who asked for what."""
    asked: dict[str, list[Requirement]] = {}
    visited: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        asked.setdefault(name, []).append(requirement)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in visited:
                visited.add((name, wanted))
                texts = importlib.metadata.requires(requirement.name) or []
                waiting.extend((Requirement(text), wanted) for text in texts)
    return asked


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("app.txt", []), ("local.txt", ["stack"]), ("dev.txt", ["stack", "dev"])],
    ids=["app.txt", "local.txt", "dev.txt"],
)
def test_a_lock_pins_all_that_the_project_needs_and_nothing_else(lock: str, extras: list[str]) -> None:
    own = PROJECT["name"]
    texts = PROJECT["dependencies"] + [text for extra in extras for text in PROJECT["optional-dependencies"][extra]]
    asked = needed([text for text in texts if Requirement(text).name != own])
    pins = read_pins(lock)
    assert sorted(set(asked) - set(pins)) == [], "not pinned: run make lock"
    assert sorted(set(pins) - set(asked)) == [], "pinned but not needed: run make lock"
    wrong = [
        f"{requirement} is pinned to {pins[name].specifier}"
        for name, requirements in asked.items()
        for requirement in requirements
        if not requirement.specifier.contains(str(pins[name].specifier).removeprefix("=="), prereleases=True)
    ]
    assert wrong == [], "run make lock"


@pytest.mark.parametrize("lock", ["app.txt", "local.txt"])
def test_a_smaller_lock_pins_the_same_versions_as_the_whole(lock: str) -> None:
    development = read_pins("dev.txt")
    assert {name: str(pin) for name, pin in read_pins(lock).items() if str(development.get(name)) != str(pin)} == {}


def test_what_is_installed_is_what_is_pinned() -> None:
    installed = {name: importlib.metadata.version(name) for name in read_pins("dev.txt")}
    assert installed == {name: str(pin.specifier).removeprefix("==") for name, pin in read_pins("dev.txt").items()}


@pytest.mark.parametrize("lock", ["bootstrap.txt", "build.txt", "image.txt", "app.txt", "local.txt", "dev.txt"])
def test_every_pin_has_a_hash_and_no_lock_names_a_registry(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert [entry.splitlines()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry] == []
    assert "://" not in text


@pytest.mark.parametrize("jar_set", [KAFKA, TEMPORAL_TEST_SERVER], ids=lambda jar_set: jar_set.name)
def test_a_java_lock_has_each_program_that_was_asked_for_once_at_its_version(jar_set: JarSet) -> None:
    jars = read_lock(jar_set)
    locked = {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in jars}
    assert {coordinate.rstrip("!") for coordinate in jar_set.coordinates} <= locked
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in jars)


def test_kafkas_own_jars_are_all_of_one_version() -> None:
    assert {jar.version for jar in read_lock(KAFKA) if jar.group == "org.apache.kafka"} == {"4.3.1"}


def test_a_lock_that_was_tampered_with_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.jars.LOCKS_DIR", tmp_path)
    (tmp_path / "x.lock").write_text("a:b:1 0123\n")
    with pytest.raises(StackError, match=r"x\.lock has a line that is no jar"):
        read_lock(JarSet("x", ()))


def test_the_build_uses_the_users_go_folders_and_proxy_but_nothing_that_changes_the_program(tmp_path: Path) -> None:
    go = tmp_path / "goroot" / "bin" / "go"
    user = {
        "GOPROXY": "https://proxy.example",
        "GOFLAGS": "-mod=vendor",
        "GOOS": "plan9",
        "GOPATH": "/mine",
        "PATH": "/bin",
    }
    built = build_environment(user, go, tmp_path / "cache", tmp_path / "draft")
    assert built["GOPROXY"] == "https://proxy.example"
    assert built["GOPATH"] == "/mine"
    assert built["GOCACHE"] == str(tmp_path / "cache" / "go-build")
    assert built["GOROOT"] == str(tmp_path / "goroot")
    assert built["GOTOOLCHAIN"] == "local"
    assert built["GOFLAGS"] != "-mod=vendor"
    assert "GOOS" not in built
