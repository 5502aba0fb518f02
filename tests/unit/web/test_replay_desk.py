"""Replays that are asked for: how many may wait, and what a repeated question finds."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from orders.clients.opened import Clients
from orders.operations.dead_letters.selection import Place
from orders.settings import Settings
from orders.web.problems import Problem
from orders.web.replays import KEPT_MAX, RUNNING_MAX, WAITING_MAX, ReplayDesk, ReplayRequest, ReplayState
from tests.helpers.system.processes import free_port

REQUEST = ReplayRequest((Place(0, 1),))


@pytest.fixture
async def desk() -> AsyncIterator[ReplayDesk]:
    made = ReplayDesk(Clients(Settings(_env_file=None), AsyncExitStack(), lambda _: None))
    yield made
    await made.close()


async def test_a_replay_that_is_asked_for_again_is_the_same(desk: ReplayDesk) -> None:
    begun = desk.begin(REQUEST, by="ada", key="k")
    assert desk.begin(REQUEST, by="ada", key="k") is begun
    assert (desk.find(begun.id), desk.find("none"), desk.newest()) == (begun, None, [begun])


async def test_a_key_names_one_replay_only(desk: ReplayDesk) -> None:
    desk.begin(REQUEST, by="ada", key="k")
    with pytest.raises(Problem, match="a replay of other dead letters was asked for with this key"):
        desk.begin(ReplayRequest((Place(0, 2),)), by="ada", key="k")


async def test_more_replays_than_may_wait_are_refused_and_none_that_waits_is_lost(desk: ReplayDesk) -> None:
    begun = [desk.begin(REQUEST, by="ada", key=f"{number}") for number in range(RUNNING_MAX + WAITING_MAX)]
    with pytest.raises(Problem) as refused:
        desk.begin(REQUEST, by="ada", key="one more")
    assert (refused.value.code, refused.value.detail) == (
        "overloaded",
        "2 replays are running and 50 wait for their turn",
    )
    assert desk.newest() == begun[::-1]


async def test_the_oldest_replay_that_is_over_is_forgotten_with_its_key() -> None:
    nowhere = Settings(_env_file=None, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    async with AsyncExitStack() as resources:
        desk = ReplayDesk(Clients(nowhere, resources, lambda _: None))
        begun = [desk.begin(REQUEST, by="ada", key="first")]
        for number in range(KEPT_MAX):
            await begun[-1].ended.wait()
            begun.append(desk.begin(REQUEST, by="ada", key=f"{number}"))
        assert [one.state for one in begun[:-1]] == [ReplayState.FAILED] * KEPT_MAX
        assert desk.newest() == begun[:0:-1]
        assert desk.begin(REQUEST, by="ada", key="first") is not begun[0], "a key that nobody knows begins another"
        await desk.close()
