"""Images of others: none by a version that is meant to move, and digests that are asked for and never made up."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.deploy.digests import FILES, ROOT, ask_engine, is_floating, named_in, pinned, without_digest, write
from tests.helpers.servers.docker_engine import DockerEngine, running_docker_engine

ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that name images, to be changed."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerEngine]:
    """An engine that knows a registry."""
    with TemporaryDirectory() as folder, running_docker_engine(Path(folder)) as one:
        monkeypatch.setenv("DOCKER_HOST", one.address)
        yield one


def all_images() -> list[tuple[str, str]]:
    return sorted({(name, tag) for file in FILES for name, tag, _ in named_in((ROOT / file).read_text())})


def test_every_file_s_images_are_found() -> None:
    names = {name for name, _ in all_images()}
    assert names == {
        "apache/kafka",
        "grafana/grafana",
        "jaegertracing/jaeger",
        "postgres",
        "prom/prometheus",
        "python",
        "temporalio/admin-tools",
        "temporalio/server",
        "temporalio/temporal",
        "temporalio/ui",
    }
    lines = [line for line in (ROOT / "docker-compose.yml").read_text().splitlines() if "image:" in line]
    own_and_named_again = 2
    assert len(named_in("\n".join(lines))) == len(lines) - own_and_named_again
    assert [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM")] == [
        "FROM ${BASE} AS packages",
        "FROM packages AS service",
        "FROM ${BASE}",
    ]


@pytest.mark.parametrize(("name", "tag"), all_images())
def test_no_image_is_named_by_a_version_that_is_meant_to_move(name: str, tag: str) -> None:
    assert not is_floating(name, tag)


@pytest.mark.parametrize(
    ("name", "tag"),
    [("a", ""), ("a", "latest"), ("a", "3.13"), ("a", "3.13-slim"), ("a", "v3"), ("postgres", "18-alpine")],
)
def test_a_version_that_is_not_whole_is_floating(name: str, tag: str) -> None:
    assert is_floating(name, tag)


@pytest.mark.parametrize(
    "text", ["    image: apache/kafka:4.3.1\n", "ARG BASE=python:3.13.16-slim\n", 'A_IMAGE = "a/b:1.2.3"\n']
)
def test_a_digest_is_written_beside_the_version_and_again_in_place_of_the_one_before(text: str) -> None:
    ((name, tag, _),) = named_in(text)
    first = pinned(text, {f"{name}:{tag}": ONE})
    assert named_in(first) == [(name, tag, ONE)]
    second = pinned(first, {f"{name}:{tag}": OTHER})
    assert second == first.replace(ONE, OTHER)
    assert pinned(second, {"another:1.2.3": ONE}) == second


def test_all_are_asked_for_and_written_in_every_file(clone: Path, engine: DockerEngine) -> None:
    engine.digests = {f"{name}:{tag}": ONE for name, tag in all_images()}
    assert write(clone, ask_engine) == engine.digests
    assert without_digest(clone) == []
    for name in FILES:
        assert (clone / name).read_text().replace(f"@{ONE}", "") == pinned_away((ROOT / name).read_text())


def pinned_away(text: str) -> str:
    """The text without the digests that may stand in it."""
    for _, _, digest in named_in(text):
        text = text.replace(f"@{digest}", "")
    return text


Ask = Callable[[Iterable[str]], dict[str, str]]


def nobody(_: Iterable[str]) -> dict[str, str]:
    raise OSError("no network")


def some(images: Iterable[str]) -> dict[str, str]:
    first, *_ = images
    return {first: ONE}


def no_digests(images: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(images, "latest")


@pytest.mark.parametrize("ask", [nobody, some, no_digests])
def test_where_not_all_can_be_asked_for_nothing_is_written(clone: Path, ask: Ask) -> None:
    before = {name: (clone / name).read_text() for name in FILES}
    with pytest.raises((OSError, ValueError)):
        write(clone, ask)
    assert {name: (clone / name).read_text() for name in FILES} == before
