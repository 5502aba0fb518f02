"""The API while Temporal or Postgres is away, as by a crash or by a network that swallows everything."""

import asyncio

from stack.endpoints import Endpoints
from tests.helpers.servers.proxies import db_settings
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.api_room import ApiRoom, new_order_id, open_api, problem_of
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import assert_eventually, in_time

SOON_SECONDS = 15.0
"""An answer comes by then, whatever a server does."""


async def health_of(api: ApiRoom) -> tuple[str, bool, bool]:
    root = (await api.http.get("/")).json()
    return root["status"], root["health"]["temporal"], root["health"]["postgres"]


async def test_without_temporal_decisions_are_refused_soon_and_reads_of_records_go_on(
    system: OrderSystem, endpoints: Endpoints
) -> None:
    async with Proxy(endpoints.temporal_host) as temporal, open_api(system, TEMPORAL_HOST=temporal.address) as api:
        order_id = await api.start_order()
        for away in ("refused", "silent"):
            if away == "refused":
                await temporal.refuse()
            else:
                await temporal.serve()
                temporal.mute()
            with in_time(2 * SOON_SECONDS):
                refused = await api.signal(order_id, "approve", Idempotency_Key=f"k-{away}")
                problem_of(refused, 503, "server_unreachable")
                assert refused.headers["retry-after"]
                assert refused.headers["idempotency-key"] == f"k-{away}"
                problem_of(await api.http.get(f"/orders/{order_id}/status"), 503, "server_unreachable")
            assert (await api.http.get(f"/orders/{order_id}")).status_code == 200
            assert (await api.http.get("/orders?limit=1")).status_code == 200
        await temporal.refuse()
        await temporal.drop()
        await assert_eventually(lambda: _is(api, ("degraded", False, True)), 30)
        await temporal.serve()
        temporal.flow()

        async def approved() -> bool:
            return (await api.signal(order_id, "approve", Idempotency_Key="k-silent")).status_code == 200

        # The call that nobody answered had reached Temporal: under its key it is not made twice.
        await assert_eventually(approved, 60, lambda: api.process.log_tail)
        assert "Traceback" not in api.process.log


async def test_a_hundred_requests_do_not_wait_for_each_other_while_temporal_is_away(system: OrderSystem) -> None:
    async with open_api(system, TEMPORAL_HOST="127.0.0.1:1") as api:
        with in_time(SOON_SECONDS):
            answers = await asyncio.gather(*(api.http.get(f"/orders/{new_order_id()}/status") for _ in range(100)))
        assert {answer.status_code for answer in answers} == {503}


async def test_without_postgres_a_decision_is_taken_and_its_outcome_is_found_later(
    system: OrderSystem, endpoints: Endpoints
) -> None:
    async with (
        Proxy(f"{endpoints.db_host}:{endpoints.db_port}") as postgres,
        open_api(system, **db_settings(postgres)) as api,
    ):
        order_id = await api.start_order()
        await postgres.refuse()
        await postgres.drop()
        # Whether a request with a key was sent before cannot be told: nothing is sent.
        problem_of(await api.signal(order_id, "approve", Idempotency_Key="mine"), 503, "server_unreachable")
        problem_of(await api.http.get(f"/orders/{order_id}"), 503, "server_unreachable")
        problem_of(await api.http.get(f"/orders/{order_id}/result"), 503, "server_unreachable")
        problem_of(await api.http.get("/orders"), 503, "server_unreachable")
        sent = await api.signal(order_id, "approve", Prefer="wait=2")
        assert (sent.status_code, sent.json()["status"]) == (202, "accepted")
        await assert_eventually(lambda: _is(api, ("degraded", True, False)), 30)
        await postgres.serve()

        async def decided() -> bool:
            return (await api.http.get(sent.headers["location"])).status_code == 200

        await assert_eventually(decided, 60, lambda: api.process.log_tail)


async def _is(api: ApiRoom, health: tuple[str, bool, bool]) -> bool:
    return await health_of(api) == health


async def test_more_requests_than_are_served_at_once_are_refused_at_once(system: OrderSystem) -> None:
    async with open_api(system, API_REQUESTS_MAX="2") as api:
        order_id = await api.start_order()

        async def wait_for_the_result() -> None:
            # A look at whether it is full may have taken the place.
            while (await api.http.get(f"/orders/{order_id}/result")).status_code == 503:
                pass

        waits = [asyncio.create_task(wait_for_the_result()) for _ in range(2)]

        async def is_full() -> bool:
            return (await api.http.get("/")).status_code == 503

        await assert_eventually(is_full, 10)
        problem_of(await api.http.get("/"), 503, "overloaded")
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

        async def has_room() -> bool:
            return (await api.http.get("/")).status_code == 200

        await assert_eventually(has_room, 10, lambda: "the waits' places are free once their clients have gone")
