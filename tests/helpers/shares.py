"""How the tests are shared out among processes that run at once: `make test`."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT: Final = Path(__file__).parents[2]

FOLDERS_BY_WEIGHT: Final = (
    "tests/faults",
    "tests/e2e",
    "tests/browser",
    "tests/workflow",
    "tests/integration",
    "tests/contract",
    "tests/replay",
    "tests/deploy",
    "tests/unit",
    "tests/image",
    "tests/chart",
)
"""What takes long begins first, so that at the end no process works alone. A folder stands for those below it, and one
that is not named comes first."""

COSTLY_FIXTURES: Final = {"tests/faults": "own_servers_only", "tests/e2e": "system: OrderSystem"}
"""What takes as long to make as a test takes to run, by folder: the files that name it go to one process together."""


WHOLE_FOLDERS: Final = ("tests/workflow",)
"""They go to one process: two servers of their own serve all of their tests."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc] # It has annotations, but no marker that says so.
    """A share is a file, or the files of a folder that use the folder's costly fixture; in the order of the tests."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        # Else the files with the most tests would come first, which are those of quick ones.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid.partition("::")[0])


@cache
def share_of(path: str) -> str:
    """The name of the share that a file of tests belongs to."""
    folder = path.rpartition("/")[0]
    if folder in WHOLE_FOLDERS:
        return folder
    mark = COSTLY_FIXTURES.get(folder)
    if mark is not None and re.search(rf"\b{mark}", (ROOT / path).read_text()):
        return f"{folder} ({mark})"
    return path


def sort_by_weight(items: list[pytest.Item]) -> None:
    """Sorts tests in place: those that take long first."""
    ranks = {folder: rank for rank, folder in enumerate(FOLDERS_BY_WEIGHT)}
    items.sort(key=lambda item: ranks.get(_top_folder(item.nodeid), -1))


def _top_folder(path: str) -> str:
    """``tests/unit`` of ``tests/unit/bridge/test_engine.py``."""
    return "/".join(path.split("/")[:2])
