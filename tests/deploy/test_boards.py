"""The boards of deploy/grafana: held to the types that Grafana itself publishes of boards and panels.

No Grafana runs here; `tests/browser/test_boards.py` draws them. TypeScript reads each board as a literal of Grafana's
types: a name that Grafana does not know, a value that is none of its words, and what is missing are errors.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.helpers.boards.drawing import SOURCES
from tests.helpers.deployed_rules import BOARDS, ROOT, read
from tests.helpers.node_packages import NODE, installed

TYPES: Final = Path(__file__).parent / "board_types"
TSC: Final = ("--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "node", "--target", "es2022")


def complaints(folder: Path, *boards: dict[str, Any]) -> str:
    """What TypeScript has to say of boards; nothing where they are as Grafana's types have them."""
    folder.mkdir(exist_ok=True)
    shutil.copy(TYPES / "panels.ts", folder)
    packages = installed(TYPES) / "node_modules"
    (folder / "node_modules").symlink_to(packages)
    lines = ["import type {Board, PanelOf} from './panels';"]
    for number, board in enumerate(boards):
        own = {name: value for name, value in board.items() if name != "panels"}
        lines.append(f"export const board{number}: Board = {json.dumps(own, indent=1)};")
        for panel in board["panels"]:
            name = f"board{number}_{panel['id']}"
            lines.append(f"export const {name}: PanelOf<{json.dumps(panel['type'])}> = {json.dumps(panel, indent=1)};")
    (folder / "boards.ts").write_text("\n".join(lines))
    ended = subprocess.run(
        [NODE, packages / "typescript" / "bin" / "tsc", *TSC, "boards.ts"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (ended.returncode == 0) == (not ended.stdout), ended.stderr
    return ended.stdout


def test_every_board_is_one_by_grafana_s_own_types(tmp_path: Path) -> None:
    assert complaints(tmp_path / "all", *map(read, BOARDS)) == ""


@pytest.mark.parametrize(
    ("packages", "name"), [(TYPES, "@grafana/schema"), (SOURCES, "@grafana/data"), (SOURCES, "@grafana/ui")]
)
def test_what_boards_are_held_to_is_of_the_grafana_that_containers_run(packages: Path, name: str) -> None:
    (version,) = [
        line.partition("@")[0].rpartition(":")[2].strip()
        for line in (ROOT / "docker-compose.yml").read_text().splitlines()
        if "image: grafana/grafana:" in line
    ]
    assert json.loads((packages / "package.json").read_text())["dependencies"][name] == version


def test_what_grafana_does_not_know_would_be_found(tmp_path: Path) -> None:
    """A mistake of each kind, one in each panel."""
    board = read(next(path for path in BOARDS if path.stem == "overview"))
    panels = board["panels"]
    panels[0]["options"]["colorMode"] = "loud"
    panels[1]["fieldConfig"]["defaults"]["nothing"] = 1
    lines = [panel for panel in panels if panel["type"] == "timeseries"]
    lines[0]["fieldConfig"]["defaults"]["custom"]["showPoint"] = "never"
    lines[1]["options"]["tooltip"]["sort"] = "down"
    lines[2]["targets"][0]["expression"] = lines[2]["targets"][0].pop("expr")
    lines[3]["gridPosition"] = lines[3].pop("gridPos")
    board["link"] = board.pop("links")
    told = complaints(tmp_path / "wrong", board)
    assert told.count("error TS") == 7, told
    for mistake in ("loud", "nothing", "showPoint", "down", "expression", "gridPosition", "link"):
        assert f'"{mistake}"' in told
