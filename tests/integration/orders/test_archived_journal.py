"""What the REST API and the console say of an order whose events were archived."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import PostgresOrderStore
from orders.clients.opened import open_clients
from orders.operations.reachability import Reachability
from orders.settings import Settings
from orders.web.app import make_app
from orders.web.context import WebContext
from orders.web.identity import open_gate
from orders.web.replays import ReplayDesk
from orders.web.streams import LiveFeed
from tests.helpers.messages.journal_entries import NOON, ended, late
from tests.helpers.system.command_line import run_in_process
from tests.integration.orders.test_archive import make_old

ORDER_ID = "o-archived"


def only_file_of(folder: Path) -> str:
    """The one file of an archive."""
    (file,) = folder.glob("*.jsonl.gz")
    return file.name


@pytest.fixture
async def archive(engine: AsyncEngine, store: PostgresOrderStore, settings: dict[str, str], tmp_path: Path) -> str:
    """An order that is archived; gives the archive's file."""
    await ended(store, ORDER_ID)
    await ended(store, "o-newest")  # The last event of all is never archived.
    await make_old(engine, ORDER_ID)
    run = await run_in_process(["archive", "--to", str(tmp_path), "--json"], settings)
    assert run.returncode == 0, run.stderr
    return only_file_of(tmp_path)


@pytest.fixture
async def http(settings: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """The application on that database, as whoever is on this machine meets it."""
    values: dict[str, Any] = {
        name.lower(): value for name, value in settings.items() if name.lower() in Settings.model_fields
    }
    ours = Settings(_env_file=None, **values)
    async with open_clients(ours) as clients, open_gate(clients) as gate:
        feed = LiveFeed(clients, streams_max=1)
        app = make_app(WebContext(clients, Reachability(clients), feed, ReplayDesk(clients)), gate)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as one:
            yield one


async def test_a_journal_says_which_of_its_events_are_in_which_file(
    http: httpx.AsyncClient, store: PostgresOrderStore, archive: str
) -> None:
    order = (await http.get(f"/orders/{ORDER_ID}")).json()
    last = order["last_sequence"]
    assert order["archived_sequence"] == last > 1
    journal = (await http.get(f"/orders/{ORDER_ID}/events")).json()
    nothing_more: dict[str, Any] = {"order_id": ORDER_ID, "events": [], "next_after": None}
    assert journal == {**nothing_more, "archived_through": last, "archived_in": [archive]}
    # What was not asked for is not told.
    behind = (await http.get(f"/orders/{ORDER_ID}/events", params={"after": last})).json()
    assert behind == {**nothing_more, "archived_through": None, "archived_in": []}
    await store.answer_late(ORDER_ID, (late("e-late"),), NOON)
    later = (await http.get(f"/orders/{ORDER_ID}/events")).json()
    assert [event["sequence"] for event in later["events"]] == [last + 1]
    assert later["archived_through"] == last


async def test_a_journal_that_is_whole_says_nothing_of_the_archive(http: httpx.AsyncClient, archive: str) -> None:
    assert archive
    journal = (await http.get("/orders/o-newest/events")).json()
    assert len(journal["events"]) > 1
    assert (journal["archived_through"], journal["archived_in"]) == (None, [])


async def test_the_console_names_the_file_and_shows_the_order_s_whole_way(
    http: httpx.AsyncClient, archive: str
) -> None:
    page = (await http.get(f"/console/orders/{ORDER_ID}")).text
    assert f"were moved into the archive: the file {archive}." in page
    assert "is awaited" not in page
    assert "Nothing was recorded of it" not in page
