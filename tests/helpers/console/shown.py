"""The gallery in a browser: each page under an address of its own, with the headers that the console gives it."""

from typing import Final

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Route

from orders.web.console.pages.answers import HEADERS
from orders.web.console.static_files import MEDIA_TYPES, STATIC_PATH, static_file
from tests.helpers.console.gallery import GALLERY

ORIGIN: Final = "http://orders.test"
"""Nobody serves it: the browser's requests are answered here."""


async def show(page: Page, name: str) -> None:
    """Loads a page of the gallery."""
    await page.route(f"{ORIGIN}/**", _answer)
    await page.goto(f"{ORIGIN}/gallery/{name}")
    await page.wait_for_function("document.readyState === 'complete'")


async def _answer(route: Route) -> None:
    path = route.request.url.removeprefix(ORIGIN).partition("?")[0]
    if path.startswith("/gallery/"):
        headers = {**HEADERS, "Content-Type": "text/html; charset=utf-8"}
        await route.fulfill(body=GALLERY[path.removeprefix("/gallery/")](), headers=headers)
    elif path.startswith(STATIC_PATH):
        name = path.removeprefix(f"{STATIC_PATH}/")
        content = static_file(name)
        assert content is not None, name
        await route.fulfill(body=content, headers={"Content-Type": MEDIA_TYPES[name]})
    else:
        await route.fulfill(status=204)


async def assert_accessible(page: Page, what: str) -> None:
    """Fails with what axe finds: rules of WCAG 2.2, levels A and AA, and its good practices."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}})
    told = [
        f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes']][:4]}"
        for one in found.response["violations"]
    ]
    assert told == [], f"{what}: {told}"


async def assert_fits(page: Page, what: str) -> None:
    """Fails where the page is wider than the window, so that one has to scroll to the side (WCAG 1.4.10)."""
    wide, window = await page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window, f"{what} is {wide} px wide in a window of {window} px"
