"""The list of waiting orders before many windows at once, on a real database in which no workflow runs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from orders.clients.opened import Clients, open_clients
from orders.settings import Settings
from orders.web.console.views.waiting import GoneOrder, WaitingPage
from orders.web.console.waiting_board import Boards
from schemas.states import OrderState
from stack.endpoints import Endpoints
from tests.helpers.system.system import order_system

WINDOWS = 60
"""More than the process has connections to the database."""
INSERT = """
INSERT INTO orders (id, state, address_json, items_json, amount, currency, payment_id, last_sequence, approval_deadline)
SELECT 'o-' || n, 'VALIDATED', '{}', '[]', 100, 'EUR', 'p', 2, now() + n * interval '1 minute'
FROM generate_series(1, 3) n
"""


@pytest.fixture(scope="module")
async def clients(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clients]:
    async with order_system(endpoints, tmp_path_factory.mktemp("board"), start=False) as system:
        values: dict[str, Any] = {name.lower(): value for name, value in system.settings.items()}
        async with open_clients(Settings(_env_file=None, **values)) as opened:
            yield opened


@pytest.fixture(autouse=True)
async def _three_wait(clients: Clients) -> None:
    """o-1, o-2 and o-3, in this order."""
    await execute(clients, "DELETE FROM orders")
    await execute(clients, INSERT)


async def execute(clients: Clients, statement: str) -> None:
    async with clients.database() as engine, engine.begin() as connection:
        await connection.execute(text(statement))


def ids_of(shown: WaitingPage) -> tuple[str, ...]:
    return tuple(one.order_id for one in shown.orders)


async def test_windows_that_look_at_once_take_one_look_and_are_drawn_once(clients: Clients) -> None:
    with Boards().opened(clients, None) as board:
        looks = await asyncio.gather(*(board.look() for _ in range(WINDOWS)))
        assert len({id(look) for look in looks}) == 1
        shown = [look.shown((), may_decide=True) for look in looks]
        drawn = [look.drawn(one) for look, one in zip(looks, shown, strict=True)]
        assert len({id(markup) for markup in drawn}) == 1
        assert "Approve" in drawn[0]
        # Who may not decide is shown the same orders without the buttons.
        viewer = looks[0].shown((), may_decide=False)
        assert ids_of(viewer) == ids_of(shown[0]) == ("o-1", "o-2", "o-3")
        assert "Approve" not in looks[0].drawn(viewer)


async def test_a_look_is_never_from_before_it_was_asked_for(clients: Clients) -> None:
    with Boards().opened(clients, None) as board:
        await board.look()
        await execute(clients, "UPDATE orders SET last_sequence = 9 WHERE id = 'o-2'")
        page = (await board.look()).page
        assert [one.sequence for one in page.waiting] == [2, 9, 2]


async def test_a_decided_order_keeps_its_place_in_windows_that_had_it_and_comes_into_no_other(clients: Clients) -> None:
    with Boards().opened(clients, None) as board:
        had = ids_of((await board.look()).shown((), may_decide=True))
        await execute(clients, "UPDATE orders SET state = 'APPROVED', decided_by = 'ada' WHERE id = 'o-2'")
        look = await board.look()
        gone = look.shown(had, may_decide=True)
        assert ids_of(gone) == had
        assert gone.orders[1] == GoneOrder("o-2", OrderState.APPROVED, "ada")
        assert ids_of(look.shown((), may_decide=True)) == ("o-1", "o-3")
        assert look.drawn(gone) != look.drawn(look.shown((), may_decide=True))
        # Its row was there before: it has come back.
        await execute(clients, "UPDATE orders SET state = 'VALIDATED', decided_by = NULL WHERE id = 'o-2'")
        assert (await board.look()).gone == {}


async def test_a_board_is_kept_for_as_long_as_a_window_shows_it(clients: Clients) -> None:
    boards = Boards()
    with boards.opened(clients, None) as first:
        with boards.opened(clients, None) as second, boards.opened(clients, "further") as other:
            assert first is second
            assert other is not first
        with boards.opened(clients, None) as third:
            assert third is first
    with boards.opened(clients, None) as later:
        assert later is not first
