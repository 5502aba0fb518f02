"""The tests' own servers: one whose clock stands still for good is not given to the next test."""

from pathlib import Path

from temporalio.api.testservice.v1 import LockTimeSkippingRequest

from tests.workflow.workbench import time_skipping


async def test_a_server_is_given_again_until_its_clock_stands_still(time_skipping_server: Path) -> None:
    async with time_skipping.sound_servers(time_skipping_server) as sound_server:
        first = await sound_server()
        assert await sound_server() is first

        await first.client.test_service.lock_time_skipping(LockTimeSkippingRequest())

        second = await sound_server()
        assert second is not first
        assert await sound_server() is second
