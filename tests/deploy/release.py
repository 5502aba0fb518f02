"""Whether everything agrees about the version that is about to be tagged: `make release-check`. It changes nothing."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[2]
CHANGES, CHART, DEPLOYING = Path("CHANGELOG.md"), Path("deploy/helm/orders/Chart.yaml"), Path("docs/deploying.md")
API, RELEASED_API = Path("docs/contract/openapi.json"), Path("docs/contract/openapi.released.json")
HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)


def version_of(root: Path) -> str:
    """The version that the package says."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def disagreements(root: Path) -> Iterator[str]:
    """Places that name another version than the package does, at any time."""
    version = version_of(root)
    chart = yaml.safe_load((root / CHART).read_text())["appVersion"]
    if chart != version:
        yield f"{CHART} has appVersion {chart}, and pyproject.toml {version}"
    for wheel in re.findall(r"temporal_order_orchestrator-([\w.]+)-py3", (root / DEPLOYING).read_text()):
        if wheel != version:
            yield f"{DEPLOYING} names the wheel of {wheel}, and pyproject.toml has {version}"


def unready(root: Path, day: date) -> Iterator[str]:
    """What is to be done before the version is tagged.

    Args:
        root: the repository.
        day: of the commit that is to be tagged, which may be before that of the tag: its tests take a while.
    """
    version = version_of(root)
    heading = f"{version} ({day.isoformat()})"
    first = next(iter(HEADING.findall((root / CHANGES).read_text())), "nothing")
    if first != heading:
        yield f"{CHANGES} begins with {first!r}: put what is new under {heading!r}"
    api, released = (json.loads((root / one).read_text()) for one in (API, RELEASED_API))
    if api != released:
        yield f"{RELEASED_API} is not today's API: run `make release-api`, which refuses what breaks programs"


def of_git(root: Path) -> Iterator[str]:
    """What git has to say: changes that are not committed, a tag that is there."""
    version = version_of(root)
    if _git(root, "status", "--porcelain"):
        yield "there are changes that are not committed: commit them, or put them away"
    if _git(root, "tag", "--list", version):
        yield f"there is a tag {version} already: give pyproject.toml and {CHART} the next version"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """Says what is left to do, or what to type; 0 where all agree."""
    committed = datetime.fromisoformat(_git(ROOT, "show", "--no-patch", "--format=%cI", "HEAD"))
    found = [*disagreements(ROOT), *unready(ROOT, committed.astimezone(UTC).date()), *of_git(ROOT)]
    for sentence in found:
        sys.stdout.write(f"{sentence}\n")
    if found:
        return 1
    version = version_of(ROOT)
    sys.stdout.write(
        f"all agree about {version}. Once every test has passed on this commit:\n"
        f"git tag --annotate {version} --message 'Temporal Order Orchestrator {version}'\n"
        "Then keep its code, which the next version's test of an upgrade begins with:\n"
        f"make keep-release REVISION={version}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
