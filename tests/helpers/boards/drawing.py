"""Boards of deploy/grafana, drawn in a browser by Grafana's own components from what a Prometheus answers."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Route

from tests.helpers.browser import Window, window
from tests.helpers.node_packages import NODE, installed
from tests.helpers.servers.prometheus import Prometheus
from tests.helpers.system.waiting import assert_eventually

SOURCES: Final = Path(__file__).parent / "board_drawing"
ORIGIN: Final = "http://boards.invalid"
"""Nothing listens there: the browser asks us for what is on it."""
WIDTH: Final = 1_200
BUNDLE_SECONDS: Final = 300
DRAW_SECONDS: Final = 60.0
POINT_SECONDS: Final = 15
"""How far apart Grafana's points are at least: what it takes for Prometheus' interval unless it is told another."""
_IMAGES: Final = "/public/build/img/"
_FONTS: Final = {
    "/public/fonts/inter/Inter-Regular.woff2": "inter-latin-400-normal.woff2",
    "/public/fonts/inter/Inter-Medium.woff2": "inter-latin-500-normal.woff2",
}
_PAGE: Final = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/board.css"><style>body { margin: 0 }</style>
<div id="board"></div><script src="/board.js"></script>"""


@dataclass(frozen=True, slots=True)
class Drawer:
    """Draws boards; made by `drawer`."""

    packages: Path
    """Grafana's libraries, and what they need."""
    bundle: Path
    """The folder of the page's script and styles."""

    @asynccontextmanager
    async def drawn(
        self, browser: Browser, prometheus: Prometheus, board: dict[str, Any], begin: float, end: float
    ) -> AsyncIterator[Window]:
        """A window with a board in it.

        Args:
            browser: in which.
            prometheus: who answers its expressions.
            board: as its file has it.
            begin: from when, in seconds since 1970.
            end: until when.
        """
        answers = {
            panel["id"]: {
                target["refId"]: await prometheus.ask_over(target["expr"], begin, end, POINT_SECONDS)
                for target in panel["targets"]
            }
            for panel in board["panels"]
        }
        async with window(browser, viewport={"width": WIDTH, "height": 1_000}, color_scheme="light") as opened:
            await opened.page.route(f"{ORIGIN}/**", lambda asked: self._serve(asked))  # noqa: PLW0108 -- playwright writes on it
            await opened.page.goto(f"{ORIGIN}/")
            span = {"from": begin, "to": end, "step": POINT_SECONDS}
            await opened.page.evaluate("told => window.draw(...told)", [board, answers, span])
            await assert_eventually(lambda: _is_drawn(opened, board), DRAW_SECONDS, lambda: f"{board['title']} drawn")
            await opened.page.wait_for_load_state("networkidle")  # Icons.
            yield opened

    async def _serve(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            await route.fulfill(body=_PAGE, content_type="text/html")
        else:
            await route.fulfill(path=self._file_of(path))

    def _file_of(self, path: str) -> Path:
        """What Grafana's server has at a path."""
        if path.startswith(_IMAGES):
            return self.packages / "@grafana/ui/dist/public/img" / path.removeprefix(_IMAGES)
        if path in _FONTS:
            return self.packages / "@fontsource/inter/files" / _FONTS[path]
        return self.bundle / path[1:]


async def _is_drawn(opened: Window, board: dict[str, Any]) -> bool:
    """Whether each panel has lines, a number, or a word.

    Raises:
        RuntimeError: something went wrong in the page.
    """
    if opened.wrong:
        raise RuntimeError(f"{board['title']}: {opened.wrong}")
    filled: int = await opened.page.get_by_test_id("data-testid panel content").evaluate_all(
        "all => all.filter(one => one.querySelector('canvas') || one.innerText.trim()).length"
    )
    return filled == len(board["panels"])


def drawer(folder: Path) -> Drawer:
    """Makes the page's script, in an empty folder; installs Grafana's libraries where they are missing.

    Raises:
        subprocess.SubprocessError: they could not be installed, or esbuild failed.
    """
    packages = installed(SOURCES) / "node_modules"
    subprocess.run(
        [
            NODE,
            packages / "esbuild" / "bin" / "esbuild",
            SOURCES / "board.jsx",
            "--bundle",
            "--jsx=automatic",
            "--loader:.ttf=empty",
            '--define:process.env.NODE_ENV="production"',
            "--log-level=warning",
            f"--outdir={folder}",
        ],
        env={**os.environ, "NODE_PATH": str(packages)},
        timeout=BUNDLE_SECONDS,
        check=True,
    )
    return Drawer(packages, folder)
