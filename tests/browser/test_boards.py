"""The boards of deploy/grafana, drawn by Grafana's own components from what a Prometheus has read of real processes."""

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from schemas.event_types import EventType
from stack import Endpoints
from tests.helpers.boards.drawing import Drawer, drawer
from tests.helpers.console.running import console_before
from tests.helpers.deployed_rules import BOARDS, panels, read
from tests.helpers.servers.prometheus import Prometheus, running_prometheus
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import order_system

SHOWN_SECONDS = 300.0
EVERY_BOARD = pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
async def prometheus(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """It has read a bridge, a worker and an API, through which an order went."""
    ports = {name: free_port() for name in ("bridge", "worker", "api")}
    async with (
        running_prometheus(tmp_path_factory.mktemp("prometheus")) as reading,
        order_system(endpoints, tmp_path_factory.mktemp("boards"), start=False) as system,
        console_before(system, API_HEALTH_PORT=str(ports["api"])) as console,
    ):
        bridge = system.start_bridge(BRIDGE_HEALTH_PORT=str(ports["bridge"]))
        worker = system.start("worker", "worker", WORKER_HEALTH_PORT=str(ports["worker"]))
        for port in ports.values():
            reading.read(port)
            await reading.until_it_has_read(port)
        order_id = await console.place()
        await console.send(EventType.ORDER_APPROVED, order_id)
        await console.wait_until_state(order_id, "COMPLETED")
        completed = 'rate(orders_events_published_total{state="COMPLETED"}[1m])'
        await reading.until(completed, lambda found: any(one.value > 0 for one in found))
        yield reading
        for process in (bridge, worker):
            await process.terminate()


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Drawer:
    return drawer(tmp_path_factory.mktemp("bundle"))


@EVERY_BOARD
async def test_every_panel_of_a_board_is_drawn_under_a_whole_title(
    browser: Browser, drawing: Drawer, prometheus: Prometheus, path: Path, pictures: Path | None
) -> None:
    board, now = read(path), time.time()
    async with drawing.drawn(browser, prometheus, board, now - SHOWN_SECONDS, now) as opened:
        if pictures is not None:
            await opened.page.locator("#board").screenshot(path=pictures / f"board-{path.stem}.png")
        titles = opened.page.locator("section h2")
        assert sorted(await titles.all_inner_texts()) == sorted(panel["title"] for panel in board["panels"])
        cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"
        assert await titles.evaluate_all(cut) == []
        assert opened.wrong == []


@EVERY_BOARD
async def test_a_legend_names_labels_that_its_lines_have(prometheus: Prometheus, path: Path) -> None:
    now = time.time()
    for panel in panels(path):
        for target in panel["targets"]:
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            lines = await prometheus.ask_over(target["expr"], now - SHOWN_SECONDS, now, SHOWN_SECONDS / 10)
            assert all(named <= set(line["metric"]) for line in lines), panel["title"]
