"""Temporal's own UI in a browser: who may look at orders sees what is encrypted, and nobody else does."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, expect

from stack import Endpoints, processes
from stack.progress import ProgressBoard
from stack.readiness import wait_until_ready
from stack.service import Start
from stack.temporal import TemporalService
from tests.browser.test_roles import key_of, sign_in
from tests.helpers.browser import Window
from tests.helpers.console.running import Console, console_before
from tests.helpers.system.encrypted import EncryptedRun, encrypted_run, new_keys
from tests.helpers.system.processes import START_TIMEOUT_SECONDS, free_port
from tests.helpers.system.waiting import assert_eventually

CANARY = "canary of 7d21"
KEYS = new_keys()
SLOWLY = 90_000
"""Milliseconds. Temporal's pages are up in two seconds; a busy machine takes many times as long for their scripts."""
STATUS = "data-encoder-status"
"""The button by which the UI says how its codec server does."""


def new_order_id() -> str:
    return f"ui-{secrets.token_hex(4)}"


@asynccontextmanager
async def temporal_that_knows(endpoint: str, port: int, ui_port: int, folder: Path) -> AsyncIterator[str]:
    """A Temporal of its own whose UI is told of a codec server, as `orders up` tells it. Gives its address."""
    address = f"127.0.0.1:{port}"
    nobody = Endpoints("127.0.0.1:1", address, None, "127.0.0.1", 1, "u", "p", "d")
    (folder / "logs").mkdir(parents=True)
    service = TemporalService(folder, port, ui_port, nobody, endpoint)
    with ProgressBoard(lambda _: None) as board:
        await asyncio.to_thread(service.prepare, Start(board, threading.Event()))
    process = processes.start(service.launch(), service.log_path)
    try:
        await asyncio.to_thread(
            wait_until_ready, service.check, lambda: process.find() is not None, START_TIMEOUT_SECONDS
        )
        yield address
    finally:
        await asyncio.to_thread(processes.stop, process, service.first_signal, service.stop_patience_seconds)


def mind_the_console_only(window: Window) -> Page:
    """The page of a window in which Temporal's pages may log what they like."""
    window.expected.append("")
    return window.page


async def open_run(page: Page, run: EncryptedRun, ui_url: str) -> None:
    """Opens the run's history, and waits until the UI shows it; a page that fails is loaded again."""
    shown, failed = page.get_by_role("heading", name="Input"), page.get_by_text("Internal Error")

    async def is_shown() -> bool:
        await page.goto(run.page(ui_url))
        await expect(shown.or_(failed).first).to_be_visible(timeout=SLOWLY)
        return await shown.is_visible()

    await assert_eventually(is_shown, SLOWLY / 1_000, "the run's page")


async def test_the_ui_that_was_told_of_the_api_as_it_started_shows_what_is_encrypted(
    ada: Window, console: Console, tmp_path: Path
) -> None:
    page, port, ui_port = mind_the_console_only(ada), free_port(), free_port()
    ui_url, temporal = f"http://127.0.0.1:{ui_port}", f"127.0.0.1:{port}"
    settings = {"TEMPORAL_HOST": temporal, "TEMPORAL_NAMESPACE": "default", "TEMPORAL_CODEC_KEYS": KEYS}
    async with (
        console_before(console.system, **settings, API_CODEC_UI_ORIGIN=ui_url) as api,
        temporal_that_knows(f"{api.url}/codec", port, ui_port, tmp_path / "temporal"),
        encrypted_run(temporal, "default", KEYS, new_order_id(), CANARY) as run,
    ):
        # Both names of this machine, as people type either.
        for address in (ui_url, ui_url.replace("127.0.0.1", "localhost")):
            await open_run(page, run, address)
            await expect(page.get_by_text(CANARY).first).to_be_visible(timeout=SLOWLY)


async def test_the_ui_shows_it_to_who_is_signed_in_to_the_console_and_to_nobody_else(
    ada: Window, console: Console, endpoints: Endpoints
) -> None:
    page, ui_url = mind_the_console_only(ada), endpoints.temporal_ui_url
    assert ui_url is not None
    settings = {"API_IDENTITY": "required", "TEMPORAL_CODEC_KEYS": KEYS, "API_CODEC_UI_ORIGIN": ui_url}
    namespace = console.system.settings["TEMPORAL_NAMESPACE"]
    async with (
        console_before(console.system, **settings) as api,
        encrypted_run(endpoints.temporal_host, namespace, KEYS, new_order_id(), CANARY) as run,
    ):
        await open_run(page, run, ui_url)
        await page.get_by_test_id(STATUS).click()
        await page.locator("#data-encoder-endpoint-input").fill(f"{api.url}/codec")
        await page.get_by_text("Include cross-origin credentials").click()
        await page.get_by_test_id("confirm-data-encoder-button").click()
        await open_run(page, run, ui_url)
        await expect(page.get_by_test_id(f"{STATUS}-error").first).to_be_visible(timeout=SLOWLY)
        await expect(page.get_by_text(CANARY)).to_have_count(0)

        await sign_in(ada, api, await key_of(api, f"vera {secrets.token_hex(4)}", "viewer"))
        await open_run(page, run, ui_url)
        await expect(page.get_by_text(CANARY).first).to_be_visible(timeout=SLOWLY)
