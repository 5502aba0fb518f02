"""The tests' own servers: a lock that is left on a clock stops neither the test that needs an hour nor the next one."""

from datetime import timedelta
from pathlib import Path

from temporalio.api.testservice.v1 import LockTimeSkippingRequest

from schemas.states import OrderState, OrderStep
from tests.workflow.workbench import time_skipping
from tests.workflow.workbench.bench import CREATED, Bench, running


async def test_a_server_is_given_again_until_its_clock_stands_still(time_skipping_server: Path) -> None:
    async with time_skipping.sound_servers(time_skipping_server) as sound_server:
        first = await sound_server()
        assert await sound_server() is first

        await first.client.test_service.lock_time_skipping(LockTimeSkippingRequest())

        second = await sound_server()
        assert second is not first
        assert await sound_server() is second


async def test_an_hour_passes_also_on_a_clock_with_a_forgotten_lock(time_skipping_server: Path) -> None:
    an_hour = timedelta(hours=1)
    async with await time_skipping.start(time_skipping_server) as server:
        begun = await server.get_current_time()
        await server.client.test_service.lock_time_skipping(LockTimeSkippingRequest())

        await time_skipping.skip(server, an_hour, still_seconds=1)

        assert await server.get_current_time() >= begun + an_hour


async def test_an_order_ends_also_on_a_clock_with_a_forgotten_lock_and_its_server_is_not_given_again(
    time_skipping_server: Path,
) -> None:
    async with time_skipping.sound_servers(time_skipping_server) as sound_server:
        server = await sound_server()
        async with running(Bench(server)) as bench:
            await bench.send("o-left", CREATED)
            await bench.reaches("o-left", OrderStep.AWAITING_MANUAL_APPROVAL)
            await server.client.test_service.lock_time_skipping(LockTimeSkippingRequest())

            assert (await bench.result("o-left")).state is OrderState.EXPIRED

        assert await sound_server() is not server
