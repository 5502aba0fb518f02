"""Lists, explanations and dead letters over HTTP, on real servers."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.event_types import EventType
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.api_room import ApiRoom, new_order_id, problem_of
from tests.helpers.system.waiting import assert_eventually


async def listed(api: ApiRoom, **query: Any) -> list[str]:
    """The ids of a whole list, page by page."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.http.get("/orders", params={**query, **cursor})).json()
        found += [order["order_id"] for order in page["orders"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_a_customer_s_orders_are_listed_page_by_page_newest_and_oldest_first(api: ApiRoom) -> None:
    customer = f"customer-{new_order_id()}"
    order_ids = [await api.start_order(customer_id=customer) for _ in range(5)]
    assert await listed(api, customer_id=customer, limit=2) == order_ids[::-1]
    assert await listed(api, customer_id=customer, limit=2, sort="longest_waiting") == order_ids
    await api.signal(order_ids[1], "cancel")
    assert await listed(api, customer_id=customer, state="CANCELLED") == [order_ids[1]]
    both = await listed(api, customer_id=customer, state=["CANCELLED", "VALIDATED"], limit=1)
    assert both == order_ids[::-1]
    before = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert await listed(api, customer_id=customer, unchanged_since=before) == []
    assert await listed(api, customer_id=customer, created_since=before) == order_ids[::-1]


async def test_orders_that_wait_for_approval_are_listed_the_longest_waiting_first(api: ApiRoom) -> None:
    first, second = await api.start_order(), await api.start_order()
    waiting = await listed(api, sort="approval_deadline", limit=3)
    assert waiting.index(first) < waiting.index(second)
    await api.signal(first, "cancel")
    assert first not in await listed(api, sort="approval_deadline")


async def test_an_order_is_found_by_its_payment(api: ApiRoom) -> None:
    order_id = await api.start_order()
    assert await listed(api, payment_id=f"p-{order_id}") == [order_id]


async def test_a_row_says_what_was_ordered_and_until_when_approval_is_awaited(api: ApiRoom) -> None:
    items = [{"sku": "mug", "quantity": 2, "unit_amount": 1250}]
    order_id = await api.start_order(items=items, currency="EUR", shipping_address={"city": "Utrecht"})
    row = (await api.http.get(f"/orders/{order_id}")).json()
    status = (await api.http.get(f"/orders/{order_id}/status")).json()
    assert (row["amount"], row["currency"], row["items"], row["address"]["city"]) == (2500, "EUR", items, "Utrecht")
    assert row["approval_deadline"] == status["waits_until"] is not None


async def test_a_journal_is_read_in_parts(api: ApiRoom) -> None:
    order_id = await api.start_order()
    first = (await api.http.get(f"/orders/{order_id}/events", params={"limit": 1})).json()
    assert ([event["sequence"] for event in first["events"]], first["next_after"]) == ([1], 1)
    rest = (await api.http.get(f"/orders/{order_id}/events", params={"after": 1})).json()
    assert ([event["sequence"] for event in rest["events"]], rest["next_after"]) == ([2], None)


async def test_an_explanation_has_all_three_sides(api: ApiRoom) -> None:
    order_id = await api.start_order()
    known = (await api.http.get(f"/orders/{order_id}/explain")).json()
    assert known["unreachable"] == []
    assert known["temporal"]["status"]["step"] == "AWAITING_MANUAL_APPROVAL"
    assert known["database"]["order"]["state"] == "VALIDATED"
    assert known["kafka"]["records"] == []


# Dead letters --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def bad(api: ApiRoom) -> tuple[str, dict[str, Any]]:
    """An order whose record was set aside, and the dead letter's summary."""
    order_id = new_order_id()
    value = json.dumps({"order_id": order_id, "payment_id": 7}).encode()
    await api.system.produce([Outgoing(api.system.topic_of(EventType.ORDER_CREATED), value, key=order_id.encode())])
    found: list[dict[str, Any]] = []

    async def set_aside() -> bool:
        answer = await api.http.get("/dead-letters", params={"order_id": order_id})
        found[:] = answer.json()["dead_letters"]
        return bool(found)

    await assert_eventually(set_aside, 60, lambda: api.system.log_tails)
    return order_id, found[0]


async def test_a_dead_letter_is_found_read_and_replayed_and_comes_to_the_same_end(
    api: ApiRoom, bad: tuple[str, dict[str, Any]]
) -> None:
    order_id, summary = bad
    assert (summary["error_code"], summary["key"]) == ("field_wrong_type", {"text": order_id})
    whole = (await api.http.get(f"/dead-letters/{summary['at']}")).json()
    assert json.loads(whole["value"]["text"])["payment_id"] == 7

    body = {"order_id": order_id}
    dry = await api.http.post("/dead-letters/replays", json=body, headers={"Prefer": "wait=20"})
    assert (dry.status_code, dry.json()["dry_run"], dry.json()["result"]["replayed"]) == (200, True, 0)
    assert [one["at"] for one in dry.json()["result"]["records"]] == [summary["at"]]

    headers = {"Idempotency-Key": f"replay-{order_id}"}
    begun = await api.http.post("/dead-letters/replays", json={**body, "dry_run": False}, headers=headers)
    again = await api.http.post("/dead-letters/replays", json={**body, "dry_run": False}, headers=headers)
    assert begun.status_code == 202
    assert begun.json()["id"] == again.json()["id"]
    problem_of(
        await api.http.post("/dead-letters/replays", json={"all": True}, headers=headers), 422, "idempotency_key_reused"
    )
    ended: list[Any] = []

    async def is_over() -> bool:
        ended[:] = [await api.http.get(begun.headers["location"])]
        return bool(ended[0].status_code == 200)

    await assert_eventually(is_over, 60)
    replay = ended[0].json()
    assert (replay["state"], replay["result"]["replayed"], replay["by"]) == ("done", 1, "development")

    async def came_back() -> bool:
        answer = await api.http.get("/dead-letters", params={"order_id": order_id})
        return [one["replay_count"] for one in answer.json()["dead_letters"]] == [0, 1]

    await assert_eventually(came_back, 60, lambda: api.system.log_tails)
    assert replay["id"] in [one["id"] for one in (await api.http.get("/dead-letters/replays")).json()["replays"]]


async def test_replays_asked_for_at_once_wait_their_turn(api: ApiRoom, bad: tuple[str, dict[str, Any]]) -> None:
    asked = [api.http.post("/dead-letters/replays", json={"order_id": bad[0]}) for _ in range(20)]
    begun = await asyncio.gather(*asked)
    assert {one.status_code for one in begun} <= {200, 202}, [one.text for one in begun]

    async def all_are_done() -> bool:
        looked = [await api.http.get(one.headers["location"]) for one in begun]
        return [one.json()["state"] for one in looked] == ["done"] * 20

    await assert_eventually(all_are_done, 120, lambda: api.system.log_tails)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dead_letters": ["0:1"], "reasons": ["x"]},
        {"dead_letters": ["x"]},
        {"all": "yes"},
        {"unknown": 1},
        {"limit": 0},
    ],
)
async def test_a_replay_of_nothing_or_of_two_things_is_refused(api: ApiRoom, body: dict[str, Any]) -> None:
    problem_of(await api.http.post("/dead-letters/replays", json=body), 422, "request_invalid")


async def test_a_dead_letter_that_is_not_there_is_not_found_and_its_replay_fails_and_says_why(api: ApiRoom) -> None:
    problem_of(await api.http.get("/dead-letters/0:999999"), 404, "dead_letter_not_found")
    body = {"dead_letters": ["0:999999"]}
    ended = await api.http.post("/dead-letters/replays", json=body, headers={"Prefer": "wait=20"})
    assert (ended.status_code, ended.json()["state"]) == (200, "failed")
    assert "no dead letter at 0:999999" in ended.json()["failure"]
