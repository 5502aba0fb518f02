"""Streams of events, on real servers: none missed, none doubled, however they are cut."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from asyncpg.transaction import Transaction

from orders.web.subscriptions import OFFERS_MAX
from stack.endpoints import Endpoints
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.api_room import ApiRoom, new_order_id, open_api, problem_of
from tests.helpers.system.event_streams import Listener
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import assert_eventually, patient_timeout

HAPPY = ["RECEIVED", "VALIDATED", "APPROVED", "PAID", "PACKAGE_PREPARED", "CARRIER_DISPATCHED", "SHIPPED", "COMPLETED"]


def states(listener: Listener) -> list[str]:
    return [event.body["state"] for event in listener.events]


async def test_an_order_s_stream_begins_with_its_first_event_and_goes_on_live(api: ApiRoom) -> None:
    order_id = await api.start_order()
    async with Listener(api.http, f"/orders/{order_id}/events").listening() as listener:
        await listener.wait_for(2)
        assert states(listener) == HAPPY[:2]
        await api.signal(order_id, "approve")
        await listener.wait_for(len(HAPPY))
    assert states(listener) == HAPPY
    assert [event.id for event in listener.events] == [str(number) for number in range(1, len(HAPPY) + 1)]
    journal = (await api.http.get(f"/orders/{order_id}/events")).json()["events"]
    assert [event.body for event in listener.events] == journal


async def test_a_stream_goes_on_behind_the_last_event_that_was_had(api: ApiRoom) -> None:
    order_id = await api.start_order()
    listener = Listener(api.http, f"/orders/{order_id}/events", last_id="1")
    async with listener.listening():
        await listener.wait_for(1)
    await api.signal(order_id, "approve")
    await api.http.get(f"/orders/{order_id}/result")
    async with listener.listening():
        await listener.wait_for(len(HAPPY) - 1)
    assert states(listener) == HAPPY[1:]


async def test_an_order_that_is_not_recorded_yet_can_be_listened_to(api: ApiRoom) -> None:
    order_id = new_order_id()
    await api.signal(order_id, "approve", Prefer="respond-async")
    async with Listener(api.http, f"/orders/{order_id}/events").listening() as listener:
        await api.http.post(f"/orders/{order_id}/start", json={"payment_id": f"p-{order_id}"})
        await listener.wait_for(len(HAPPY))
    assert states(listener) == HAPPY


async def test_the_stream_of_all_orders_has_each_event_once_however_often_it_is_cut(api: ApiRoom) -> None:
    """Orders are worked on side by side, so their events are committed in any order."""
    listener = Listener(api.http, "/events")
    async with listener.listening():
        began_at = listener.last_id
        order_ids = await asyncio.gather(*(api.start_order() for _ in range(15)))
    working = asyncio.gather(*(api.signal(order_id, "approve") for order_id in order_ids))
    wanted = {(order_id, number) for order_id in order_ids for number in range(1, len(HAPPY) + 1)}

    def of_ours(one: Listener) -> list[tuple[str, int]]:
        return [event.order_and_sequence for event in one.events if event.body["order_id"] in order_ids]

    generator = random.Random(7)  # noqa: S311 - no secret
    for _ in range(60):
        async with listener.listening():
            had = len(listener.events)
            # Cut off in the middle of what comes, sooner or later.
            await asyncio.wait([working], timeout=generator.uniform(0, 0.2))
            if set(of_ours(listener)) >= wanted and had:
                break
    await working
    async with listener.listening():
        await assert_eventually(lambda: set(of_ours(listener)) >= wanted, 30)
    assert sorted(of_ours(listener)) == sorted(wanted), "each once"
    for order_id in order_ids:
        assert [number for one, number in of_ours(listener) if one == order_id] == list(range(1, len(HAPPY) + 1))

    whole = Listener(api.http, "/events", last_id=began_at)
    async with whole.listening():
        await assert_eventually(lambda: len(of_ours(whole)) >= len(wanted), 30)
    assert of_ours(whole) == of_ours(listener), "the same events, in the same order"


async def test_a_client_that_reads_nothing_for_long_misses_nothing(api: ApiRoom) -> None:
    """More happens than is kept for it: it reads the rest from the table."""
    order_id = await api.start_order()
    refusals = OFFERS_MAX // 10
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port, limit=2**16)
    writer.write(
        f"GET /orders/{order_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
    )
    sends = [
        api.signal(order_id, "approve", {"note": "x" * 900}, If_Match='"0"', Prefer="respond-async")
        for _ in range(refusals)
    ]
    await asyncio.gather(*sends)
    ids: list[int] = []
    while not ids or ids[-1] < refusals + 2:
        # How long all of it takes is up to the machine: that nothing more comes is not.
        line = await asyncio.wait_for(reader.readline(), 60)
        assert line.endswith(b"\n"), f"the stream has ended behind {ids[-3:]}"
        if line.startswith(b"id: "):
            ids.append(int(line[4:]))
    assert ids == list(range(refusals + 3)), "0 is where it began"
    writer.close()


async def test_a_stream_waits_for_postgres_and_misses_nothing(system: OrderSystem, endpoints: Endpoints) -> None:
    async with (
        Proxy(f"{endpoints.db_host}:{endpoints.db_port}") as postgres,
        open_api(system, DB_HOST=postgres.address.split(":")[0], DB_PORT=postgres.address.split(":")[1]) as api,
    ):
        order_id = await api.start_order()
        async with (
            Listener(api.http, f"/orders/{order_id}/events").listening() as of_order,
            Listener(api.http, "/events").listening() as of_all,
        ):
            await of_order.wait_for(2)
            await postgres.refuse()
            await postgres.drop()
            await api.signal(order_id, "approve", Prefer="respond-async")
            refused = Listener(api.http, "/events")
            async with refused.listening():
                await assert_eventually(lambda: refused.status == 503, 30)
            await postgres.serve()
            await of_order.wait_for(len(HAPPY), 60)
            await of_all.wait_for(len(HAPPY) - 2, 60)
        assert states(of_order) == HAPPY
        assert [event.body["state"] for event in of_all.events if event.body["order_id"] == order_id] == HAPPY[2:]


@asynccontextmanager
async def foreign_event(system: OrderSystem, order_id: str) -> AsyncIterator[Transaction]:
    """An event that somebody's own transaction has written, and not committed."""
    settings = system.settings
    connection = await asyncpg.connect(
        host=settings["DB_HOST"],
        port=int(settings["DB_PORT"]),
        user=settings["DB_USER"],
        password=settings["DB_PASSWORD"],
        database=settings["DB_NAME"],
        server_settings={"application_name": "a migration"},
    )
    try:
        await connection.execute("INSERT INTO journals (order_id) VALUES ($1)", order_id)
        transaction = connection.transaction()
        await transaction.start()
        body = json.dumps({"order_id": order_id, "sequence": 1, "state": "RECEIVED"})
        await connection.execute(
            "INSERT INTO events (order_id, sequence, event_id, type, payload_json, ts) "
            "VALUES ($1, 1, $1, 'order.state_changed', $2, now())",
            order_id,
            body,
        )
        yield transaction
    finally:
        await connection.close()


