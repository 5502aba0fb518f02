"""Signing in with a browser, by key and at an OpenID provider: what each role sees and may do, how a session ends."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.helpers.browser import Window, window
from tests.helpers.console.acting import SOON, open_list, row, tab_to
from tests.helpers.console.running import Console, console_before
from tests.helpers.console.shown import assert_good_in_every_form
from tests.helpers.servers.openid_server import OpenIdServer, openid_server
from tests.helpers.system.processes import run_to_end

BY_PROVIDER = "Go to the sign-in page of your organisation"


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[OpenIdServer]:
    """A real OpenID provider. Who signs in as ``anna-approver`` has that role."""
    async with openid_server() as one:
        yield one


@pytest.fixture(scope="module")
async def guarded(console: Console, provider: OpenIdServer) -> AsyncIterator[Console]:
    """A second console before the same system, at which everybody shows who they are."""
    settings = {name.upper(): str(value) for name, value in provider.settings.items()}
    async with console_before(console.system, API_IDENTITY="required", **settings) as one:
        yield one


async def key_of(console: Console, name: str, role: str) -> str:
    """A new API key."""
    made = await run_to_end(
        ["api-keys", "create", name, "--role", role, "--json"], console.system.settings, console.system.folder
    )
    assert made.returncode == 0, made.stderr
    return str(json.loads(made.stdout)["key"])


async def sign_in(window: Window, console: Console, key: str) -> None:
    """Signs in by key, at the page that a browser without a session is led to."""
    await window.page.goto(console.page())
    await window.page.locator("#api_key").fill(key)
    await window.page.keyboard.press("Enter")
    await expect(window.page.get_by_role("heading", name="Waiting for approval")).to_be_visible(timeout=SOON)


def is_elsewhere(address: str) -> bool:
    """Whether an address is of another machine."""
    return urlsplit(address).hostname != "127.0.0.1"


async def sign_in_at_provider(window: Window, login: str) -> None:
    """Follows the link, and does on the provider's own pages what a person does there."""
    page = window.page
    # The provider's pages want a typeface from the network, which no test needs.
    window.expected.append("ERR_FAILED")
    await page.route(is_elsewhere, lambda route: route.abort())
    await page.get_by_role("link", name=BY_PROVIDER).click()
    await page.locator("[name=login]").fill(login)
    await page.locator("[name=password]").fill("any")
    await page.locator("[type=submit]").click()
    await page.get_by_role("button", name="Continue").click()


async def test_a_viewer_sees_no_buttons_and_gets_403_by_hand(ada: Window, guarded: Console, console: Console) -> None:
    key = await key_of(guarded, "vera", "viewer")
    guarded.client.headers["Authorization"] = f"Bearer {key}"
    order_id = await console.place()
    await sign_in(ada, guarded, key)
    page = ada.page
    await expect(page.locator(".who")).to_contain_text("vera viewer")
    await expect(row(page, order_id)).to_have_count(1)
    for path in ("/", f"/orders/{order_id}", "/dead-letters"):
        await page.goto(guarded.page(path))
        assert await page.locator("main form[method=post], main input[type=checkbox]").count() == 0, path
    form = {"batch": "a" * 32, "order": f"2:{order_id}", "choice": "approve"}
    address = {"batch": "a" * 32, "order": f"2:{order_id}", "city": "Porto"}
    for path, values in (
        ("/decisions", form),
        ("/addresses", address),
        ("/dead-letters/plans", {"place": "0:0"}),
        ("/dead-letters/replays", {"batch": "a" * 32, "place": "0:0"}),
    ):
        refused = await guarded.client.post(f"/console{path}", data=values)
        assert refused.status_code == 403, refused.text
        assert "Your role does not allow that" in refused.text
    assert await console.state(order_id) == "VALIDATED"


