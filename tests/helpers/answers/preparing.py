"""What the requests of the table name: an order that waits, one of its decided events, a dead letter, a replay."""

import json

from schemas.event_types import EventType
from tests.helpers.answers.table import WAIT, Named
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.api_room import ApiRoom, problem_of
from tests.helpers.system.waiting import assert_eventually


async def all_named(api: ApiRoom, order_id: str) -> Named:
    """Makes all that the table's requests name, for an order that waits for approval."""
    second = await api.http.post(f"/orders/{order_id}/start", json={"payment_id": "p-other"}, headers=WAIT)
    problem_of(second, 409, "duplicate_order")
    event_id = second.headers["location"].partition("/inbound/")[2].partition("?")[0]
    place = await _set_aside(api, order_id)
    replay = await api.http.post("/dead-letters/replays", json={"dead_letters": [place]}, headers=WAIT)
    assert replay.status_code == 200, replay.text
    return Named(order_id, event_id, place, replay.json()["id"])


async def _set_aside(api: ApiRoom, order_id: str) -> str:
    """A record of the order's that no bridge can hand over: the place of its dead letter."""
    value = json.dumps({"order_id": order_id, "payment_id": 7}).encode()
    await api.system.produce([Outgoing(api.system.topic_of(EventType.ORDER_CREATED), value, key=order_id.encode())])

    async def place() -> str:
        found = (await api.http.get("/dead-letters", params={"order_id": order_id})).json()["dead_letters"]
        return str(found[0]["at"]) if found else ""

    return await assert_eventually(place, 60, lambda: f"a dead letter\n{api.system.log_tails}")
