"""Pages that are open while Temporal, Postgres or Kafka is away: what a person sees, and that it passes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from playwright.async_api import Page, expect

from stack import Endpoints
from tests.helpers.browser import Window
from tests.helpers.console.acting import SOON, approve, open_list, open_order, row
from tests.helpers.console.running import Console, console_before
from tests.helpers.console.shown import assert_good_in_every_form
from tests.helpers.servers.kafka_proxy import KafkaProxy
from tests.helpers.servers.proxies import proxies_before
from tests.helpers.servers.proxy import Proxy

NOTICED = 3 * SOON
"""Milliseconds. Clients of the servers try again for some seconds before they say that one is away."""


@dataclass(slots=True)
class Servers:
    """The servers as the console reaches them; all else reaches them as ever."""

    temporal: Proxy
    postgres: Proxy
    kafka: KafkaProxy
    console: Console


@pytest.fixture(scope="module")
async def all_servers(endpoints: Endpoints, console: Console) -> AsyncIterator[Servers]:
    """A second console before the same system, whose servers can be taken from it."""
    async with (
        proxies_before(endpoints) as proxies,
        console_before(console.system, **proxies.settings) as cut_off,
    ):
        yield Servers(proxies.temporal, proxies.postgres, proxies.kafka, cut_off)


@pytest.fixture
async def servers(all_servers: Servers) -> AsyncIterator[Servers]:
    """The servers, which are there again after each test."""
    yield all_servers
    for proxy in (all_servers.temporal, all_servers.postgres, all_servers.kafka):
        proxy.flow()
        await proxy.serve()


async def marked(page: Page) -> None:
    """Leaves a mark in the page, which it would lose by being loaded anew."""
    await page.evaluate("window.notLoadedAnew = true")


async def assert_not_loaded_anew(page: Page) -> None:
    assert await page.evaluate("window.notLoadedAnew === true"), "the page was loaded anew"


async def test_without_temporal_lists_go_on_and_no_decision_is_said_to_be_taken(
    ada: Window, bob: Window, servers: Servers, console: Console
) -> None:
    order_id = await console.place()
    page = await open_list(ada, servers.console, order_id)
    of_order = await open_order(bob, servers.console, order_id)
    elsewhere = of_order.locator("#elsewhere")
    await expect(elsewhere).to_contain_text("a person to approve or cancel the order", timeout=SOON)
    await marked(page)
    await marked(of_order)
    await servers.temporal.refuse()

    await approve(page, order_id)
    outcome = page.locator("#outcomes")
    await expect(outcome).to_contain_text(
        f"Order {order_id} is not approved yet, as far as is known: Temporal does not answer at", timeout=NOTICED
    )
    await expect(outcome).to_contain_text("it counts once")
    await expect(elsewhere).to_contain_text("Temporal does not answer at", timeout=NOTICED)
    await expect(elsewhere.get_by_role("heading", name="Records in Kafka that name it")).to_be_visible()
    later = await console.place()
    await expect(row(page, later)).to_have_class("order", timeout=SOON)

    await servers.temporal.serve()
    await expect(elsewhere).to_contain_text("a person to approve or cancel the order", timeout=NOTICED)
    await expect(elsewhere).not_to_contain_text("does not answer")
    await approve(page, order_id)
    await expect(outcome).to_contain_text(f"Order {order_id} is approved.", timeout=NOTICED)
    await expect(of_order.locator("#order-body")).to_contain_text("COMPLETED", timeout=SOON)
    await assert_not_loaded_anew(page)
    await assert_not_loaded_anew(of_order)


async def test_a_decision_that_temporal_took_without_an_answer_counts_once(
    ada: Window, servers: Servers, console: Console
) -> None:
    order_id = await console.place()
    page = await open_list(ada, servers.console, order_id)
    servers.temporal.mute()
    await approve(page, order_id)
    # The list says what became of it, whatever is said of the click.
    await expect(row(page, order_id)).to_contain_text("approved by development", timeout=NOTICED)
    await expect(page.locator("#outcomes")).to_contain_text("The decision may have arrived.", timeout=NOTICED)
    servers.temporal.flow()
    await console.wait_until_state(order_id, "COMPLETED")
    causes = [event["cause"]["type"] for event in await console.journal(order_id) if event["cause"]]
    assert causes.count("order.approved") == 1


async def test_without_postgres_a_page_says_that_it_is_not_up_to_date_and_a_decision_is_sent(
    ada: Window, bob: Window, servers: Servers, console: Console
) -> None:
    order_id, other = await console.place(), await console.place()
    page = await open_list(ada, servers.console, order_id, other)
    of_order = await open_order(bob, servers.console, order_id)
    await marked(page)
    await marked(of_order)
    await servers.postgres.refuse()
    # The page hears of it when something happens, or when its connection is looked at.
    await console.place()
    not_now = "This page is not kept up to date for now. Postgres does not answer"
    await expect(page.locator("#trouble")).to_contain_text(not_now, timeout=NOTICED)
    await expect(of_order.locator("#trouble")).to_contain_text(not_now, timeout=NOTICED)
    await expect(row(page, other)).to_have_class("order")  # What was there stands, and its time goes on.

    await approve(page, order_id)
    outcome = page.locator("#outcomes")
    await expect(outcome).to_contain_text(
        f"Order {order_id} is not approved yet: the decision was sent", timeout=NOTICED
    )
    await expect(outcome).to_contain_text("It waits for Postgres, which does not answer.")
    await expect(outcome).to_contain_text("nothing has to be sent again")

    await servers.postgres.serve()
    await expect(page.locator("#trouble")).to_be_empty(timeout=NOTICED)
    await expect(row(page, order_id)).not_to_have_class("order", timeout=NOTICED)
    await expect(of_order.locator("#order-body")).to_contain_text("COMPLETED", timeout=NOTICED)
    await expect(of_order.locator("#trouble")).to_be_empty(timeout=SOON)
    await assert_not_loaded_anew(page)
    await assert_not_loaded_anew(of_order)


async def test_without_postgres_a_page_that_is_loaded_says_so_and_is_tried_again(
    ada: Window, servers: Servers, console: Console
) -> None:
    order_id = await console.place()
    page = ada.page
    ada.expected.append("503")
    await servers.postgres.refuse()
    await page.goto(servers.console.page(f"/orders/{order_id}"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("A server does not answer")
    await expect(page.locator("main")).to_contain_text("Postgres does not answer")
    await assert_good_in_every_form(page, "live-postgres-away")
    await servers.postgres.serve()
    again = page.get_by_role("link", name="Try again")

    for _ in range(10):  # Until a connection is made anew.
        await again.click()
        await page.wait_for_load_state()
        if await again.count() == 0:
            break
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {order_id}")


async def test_without_kafka_orders_are_decided_and_pages_say_what_is_not_known(
    ada: Window, bob: Window, servers: Servers, console: Console
) -> None:
    order_id = await console.place()
    system = ada.page
    await system.goto(servers.console.page("/system"))
    await expect(system.locator("#system")).to_contain_text("In the last", timeout=SOON)
    of_order = await open_order(bob, servers.console, order_id)
    elsewhere = of_order.locator("#elsewhere")
    records = elsewhere.get_by_role("heading", name="Records in Kafka that name it")
    await expect(records).to_be_visible(timeout=SOON)
    await marked(system)
    await marked(of_order)
    await servers.kafka.refuse()

    await expect(system.locator("#system .notice-bad")).to_contain_text("Kafka does not answer", timeout=NOTICED)
    await expect(system.locator("#system")).to_contain_text("order-tq")  # The other servers' part stands.
    await expect(elsewhere).to_contain_text("Kafka does not answer", timeout=NOTICED)
    await of_order.get_by_role("button", name="Approve").click()
    await expect(of_order.locator("#outcomes")).to_contain_text(f"Order {order_id} is approved.", timeout=NOTICED)

    await servers.kafka.serve()
    await expect(system.locator("#system .notice-bad")).to_have_count(0, timeout=NOTICED)
    await expect(records).to_be_visible(timeout=NOTICED)
    await expect(elsewhere).not_to_contain_text("does not answer")
    await assert_not_loaded_anew(system)
    await assert_not_loaded_anew(of_order)
