"""The first command of a clone: it makes its environment, of what the command needs, and says so in a few lines."""

import os
import re
import subprocess
from pathlib import Path

IN_ENV = Path(__file__).parents[2] / "bin" / "in-env"
HOME = Path.home()


def run(cache: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in an environment that has to be made; what was downloaded once is not downloaded again."""
    kept = {
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(HOME / ".cache" / "uv")),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(HOME / ".cache" / "pip")),
        # Only its own: nothing of it is taken anywhere else.
        "UV_LINK_MODE": "hardlink",
    }
    environment = {**os.environ, **kept, "XDG_CACHE_HOME": str(cache)}
    return subprocess.run(
        [str(IN_ENV), *command], env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_orders_is_made_of_what_it_needs_and_a_developer_s_command_brings_the_rest(tmp_path: Path) -> None:
    first = run(tmp_path, "orders", "--version")
    assert first.returncode == 0, first.stderr
    assert re.match(r"orders \d+\.\d+\.\d+", first.stdout)
    steps = [line for line in first.stderr.splitlines() if re.fullmatch(r"set-up: .*: \d+ s", line)]
    assert [re.sub(r"\d+", "N", step) for step in steps] == [
        "set-up: the environment: N s",
        "set-up: N packages: N s",
        "set-up: this clone: N s",
    ]
    assert len(first.stderr.splitlines()) <= 10, first.stderr
    (environment,) = tmp_path.glob("*/environments/*/bin")
    assert not (environment / "pytest").exists(), "a tool of the developers was installed"

    again = run(tmp_path, "orders", "--version")
    assert (again.stdout, again.stderr) == (first.stdout, "")

    developer = run(tmp_path, "pytest", "--version")
    assert developer.returncode == 0, developer.stderr
    assert re.search(r"set-up: \d+ packages: \d+ s", developer.stderr)
    assert "set-up: the environment" not in developer.stderr
