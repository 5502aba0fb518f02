import os
import subprocess
from pathlib import Path

IN_ENV = Path(__file__).parents[3] / "bin" / "in-env"


def test_a_python_that_was_named_and_is_none_is_refused_by_its_name(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": "/nonexistent/python3", "XDG_CACHE_HOME": str(tmp_path)}
    ended = subprocess.run([str(IN_ENV), "true"], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "PYTHON is '/nonexistent/python3', which is no Python 3.11 or newer" in ended.stderr
    assert not list(tmp_path.rglob("pyvenv.cfg")), "no environment was made"