async def test_an_event_of_a_transaction_that_stays_open_for_long_is_waited_for_and_not_passed_over(
    system: OrderSystem,
) -> None:
    """Streams of single orders and the console's list go on meanwhile; only the one of all orders waits."""
    foreign = new_order_id()
    async with open_api(system) as api, Listener(api.http, "/events").listening() as of_all:
        async with foreign_event(system, foreign) as transaction:
            order_id = await api.start_order()
            async with (
                Listener(api.http, f"/orders/{order_id}/events").listening() as of_order,
                api.http.stream("GET", "/console/waiting/live", timeout=None) as console,
            ):
                await of_order.wait_for(2)
                await api.process.wait_until_logged('"api.feed.held_up"')
                assert "a migration" in api.process.log
                assert [event for event in of_all.events if event.body["order_id"] in (foreign, order_id)] == []
                other = await api.start_order()
                async with patient_timeout(60):
                    async for line in console.aiter_lines():
                        if other in line:
                            break
            await transaction.commit()
        await assert_eventually(lambda: other in {event.body["order_id"] for event in of_all.events}, 60)
    ours = [event.order_and_sequence for event in of_all.events if event.body["order_id"] in (foreign, order_id, other)]
    assert ours[:3] == [(foreign, 1), (order_id, 1), (order_id, 2)]
    assert '"api.feed.goes_on"' in api.process.log


async def test_streams_of_orders_begin_beside_such_a_transaction_and_have_its_event_once_it_ends(
    api: ApiRoom, system: OrderSystem
) -> None:
    foreign = new_order_id()
    async with foreign_event(system, foreign) as transaction:
        later = await api.start_order()
        async with open_api(system) as new:  # Its feed begins behind the event that it cannot see.
            of_foreign, of_all = Listener(new.http, f"/orders/{foreign}/events"), Listener(new.http, "/events")

            async def begun() -> int | None:
                async with of_all.listening():
                    return of_all.status

            async with Listener(new.http, f"/orders/{later}/events").listening() as of_later:
                await of_later.wait_for(2)
                async with of_foreign.listening():
                    beginning = asyncio.create_task(begun())
                    assert of_foreign.events == []
                    await transaction.commit()
                    await of_foreign.wait_for(1)
                assert await beginning == 200
    assert of_foreign.events[0].order_and_sequence == (foreign, 1)


@pytest.fixture
async def small(system: OrderSystem) -> AsyncIterator[ApiRoom]:
    async with open_api(system, API_STREAMS_MAX="2") as room:
        yield room


async def test_more_streams_than_are_allowed_are_refused_and_a_client_that_goes_makes_room(small: ApiRoom) -> None:
    one, two, three = (Listener(small.http, "/events") for _ in range(3))
    async with one.listening():
        async with two.listening():
            problem_of(await small.http.get("/events", headers={"Accept": "text/event-stream"}), 503, "overloaded")

        async def there_is_room() -> bool:
            async with three.listening():
                return three.status == 200

        await assert_eventually(there_is_room, 30, lambda: "the stream whose client has gone is forgotten")


async def test_a_place_of_another_database_and_none_at_all_are_told(api: ApiRoom) -> None:
    for place, status, code in (("999999999999999", 410, "position_unknown"), ("yesterday", 422, "request_invalid")):
        answer = await api.http.get("/events", headers={"Last-Event-ID": place})
        problem_of(answer, status, code)


async def test_what_is_a_stream_only_says_so(api: ApiRoom) -> None:
    problem_of(await api.http.get("/events", headers={"Accept": "application/json"}), 406, "not_acceptable")
