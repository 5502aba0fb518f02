"""Every request of the API on real servers that are all there, in every case: the table says what is answered."""

import asyncio
import secrets
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pytest

from tests.helpers.answers.asking import JSON, answer_of, ask, assert_answered, every_row, new_key
from tests.helpers.answers.cases import Case
from tests.helpers.answers.preparing import all_named
from tests.helpers.answers.table import WAIT, Named, Row
from tests.helpers.answers.wrong import WrongParameter, wrong_bodies, wrong_parameters
from tests.helpers.system.api_room import ApiRoom, new_order_id, problem_of


@dataclass(slots=True)
class Orders:
    """Orders as the cases need them."""

    waits: Named
    """One that waits for approval, with a decided event and a dead letter that names it."""
    over: Named
    fresh: list[str]
    """More that wait, each for one test."""

    def for_a_decision(self, row: Row) -> Named:
        """What a request needs that is to be done: an order that waits, or none where it starts one."""
        if not row.operation.startswith("POST /orders/"):
            return self.waits
        return Named(new_order_id() if row.operation.endswith("/start") else self.fresh.pop())


@pytest.fixture(scope="module")
async def orders(api: ApiRoom) -> Orders:
    waits, over, *fresh = await asyncio.gather(*(api.start_order() for _ in range(11)))
    named, cancelled = await asyncio.gather(all_named(api, waits), api.signal(over, "cancel", {"reason": "for a test"}))
    assert cancelled.status_code == 200
    return Orders(named, Named(over), fresh)


@every_row(Case.GOOD)
async def test_what_is_good_is_done(api: ApiRoom, orders: Orders, row: Row) -> None:
    waits = WAIT if row.method == "POST" else {}
    answer = await ask(api.http, row, orders.for_a_decision(row), headers=waits)
    assert_answered(answer, answer_of(row, Case.GOOD))
    wanted = "text/event-stream" if row.is_stream else "application/json"
    assert answer.headers["content-type"].partition(";")[0] == wanted


@every_row(Case.REPEATED)
async def test_what_is_repeated_with_its_key_is_done_once(api: ApiRoom, orders: Orders, row: Row) -> None:
    named, headers = orders.for_a_decision(row), {**WAIT, **new_key()}
    first = await ask(api.http, row, named, headers=headers)
    again = await ask(api.http, row, named, headers=headers)
    assert_answered(again, answer_of(row, Case.REPEATED))
    assert again.json() == first.json()


@every_row(Case.OTHER_BODY)
async def test_a_key_is_good_for_one_body(api: ApiRoom, orders: Orders, row: Row) -> None:
    named, headers = orders.for_a_decision(row), {**WAIT, **new_key()}
    assert (await ask(api.http, row, named, headers=headers)).is_success
    other = await ask(api.http, row, named, headers=headers, body=row.other_body)
    assert_answered(other, answer_of(row, Case.OTHER_BODY))


@every_row(Case.EARLY)
async def test_what_comes_before_its_order_is_held(api: ApiRoom, row: Row) -> None:
    answer = await ask(api.http, row, Named(new_order_id()), headers=WAIT)
    assert_answered(answer, answer_of(row, Case.EARLY))


@every_row(Case.LATE)
async def test_what_comes_after_the_order_s_end_is_refused(api: ApiRoom, orders: Orders, row: Row) -> None:
    assert_answered(await ask(api.http, row, orders.over, headers=WAIT), answer_of(row, Case.LATE))


@every_row(Case.REFUSED)
async def test_what_the_workflow_refuses_has_its_reason(api: ApiRoom, orders: Orders, row: Row) -> None:
    looked_at = {} if row.operation.endswith("/start") else {"If-Match": '"1"'}
    answer = await ask(api.http, row, orders.waits, headers={**WAIT, **looked_at})
    assert_answered(answer, answer_of(row, Case.REFUSED))


@every_row(Case.UNKNOWN)
async def test_what_nobody_knows_is_not_found(api: ApiRoom, row: Row) -> None:
    named = Named(new_order_id(), event_id=secrets.token_hex(4), code="none-of-ours")
    waits = WAIT if row.method == "POST" else {}
    assert_answered(await ask(api.http, row, named, headers=waits), answer_of(row, Case.UNKNOWN))


@every_row(Case.INVALID)
async def test_each_field_and_parameter_that_is_wrong_is_named(api: ApiRoom, orders: Orders, row: Row) -> None:
    says = answer_of(row, Case.INVALID)
    for pointer, body in wrong_bodies(row.operation):
        answer = await ask(api.http, row, orders.waits, body=body)
        problem = problem_of(answer, says.status, str(says.code))
        assert [one["pointer"] for one in problem["errors"]] == [pointer], body
    for wrong in wrong_parameters(row.operation):
        if wrong.name == "Last-Event-ID" and not row.is_stream:
            continue  # Who does not ask for a stream has had nothing of one.
        await _assert_named(api, row, orders.waits, wrong)


async def _assert_named(api: ApiRoom, row: Row, named: Named, wrong: WrongParameter) -> None:
    changes: dict[str, Any] = {}
    if wrong.place == "path":
        changes["path"] = row.path(replace(named, **{wrong.name: quote(wrong.value, safe="")}))
    elif wrong.place == "query":
        changes["query"] = {wrong.name: wrong.value}
    else:
        changes["headers"] = {wrong.name: wrong.value}
    answer = await ask(api.http, row, named, **changes)
    if wrong.code != "request_invalid":
        problem_of(answer, 400, wrong.code)
        return
    problem = problem_of(answer, 422, wrong.code)
    assert [one["parameter"] for one in problem["errors"]] == [wrong.name], wrong


@every_row(Case.TOO_LARGE)
async def test_a_body_that_is_too_large_is_refused(api: ApiRoom, orders: Orders, row: Row) -> None:
    large = {"padding": "x" * (600 * 1024)}
    assert_answered(await ask(api.http, row, orders.waits, body=large), answer_of(row, Case.TOO_LARGE))


@every_row(Case.WRONG_TYPE)
async def test_a_body_that_is_not_said_to_be_json_is_refused(api: ApiRoom, orders: Orders, row: Row) -> None:
    for wrong in ("text/plain", "application/x-www-form-urlencoded", 'application/json; charset="utf-8'):
        answer = await ask(api.http, row, orders.waits, headers={**JSON, "Content-Type": wrong})
        assert_answered(answer, answer_of(row, Case.WRONG_TYPE))
