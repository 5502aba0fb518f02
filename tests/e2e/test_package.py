"""The package as somebody has it who has no clone: built, installed into an empty environment, and at work there."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orders.version import source_revision
from tests.helpers.system.processes import clean_environment, free_port
from tests.helpers.system.waiting import assert_eventually

ROOT = Path(__file__).parents[2]
INSTALL_SECONDS = 300
ANSWER_SECONDS = 120


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Runs a program to its end; gives what it said on its standard output."""
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the `orders` program of a new environment: the pinned packages, and the wheel."""
    folder = tmp_path_factory.mktemp("package")
    environment = clean_environment({"UV_LINK_MODE": os.environ.get("UV_LINK_MODE", "copy")})
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], ROOT, environment)
    (wheel,) = folder.glob("*.whl")
    install = ["uv", "pip", "install", "--quiet", "--python", str(folder / "new/bin/python")]
    run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder / "new")], folder, environment)
    run([*install, "--require-hashes", "-r", str(ROOT / "requirements/local.txt")], folder, environment)
    run([*install, "--no-deps", "--no-index", str(wheel)], folder, environment)
    return folder / "new/bin"


@pytest.fixture
def elsewhere(programs: Path, tmp_path: Path) -> dict[str, str]:
    """What a person without a clone has, with a state folder of its own. Servers come from the cache."""
    made = clean_environment(
        {
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "STACK_SOURCE": "native",
            "LOG_FORMAT": "console",
            # A busy machine takes longer than the default's 30 s between two commands.
            "ORDER_APPROVAL_TIMEOUT_SECONDS": "600",
            "ORDER_EARLY_EVENT_TTL_SECONDS": "600",
        }
    )
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "ORDERS_COMMAND", "ORDERS_REVISION"):
        made.pop(name, None)
    return {**made, "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "API_PORT": str(free_port())}


@pytest.fixture
def up(programs: Path, elsewhere: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """`orders up`, ready; gives its log. It ends after the test, and its servers with it."""
    log = tmp_path / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [programs / "orders", "up"], cwd=tmp_path, env=elsewhere, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait(timeout=ANSWER_SECONDS)
        subprocess.run([programs / "orders", "stack", "down"], cwd=tmp_path, env=elsewhere, check=False, timeout=60)


def test_it_says_its_version_with_the_revision_that_it_was_built_of(
    programs: Path, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    said = run([str(programs / "orders"), "--version"], tmp_path, elsewhere)
    revision = source_revision()
    assert revision is not None
    assert revision.removesuffix("-changed") in said


async def test_up_runs_without_a_clone_and_completes_an_order(
    programs: Path, elsewhere: dict[str, str], tmp_path: Path, up: Path
) -> None:
    def orders(*arguments: str) -> str:
        return run([str(programs / "orders"), *arguments], tmp_path, elsewhere)

    await assert_eventually(lambda: "ready: the bridge has its partitions" in up.read_text(), 240, up.read_text)
    orders("produce", "created", "o-1", "--payment-id", "p-1")
    orders("produce", "approved", "o-1")
    orders("wait", "o-1", "--timeout", str(ANSWER_SECONDS))
    assert json.loads(orders("status", "o-1", "--json"))["state"] == "COMPLETED"
    assert str(ROOT) not in await asyncio.to_thread(up.read_text), "nothing of the clone is used"
