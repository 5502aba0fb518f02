import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orders.cli.clean import _size, app
from orders.local.cleaning import Kind, Piece, delete_pieces, find_pieces
from orders.local.ups import HealthAddress, register
from orders.processes.exit_status import ExitStatus

DIST_INFO = "lib/python3.11/site-packages/temporal_order_orchestrator-0.1.0.dist-info"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORDERS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "cache"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone of mine"
    folder.mkdir()
    return folder


def make_environment(cache: Path, name: str, clone: Path, *, size: int = 100_000) -> Path:
    folder = cache / "environments" / name
    (folder / DIST_INFO).mkdir(parents=True)
    (folder / DIST_INFO / "direct_url.json").write_text(json.dumps({"url": clone.as_uri()}))
    (folder / "library").write_bytes(b"x" * size)
    (folder / ".complete").touch()
    (cache / "mypy" / name).mkdir(parents=True)
    return folder


def stack_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "state" / "temporal-order-orchestrator" / "stacks" / "default"
    (folder / "kafka").mkdir(parents=True)
    (folder / "kafka" / "log").write_text("records")
    return folder


def of(pieces: list[Piece], kind: Kind) -> list[Piece]:
    return [piece for piece in pieces if piece.kind is kind]


def test_what_is_left_of_a_clone_that_is_gone_is_nobody_s(cache: Path, clone: Path, tmp_path: Path) -> None:
    gone = make_environment(cache, "1", tmp_path / "gone")
    here = make_environment(cache, "2", clone)
    bytecode = cache / "pycache" / (tmp_path / "gone" / "orders").relative_to("/")
    bytecode.mkdir(parents=True)
    (cache / "pycache" / clone.relative_to("/")).mkdir(parents=True)
    (cache / "mypy" / "3").mkdir()
    (cache / "jars").mkdir()
    pieces = find_pieces()
    leftover = {path for piece in of(pieces, Kind.LEFTOVER) for path in piece.paths}
    assert leftover == {gone, cache / "mypy" / "1", cache / "mypy" / "3", bytecode.parent}
    assert [piece.paths for piece in of(pieces, Kind.ENVIRONMENT)] == [(here, cache / "mypy" / "2")]
    assert [piece.paths for piece in of(pieces, Kind.DOWNLOAD)] == [(cache / "jars",)]
    assert of(pieces, Kind.ENVIRONMENT)[0].bytes_on_disk >= 100_000


def test_an_environment_that_another_has_replaced_and_one_that_was_never_finished_are_nobody_s(
    cache: Path, clone: Path
) -> None:
    older = make_environment(cache, "1", clone)
    make_environment(cache, "2", clone)
    (cache / "environments" / "3").mkdir()
    leftover = [piece.paths[0] for piece in of(find_pieces(), Kind.LEFTOVER)]
    assert sorted(leftover) == [older, cache / "environments" / "3"]


@pytest.fixture
def program(cache: Path, tmp_path: Path) -> Iterator[Path]:
    """An environment of a clone that is gone, out of which a program runs."""
    environment = make_environment(cache, "1", tmp_path / "gone")
    (environment / "bin").mkdir()
    shutil.copy("/bin/cat", environment / "bin" / "python")
    running = subprocess.Popen([environment / "bin" / "python"], stdin=subprocess.PIPE)
    yield environment
    running.communicate()


def test_what_a_program_runs_out_of_stays(program: Path) -> None:
    [piece] = of(find_pieces(), Kind.LEFTOVER)
    assert piece.used_by is not None
    assert "process" in piece.used_by
    unaware = Piece(piece.kind, piece.what, piece.paths, piece.bytes_on_disk)
    assert list(delete_pieces([unaware], lambda _: None)) == [f"{piece.what} stays: {piece.used_by} uses it"]
    assert program.exists()


@pytest.mark.usefixtures("cache")
def test_data_of_servers_that_an_up_uses_stay_and_others_go(tmp_path: Path) -> None:
    folder = stack_folder(tmp_path)
    health = (HealthAddress(process="bridge", host="127.0.0.1", port=1),)
    up = register(folder, kafka="k:1", owns_servers=True, servers_are_named=False, console_url=None, health=health)
    [used] = of(find_pieces(), Kind.STATE)
    assert used.used_by is not None
    assert used.used_by.startswith("`orders up`")
    up.end()
    [piece] = of(find_pieces(), Kind.STATE)
    assert piece.used_by is None
    assert list(delete_pieces([piece], lambda _: None)) == []
    assert not folder.exists()


def test_it_lists_and_asks_and_deletes_what_is_marked(cache: Path, clone: Path, tmp_path: Path) -> None:
    gone = make_environment(cache, "1", tmp_path / "gone")
    here = make_environment(cache, "2", clone)
    data = stack_folder(tmp_path)
    runner = CliRunner()
    listed = runner.invoke(app, ["--dry-run", "--json"])
    assert listed.exit_code == ExitStatus.OK
    assert "would be deleted" in runner.invoke(app, ["--dry-run"]).stdout
    document = json.loads(listed.stdout)
    assert [one["kind"] for one in document["pieces"] if one["chosen"]] == ["leftover"]
    assert "nothing was deleted" in str(runner.invoke(app, [], input="n\n").exception)
    assert gone.exists()
    done = runner.invoke(app, ["--yes"])
    assert done.exit_code == ExitStatus.OK
    assert "environment of" in done.stdout
    assert (gone.exists(), here.exists(), data.exists()) == (False, True, True)
    assert runner.invoke(app, ["--all", "--yes"]).exit_code == ExitStatus.OK
    assert (here.exists(), data.exists()) == (False, False)
    assert "there is nothing" in runner.invoke(app, []).stderr


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (2_400_000, "2 MB"), (7_250_000_000, "7.2 GB")],
)
def test_a_size_is_said_in_the_unit_that_fits(size_bytes: int, text: str) -> None:
    assert _size(size_bytes) == text


def test_a_file_of_two_names_is_counted_once(cache: Path, clone: Path) -> None:
    folder = make_environment(cache, "1", clone)
    [once] = of(find_pieces(), Kind.ENVIRONMENT)
    (folder / "again").hardlink_to(folder / "library")
    [twice] = of(find_pieces(), Kind.ENVIRONMENT)
    assert twice.bytes_on_disk - once.bytes_on_disk < 100_000


def test_the_environment_of_this_very_command_stays(cache: Path, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.prefix", str(make_environment(cache, "1", clone)))
    [piece] = of(find_pieces(), Kind.ENVIRONMENT)
    assert piece.used_by == "this command"
