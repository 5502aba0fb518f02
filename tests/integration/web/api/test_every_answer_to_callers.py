"""Every request of an API that asks who is there: of nobody, of who may not, of who asks too often."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from orders.clients.opened import open_clients
from orders.operations.api_keys import create_key
from orders.roles import Role
from orders.settings import Settings
from tests.helpers.answers.asking import answer_of, ask, assert_answered, every_row
from tests.helpers.answers.cases import Case
from tests.helpers.answers.table import Named, Row
from tests.helpers.system.api_room import ApiRoom, new_order_id, open_api
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import assert_eventually

LIMIT = 30
"""Requests of one caller in a minute."""
CHEAP = "/dead-letters/replays"


@dataclass(slots=True)
class Guarded:
    """An API that asks everybody who they are, and keys of it."""

    api: ApiRoom
    lesser: dict[str, str]
    """For each operation that needs more than a viewer, the key of somebody whose role is one too little."""
    busy: str
    """The key of somebody who asks too often."""


def is_an_operator_s(operation: str) -> bool:
    return operation.startswith("POST /dead-letters")


@pytest.fixture(scope="module")
async def guarded(system: OrderSystem) -> AsyncIterator[Guarded]:
    values: dict[str, Any] = {name.lower(): value for name, value in system.settings.items()}
    async with open_clients(Settings(_env_file=None, **values)) as clients:

        async def key(role: Role) -> str:
            return (await create_key(clients, name=f"{role} {secrets.token_hex(4)}", role=role, expires_at=None)).text

        viewer, approver, busy = await key(Role.VIEWER), await key(Role.APPROVER), await key(Role.OPERATOR)
    lesser = {one: approver if is_an_operator_s(one) else viewer for one in ("POST /orders", "POST /dead-letters")}
    asks = {"API_IDENTITY": "required", "API_CALLER_REQUESTS_PER_MINUTE": str(LIMIT)}
    async with open_api(system, **asks) as api:
        yield Guarded(api, lesser, busy)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@every_row(Case.NO_IDENTITY)
async def test_nobody_is_let_in_but_where_everybody_is(guarded: Guarded, row: Row) -> None:
    answer = await ask(guarded.api.http, row, Named(new_order_id()))
    assert_answered(answer, answer_of(row, Case.NO_IDENTITY))
    assert ("www-authenticate" in answer.headers) is (answer.status_code == 401)


@every_row(Case.WRONG_ROLE)
async def test_a_role_that_is_one_too_little_may_not(guarded: Guarded, row: Row) -> None:
    key = next(key for begin, key in guarded.lesser.items() if row.operation.startswith(begin))
    answer = await ask(guarded.api.http, row, Named(new_order_id()), headers=bearer(key))
    assert_answered(answer, answer_of(row, Case.WRONG_ROLE))


@every_row(Case.OVER_THE_LIMIT)
async def test_who_asks_too_often_is_told_how_long_to_wait(guarded: Guarded, row: Row) -> None:
    http, headers = guarded.api.http, bearer(guarded.busy)

    async def is_refused() -> httpx.Response | None:
        # The limit is of a minute of the clock: where one begins just now, the caller may ask again.
        for _ in range(2 * LIMIT):
            if (await http.get(CHEAP, headers=headers)).status_code == httpx.codes.TOO_MANY_REQUESTS:
                break
        answer = await ask(http, row, Named(new_order_id()), headers=headers)
        return answer if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    answer = await assert_eventually(is_refused, 60)
    assert answer is not None
    assert_answered(answer, answer_of(row, Case.OVER_THE_LIMIT))
    assert 1 <= int(answer.headers["retry-after"]) <= 60