async def test_an_approver_signs_in_decides_and_signs_out_by_keyboard_alone(
    ada: Window, guarded: Console, console: Console
) -> None:
    key = await key_of(guarded, "ada", "approver")
    order_id = await console.place()
    page = ada.page
    await page.goto(guarded.page())
    await tab_to(page, "api_key")
    await page.keyboard.type(key)
    await tab_to(page, "Sign in")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Waiting for approval")).to_be_visible(timeout=SOON)
    await tab_to(page, f"Approve order {order_id}")
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcomes")).to_contain_text(f"Order {order_id} is approved.", timeout=SOON)
    assert await decided_by(console, order_id) == "ada"
    await tab_to(page, "Sign out", by="Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("You are signed out.")
    await page.goto(guarded.page())
    assert "/console/sign-in" in page.url


async def test_what_is_not_there_or_not_allowed_is_a_page_with_a_way_back(
    ada: Window, guarded: Console, pictures: Path | None
) -> None:
    page = ada.page
    ada.expected += ["401", "403", "404", "405", "429", "503"]
    await sign_in(ada, guarded, await key_of(guarded, "otto", "viewer"))
    for path, title in (("/nothing", "There is no such page"), ("/decisions", "This address is no page")):
        await page.goto(guarded.page(path))
        await expect(page.get_by_role("heading", level=1)).to_have_text(title)
        await expect(page.locator(".who")).to_contain_text("otto viewer")
        await assert_good_in_every_form(page, f"live-{path[1:]}", pictures)
        await page.get_by_role("link", name="To the waiting orders").click()
        await expect(page.get_by_role("heading", name="Waiting for approval")).to_be_visible(timeout=SOON)
    await page.goto(f"{guarded.url}/nothing-at-all")
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    await ada.context.clear_cookies()
    await page.goto(guarded.page("/nothing"))
    await page.get_by_role("link", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to the orders console")


async def test_a_server_with_too_much_to_do_says_so_on_a_page(ada: Window, console: Console) -> None:
    page = ada.page
    # The page's own files are refused as the page is.
    ada.expected += ["503", "MIME type"]
    async with console_before(console.system, API_REQUESTS_MAX="8") as small:
        async with AsyncExitStack() as streams:
            for _ in range(8):
                await streams.enter_async_context(small.client.stream("GET", "/events"))
            await page.goto(small.page())
            await expect(page.get_by_role("heading", level=1)).to_have_text("The server has too much to do")
        again = page.get_by_role("link", name="Try again")
        for _ in range(20):  # Until the server knows that the stream's client has gone.
            await again.click()
            await page.wait_for_load_state()
            if await again.count() == 0:
                break
        await expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for approval")
        await page.goto("about:blank")  # It is to hear nothing of the server's end.


async def decided_by(console: Console, order_id: str) -> str:
    (approved,) = [
        event for event in await console.journal(order_id) if event["state"] == "APPROVED" and event["cause"]
    ]
    assert approved["cause"]["verified_by"] == "api"
    return str(approved["cause"]["by"])


async def test_a_person_signs_in_at_the_provider_and_goes_on_where_they_were(
    ada: Window, guarded: Console, console: Console
) -> None:
    order_id = await console.place()
    page = ada.page
    await page.goto(guarded.page(f"/orders/{order_id}"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to the orders console")
    await sign_in_at_provider(ada, "anna-approver")
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {order_id}", timeout=SOON)
    await expect(page.locator(".who")).to_contain_text("anna-approver approver")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.locator("#outcomes")).to_contain_text("is approved.", timeout=SOON)
    assert await decided_by(console, order_id) == "anna-approver"


async def test_a_viewer_of_the_provider_s_has_no_buttons_and_a_stranger_no_way_in(
    ada: Window, bob: Window, guarded: Console, console: Console
) -> None:
    order_id = await console.place()
    await ada.page.goto(guarded.page())
    await sign_in_at_provider(ada, "vera-viewer")
    await expect(row(ada.page, order_id)).to_have_count(1, timeout=SOON)
    await expect(ada.page.locator(".who")).to_contain_text("vera-viewer viewer")
    assert await ada.page.locator("main form[method=post]").count() == 0

    bob.expected.append("403")
    await bob.page.goto(guarded.page())
    await sign_in_at_provider(bob, "stranger")
    await expect(bob.page.get_by_role("alert")).to_contain_text("stranger has no role here", timeout=SOON)
    await bob.page.goto(guarded.page())
    assert "/console/sign-in" in bob.page.url


async def test_a_page_whose_session_is_over_says_so_and_decides_nothing(
    ada: Window, guarded: Console, console: Console
) -> None:
    order_id = await console.place()
    await ada.page.goto(guarded.page())
    await sign_in_at_provider(ada, "anna-approver")
    page = await open_list(ada, guarded, order_id)
    watching = await ada.context.new_page()
    async with watching.expect_response(lambda answer: "/console/system/live" in answer.url):
        await watching.goto(guarded.page("/system"))
    another = await ada.context.new_page()
    await another.goto(guarded.page())
    await another.get_by_role("button", name="Sign out").click()
    await expect(another.get_by_role("status")).to_have_text("You are signed out.")

    ada.expected.append("401")
    await row(page, order_id).get_by_role("button", name=f"Approve order {order_id}").click()
    await expect(page.locator("#link")).to_contain_text("You are signed out", timeout=SOON)
    await expect(page.locator("#outcomes")).to_contain_text(
        "Load this page again to sign in. Nothing was done.", timeout=SOON
    )
    assert await console.state(order_id) == "VALIDATED"
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to the orders console")
    # Nobody did anything in the third page: its stream is ended all the same, within half a minute.
    await expect(watching.locator("#link")).to_contain_text("You are signed out", timeout=4 * SOON)


async def test_everybody_can_use_the_page_to_sign_in(browser: Browser, guarded: Console, pictures: Path | None) -> None:
    async with window(browser) as opened:
        page = opened.page
        await page.goto(guarded.page())
        await expect(page.get_by_role("link", name=BY_PROVIDER)).to_be_visible()
        await assert_good_in_every_form(page, "live-sign-in", pictures)
        opened.expected.append("401")
        await page.locator("#api_key").fill("ord_not-a-key")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await assert_good_in_every_form(page, "live-sign-in-refused", pictures)
        await page.goto(guarded.page("/sign-in?signed-out"))
        await assert_good_in_every_form(page, "live-signed-out", pictures)
        assert opened.unexpected == []
