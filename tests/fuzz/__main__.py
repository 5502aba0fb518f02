"""``python -m tests.fuzz``: gives each target bytes for some minutes, guided by the code that they reach.

The guide is atheris, which is installed beside the project's environment on first use; where it cannot be had, bytes
are drawn at random, and that is said. Each target runs in a process of its own. What a target finds is printed as bytes
that can be put into `tests.fuzz.corpus`; the exit status is 1 then.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from filelock import FileLock

from stack.paths import cache_dir
from tests.fuzz.corpus import seeds
from tests.fuzz.targets import TARGETS

ROOT: Final = Path(__file__).parents[2]
REQUIREMENTS: Final = Path(__file__).parent / "requirements.txt"
MEMORY_MIB: Final = 1_024
"""A target that takes more has found something."""
INPUT_SECONDS: Final = 10
"""So does one whose single input takes as long."""


def guide() -> Path | None:
    """The folder that has atheris; None where there is none for this machine. Blocks for seconds the first time."""
    tag = f"{platform.system()}-{platform.machine()}-{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_dir() / "fuzz" / f"atheris-{tag.lower()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / ".complete").exists():
            command = ["uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder)]
            command += ["--only-binary", ":all:", "--require-hashes", "-r", str(REQUIREMENTS)]
            if subprocess.run(command, check=False).returncode:
                return None
            (folder / ".complete").touch()
    return folder


def main() -> None:
    """Runs the targets one after the other, and says what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6, help="of all targets together")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(TARGETS)}; all unless given")
    asked = parser.parse_args()
    chosen = asked.targets or list(TARGETS)
    for name in set(chosen) - set(TARGETS):
        parser.error(f"there is no target {name!r}: there are {', '.join(TARGETS)}")
    seconds = max(1, round(asked.minutes * 60 / len(chosen)))
    atheris = guide()
    if atheris is None:
        sys.stdout.write("fuzz: atheris is not to be had for this machine; bytes are drawn at random instead\n")
    failed = [name for name in chosen if not _run(name, seconds, atheris)]
    sys.stdout.write(f"fuzz: {len(chosen)} targets, {seconds} s each; found something: {', '.join(failed) or 'none'}\n")
    raise SystemExit(bool(failed))


def _run(target: str, seconds: int, atheris: Path | None) -> bool:
    """Runs a target; whether it found nothing."""
    kept = cache_dir() / "fuzz" / "inputs" / target
    kept.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if atheris is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(atheris), environment.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds(target)):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        module = "tests.fuzz.at_random" if atheris is None else "tests.fuzz.guided"
        options = [f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MIB}"]
        options += ["-max_len=8192", "-print_final_stats=1", f"-artifact_prefix={folder}/"]
        command = [sys.executable, "-m", module, target, *options, str(kept), folder]
        ended = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        for path in sorted(Path(folder).glob("*-*")):
            if not path.name.startswith("seed-"):
                sys.stdout.write(f"fuzz: {target} found ({path.name.partition('-')[0]}): {path.read_bytes()!r}\n")
    return ended.returncode == 0


if __name__ == "__main__":
    main()
