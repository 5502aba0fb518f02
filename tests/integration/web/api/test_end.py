"""How the API ends, and what becomes of those who wait for it; and of work whose client has gone."""

import asyncio
import signal

import httpx

from stack.endpoints import Endpoints
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.api_room import new_order_id, open_api, problem_of
from tests.helpers.system.event_streams import Listener
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import Patience, assert_eventually, in_time

STOP_SECONDS = 5.0
"""What the API promises."""


async def test_at_sigterm_waits_and_streams_end_truly_and_the_process_ends_with_0_in_time(system: OrderSystem) -> None:
    async with open_api(system) as api:
        order_id = await api.start_order()
        early = new_order_id()
        listeners = [Listener(api.http, "/events"), Listener(api.http, f"/orders/{order_id}/events")]
        async with listeners[0].listening(), listeners[1].listening():
            await listeners[1].wait_for(2)
            waiting = asyncio.create_task(api.http.get(f"/orders/{order_id}/result"))
            held = asyncio.create_task(api.signal(early, "approve"))
            # An idle connection that is kept alive, and one that has sent half a request.
            await api.http.get("/")
            _, half = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
            half.write(b"POST /orders/o-1/start HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{")
            assert (await held).status_code == 202
            with in_time(STOP_SECONDS):
                api.process.send(signal.SIGTERM)
                answer = await waiting
                assert (answer.status_code, answer.json()["status"]) == (202, "open")
                assert await api.process.wait_until_ended(STOP_SECONDS) == 0, api.process.log_tail
            await assert_eventually(lambda: all(one.ended for one in listeners), 5)
            half.close()
    assert "Traceback" not in api.process.log


async def test_a_decision_that_a_silent_temporal_holds_up_is_given_up_in_time_and_may_be_sent_again(
    system: OrderSystem, endpoints: Endpoints
) -> None:
    port = str(free_port())
    async with (
        Proxy(endpoints.temporal_host) as temporal,
        open_api(system) as other,
        open_api(system, TEMPORAL_HOST=temporal.address, API_HEALTH_PORT=port) as api,
    ):
        keyless, keyed = await asyncio.gather(api.start_order(), api.start_order())
        temporal.mute()
        held_up = asyncio.gather(api.signal(keyless, "approve"), api.signal(keyed, "approve", Idempotency_Key="mine"))
        await api.wait_until_served(2)
        allowed = Patience(STOP_SECONDS)
        api.process.send(signal.SIGTERM)
        answers = await held_up
        assert await api.process.wait_until_ended(60) == 0, api.process.log_tail
        assert not allowed.is_over()
        for answer in answers:
            problem_of(answer, 503, "stopping")
        assert "Traceback" not in api.process.log
        temporal.flow()
        keys = [answer.headers["idempotency-key"] for answer in answers]
        assert keys[1] == "mine"
        for order_id, key in zip((keyless, keyed), keys, strict=True):
            again = await other.signal(order_id, "approve", Idempotency_Key=key)
            assert again.status_code == 200, again.text


async def test_a_second_sigterm_ends_it_at_once(system: OrderSystem) -> None:
    async with open_api(system) as api, Listener(api.http, "/events").listening():
        api.process.send(signal.SIGTERM)
        api.process.send(signal.SIGTERM)
        assert await api.process.wait_until_ended(STOP_SECONDS) in (0, 128 + signal.SIGTERM)


async def test_a_wait_whose_client_has_gone_is_ended(system: OrderSystem) -> None:
    async with open_api(system, LOG_LEVEL="debug") as api:
        order_id = await api.start_order()
        try:
            await api.http.get(f"/orders/{order_id}/result", timeout=1.0)
        except httpx.ReadTimeout:
            pass
        else:
            raise AssertionError("it did not wait")

        def ended() -> bool:
            return '"status": 499' in api.process.log

        await assert_eventually(ended, 10, lambda: f"the wait's end in the log\n{api.process.log_tail}")


async def test_a_taken_port_is_told_with_what_to_do(system: OrderSystem) -> None:
    async with open_api(system) as api:
        second = system.start("api-again", "api", expect_end=True, API_PORT=str(api.http.base_url.port))
        assert await second.wait_until_ended(60) == 2
        assert "set API_HOST and API_PORT" in second.log
