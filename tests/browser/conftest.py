"""A browser, and one running system whose console all tests of this folder share; each has orders of its own."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser

from stack import Endpoints
from tests.helpers.browser import Window, chromium, running_browser, window
from tests.helpers.console.running import Console, running_console


@pytest.fixture(scope="session")
def browser_program(say: Callable[[str], None]) -> Path:
    """Chromium's program, installed where it is missing."""
    return chromium(say)


@pytest.fixture(scope="session")
async def browser(browser_program: Path) -> AsyncIterator[Browser]:
    """Chromium."""
    async with running_browser(browser_program) as started:
        yield started


@pytest.fixture
async def ada(browser: Browser) -> AsyncIterator[Window]:
    """A person's window; nothing may have gone wrong in it that the test did not mean."""
    async with window(browser) as opened:
        yield opened
    assert opened.unexpected == []


@pytest.fixture
async def bob(browser: Browser) -> AsyncIterator[Window]:
    """Another person's window."""
    async with window(browser) as opened:
        yield opened
    assert opened.unexpected == []


@pytest.fixture(scope="session")
async def console(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    """The API's process with its console, a bridge and both workers; orders wait for long."""
    async with running_console(endpoints, tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="session")
def pictures() -> Path | None:
    """Where pictures of pages are kept for a person to look at: ``ORDERS_PICTURES``; None for nowhere."""
    named = os.environ.get("ORDERS_PICTURES")
    if not named:
        return None
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
