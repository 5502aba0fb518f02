"""The gallery in a browser: each page under an address of its own, with the headers that the console gives it."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

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


FORMS: Final = (("light", 1_920), ("dark", 360), ("dark", 1_920), ("light", 360))
"""The reader's colours, and the window's width, that a page is looked at in."""
_HEIGHTS: Final = {360: 800, 1_920: 1_080}
_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""Rules of WCAG 2.2, levels A and AA, and axe's good practices."""
_OF_THE_FORM: Final = ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"]
"""Those of them that look at colours and sizes. The others look at what a page is made of, which no form changes."""


async def assert_good_in_every_form(page: Page, what: str, pictures: Path | None = None) -> None:
    """Fails where axe finds something, or the page is too wide, in light or dark, in a narrow or a wide window.

    Args:
        page: shows it already.
        what: its name.
        pictures: a picture of each form goes there.
    """
    for scheme, width in FORMS:
        # Without motion: else colours are on their way from the form before.
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type] # Its words.
        await page.set_viewport_size({"width": width, "height": _HEIGHTS[width]})
        if pictures is not None:
            await page.screenshot(path=pictures / f"{what}-{width}-{scheme}.png", full_page=True)
        named = f"{what} at {width} px, {scheme}"
        await assert_fits(page, named)
        # Columns are there or not by the window's width, so what a page is made of is looked at in both.
        is_first = (scheme, width) in FORMS[:2]
        await assert_accessible(page, named, None if is_first else _OF_THE_FORM)


async def assert_accessible(page: Page, what: str, rules: list[str] | None = None) -> None:
    """Fails with what axe finds.

    Args:
        page: shows it already.
        what: its name.
        rules: those that are looked at; None for all.
    """
    run_only = {"type": "tag", "values": _TAGS} if rules is None else {"type": "rule", "values": rules}
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_axe())
    found = await page.evaluate(
        "options => axe.run(document, options).then(found => found.violations.map("
        "one => `${one.id}: ${one.help}: ${one.nodes.slice(0, 4).map(node => node.html.slice(0, 200))}`))",
        {"runOnly": run_only, "resultTypes": ["violations"]},
    )
    assert found == [], f"{what}: {found}"


@cache
def _axe() -> str:
    """The source of axe."""
    return Path(str(files("axe_playwright_python") / "axe.min.js")).read_text()


async def assert_fits(page: Page, what: str) -> None:
    """Fails where the page is wider than the window, so that one has to scroll to the side (WCAG 1.4.10)."""
    wide, window = await page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window, f"{what} is {wide} px wide in a window of {window} px"
