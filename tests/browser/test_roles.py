"""Who may only look has no buttons, and is refused by hand as well."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from stack import Endpoints
from tests.helpers.browser import Window
from tests.helpers.console.acting import SOON, row
from tests.helpers.console.running import Console, console_before
from tests.helpers.system.processes import run_to_end
from tests.helpers.system.system import order_system

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
async def guarded(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    """A console at which everybody shows who they are."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    settings = {"ORDER_APPROVAL_TIMEOUT_SECONDS": "3600", "API_IDENTITY": "required"}
    async with order_system(endpoints, folder, start=True, **settings) as system, console_before(system) as console:  # type: ignore[arg-type]
        yield console


async def key_of(console: Console, name: str, role: str) -> str:
    """A new API key."""
    made = await run_to_end(
        ["api-keys", "create", name, "--role", role, "--json"], console.system.settings, console.system.folder
    )
    assert made.returncode == 0, made.stderr
    return str(json.loads(made.stdout)["key"])


async def sign_in(window: Window, console: Console, key: str) -> None:
    """Signs in by key, at the page that a browser without a session is led to."""
    window.expected.append("404")  # The browser asks for an icon that the page to sign in has none of.
    await window.page.goto(console.page())
    await window.page.locator("#api_key").fill(key)
    await window.page.keyboard.press("Enter")
    await expect(window.page.get_by_role("heading", name="Waiting for approval")).to_be_visible(timeout=SOON)


async def test_a_viewer_sees_no_buttons_and_gets_403_by_hand(ada: Window, guarded: Console) -> None:
    key = await key_of(guarded, "vera", "viewer")
    guarded.client.headers["Authorization"] = f"Bearer {key}"
    order_id = await guarded.place()
    await sign_in(ada, guarded, key)
    page = ada.page
    await expect(page.locator(".who")).to_contain_text("vera viewer")
    await expect(row(page, order_id)).to_have_count(1)
    for path in ("/", f"/orders/{order_id}", "/dead-letters"):
        await page.goto(guarded.page(path))
        assert await page.locator("main form[method=post], main input[type=checkbox]").count() == 0, path
    form = {"batch": "a" * 32, "order": f"2:{order_id}", "choice": "approve"}
    for path, values in (("/decisions", form), ("/dead-letters/plans", {"place": "0:0"})):
        refused = await guarded.client.post(f"/console{path}", data=values)
        assert refused.status_code == 403, refused.text
        assert "This identity may not do that" in refused.text
    assert await guarded.state(order_id) == "VALIDATED"


async def test_an_approver_decides_under_their_own_name(ada: Window, guarded: Console) -> None:
    key = await key_of(guarded, "ada", "approver")
    guarded.client.headers["Authorization"] = f"Bearer {key}"
    order_id = await guarded.place()
    await sign_in(ada, guarded, key)
    page = ada.page
    await row(page, order_id).get_by_role("button", name=f"Approve order {order_id}").click()
    await expect(page.locator("#outcomes")).to_contain_text(f"Order {order_id} is approved.", timeout=SOON)
    (approved,) = [
        event for event in await guarded.journal(order_id) if event["state"] == "APPROVED" and event["cause"]
    ]
    assert approved["cause"]["by"] == "ada"
    await page.get_by_role("button", name="Sign out").click()
    await page.goto(guarded.page())
    assert "/console/sign-in" in page.url
