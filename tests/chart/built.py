"""Helm and Kubernetes' API server, built from their Go modules at the versions that programs/go.mod pins.

Once, and kept in the user's cache folder. Together, as they share most of what is compiled: some eleven minutes of one
core, six on two (Go 1.27, November 2026).
"""

import hashlib
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Final

from stack.paths import cache_dir
from tests.helpers.go_programs import build_in, kept

_MODULE: Final = Path(__file__).parent / "programs"
_BUILD_SECONDS: Final = 2_700
KUBERNETES: Final = "1.37.2"
"""The version that programs/go.mod has, which the API server is to say of itself: the chart wants one."""
_VERSION: Final = "k8s.io/component-base/version"
# Without symbols, which nobody reads here: linking is quicker.
_LINKED: Final = f"-s -w -X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=37"


class Program(StrEnum):
    """A main package of the module, or of one that it requires; the last part is the program's name."""

    HELM = "helm.sh/helm/v3/cmd/helm"
    APISERVER = "./apiserver"


def built(program: Program) -> Path:
    """The program, built where it has not been yet. Several processes may ask at once.

    Raises:
        RuntimeError: it cannot be built; the message has what Go said last.
        StackError: there is no Go to build it with.
    """
    folder = cache_dir() / "go-programs" / f"chart-{_fingerprint()}"
    return kept(folder / program.rpartition("/")[2], lambda: _build(folder))


def _fingerprint() -> str:
    """What the programs are made of: other pins are other programs."""
    digest = hashlib.sha256()
    for path in sorted(one for one in _MODULE.rglob("*") if one.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path) -> None:
    source = folder / "source"
    # Away from the repository, whose version would be looked for.
    shutil.copytree(_MODULE, source, dirs_exist_ok=True)
    arguments = ["build", f"-ldflags={_LINKED}", "-o", f"{folder / 'draft'}/", *Program]
    build_in(folder, arguments, said="Helm and Kubernetes' API server", seconds=_BUILD_SECONDS, source=source)
