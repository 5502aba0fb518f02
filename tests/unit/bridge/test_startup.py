"""Starting and closing Kafka clients: whatever a client does, the bridge goes on, soon."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.config import BackOff, BridgeConfig, Kafka
from bridge.health import Health
from bridge.kafka import clients
from bridge.supervision import startup
from tests.helpers.system.waiting import patient_timeout

CONFIG = BridgeConfig("g", "dead", back_off=BackOff(timedelta(milliseconds=1), timedelta(milliseconds=1)))
KAFKA = Kafka("nowhere:9")
CLOSE_TIMEOUT = timedelta(seconds=0.2)


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


class CancelsItsOwnSender:
    """As aiokafka's idempotent producer does that has no producer id yet, because Kafka went away."""

    async def stop(self) -> None:
        sender = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        sender.cancel()
        await sender


class KeepsCancellationToItself:
    """As aiokafka's coordinator does while it waits for a broker."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def stop(self) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


class Fails:
    async def stop(self) -> None:
        raise ConnectionError


class Closes:
    async def stop(self) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("client", "said"),
    [(CancelsItsOwnSender(), ["CancelledError"]), (Fails(), ["ConnectionError"]), (Closes(), [])],
    ids=lambda value: type(value).__name__,
)
async def test_a_client_that_fails_to_close_is_told_in_the_log_and_stops_nothing(
    client: Any, said: list[str], logs: list[Any]
) -> None:
    await clients.close_client(client)
    assert [line["error"] for line in logs] == said


async def test_a_client_that_does_not_close_is_left_after_a_while(
    logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_CLOSE_TIMEOUT", CLOSE_TIMEOUT)
    client = KeepsCancellationToItself()
    async with patient_timeout(5):
        await clients.close_client(client)
    assert [line["error"] for line in logs] == ["TimeoutError"]
    client.released.set()


async def test_who_waits_for_a_client_to_close_can_be_cancelled() -> None:
    client = KeepsCancellationToItself()
    waiting = asyncio.create_task(clients.close_client(client))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    client.released.set()


class CancelsItsOwnStart(Closes):
    """As a client does that cancels a task of its own, and lets its cancellation out."""

    async def start(self) -> None:
        await CancelsItsOwnSender().stop()


class Starts(Closes):
    async def start(self) -> None:
        await asyncio.sleep(0)


@pytest.mark.usefixtures("logs")
async def test_a_client_that_cancels_its_own_start_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    working = Starts()
    made = iter([CancelsItsOwnStart(), working])
    monkeypatch.setattr(startup, "make_producer", lambda *_: next(made))
    steps = startup.Startup(CONFIG, KAFKA, ["topic"], health=Health(), stop_requested=asyncio.Event())
    async with patient_timeout(5), AsyncExitStack() as resources:
        assert await steps.connect_producer(resources) is working


def steps_until(stop: asyncio.Event) -> startup.Startup:
    return startup.Startup(CONFIG, KAFKA, ["topic"], health=Health(), stop_requested=stop)


async def test_an_attempt_that_hangs_ends_where_the_bridge_is_stopped() -> None:
    stop, begun, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    reaching = asyncio.create_task(steps_until(stop).reach_temporal(hang))
    async with patient_timeout(5):
        await begun.wait()
        stop.set()
        assert not await reaching
    assert ended.is_set()


async def test_a_stop_waits_for_no_client_that_keeps_its_cancellation_to_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(startup, "_CANCEL_SECONDS", 0.05)
    stop, client = asyncio.Event(), KeepsCancellationToItself()
    reaching = asyncio.create_task(steps_until(stop).reach_temporal(client.stop))
    await asyncio.sleep(0)
    stop.set()
    async with patient_timeout(5):
        assert not await reaching
    client.released.set()


async def test_an_answer_that_comes_with_the_stop_begins_nothing() -> None:
    stop = asyncio.Event()

    async def answer() -> None:
        stop.set()

    async with patient_timeout(5):
        assert not await steps_until(stop).reach_temporal(answer)
