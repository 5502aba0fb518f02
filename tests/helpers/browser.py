"""A real browser for tests: Chromium, found or installed, and pages that tell what went wrong in them."""

import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.helpers.debian import ensure_installed

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_VARIABLE = "ORDERS_CHROMIUM"
"""Names the browser's program, where it is none of those on the PATH."""


def chromium(say: Callable[[str], None] = lambda _: None) -> Path:
    """Chromium's program: the one that the environment names, else one on the PATH, else it is installed, once.

    Raises:
        NotInstalledError: it is not there, and installing it needs Debian's apt-get and root.
    """
    return ensure_installed(
        _find,
        ["chromium"],
        instead=f"install a Chromium, or name its program by {CHROMIUM_VARIABLE}",
        say=say,
    )


def _find() -> Path | None:
    named = os.environ.get(CHROMIUM_VARIABLE)
    if named:
        return Path(named)
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return Path(found) if found else None


@asynccontextmanager
async def running_browser(program: Path) -> AsyncIterator[Browser]:
    """The browser, without a window."""
    async with async_playwright() as playwright:
        # Its sandbox wants rights that a container does not give; what it loads here is our own.
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(slots=True)
class Window:
    """A page in a context of its own, as of another person, and what was wrong in it."""

    page: Page
    context: BrowserContext
    wrong: list[str] = field(default_factory=list)
    """Errors of scripts, violations of the policy, and other errors in the browser's log."""
    expected: list[str] = field(default_factory=list)
    """Parts of texts that the test means to cause."""

    @property
    def unexpected(self) -> list[str]:
        """What no test meant to cause."""
        return [text for text in self.wrong if not any(part in text for part in self.expected)]


@asynccontextmanager
async def window(browser: Browser, **options: Any) -> AsyncIterator[Window]:
    """A new window.

    Args:
        browser: which browser's.
        options: of playwright's ``new_context``.
    """
    context = await browser.new_context(**{"viewport": {"width": 1_280, "height": 900}, **options})
    try:
        page = await context.new_page()
        opened = Window(page, context)
        page.on("console", lambda said: opened.wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: opened.wrong.append(f"script: {error}"))
        yield opened
    finally:
        await context.close()
