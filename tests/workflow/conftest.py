"""Time-skipping servers for the session, and a bench with fresh fakes and task queues for each test."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.workflow.workbench import time_skipping
from tests.workflow.workbench.bench import Bench, running

# The server stops skipping for good once a run has ended while one of its activities was under way. These modules do so
# on purpose, and have a server to themselves; they wait for no long time.
ENDING_RUNS_IN_MID_ACTIVITY = ("test_each_event_at_each_step", "test_operators", "test_runs_after_runs")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sound_server(time_skipping_server: Path) -> AsyncIterator[Callable[[], Awaitable[WorkflowEnvironment]]]:
    async with time_skipping.sound_servers(time_skipping_server) as sound_server:
        yield sound_server


@pytest_asyncio.fixture(loop_scope="session")
async def skipping_server(sound_server: Callable[[], Awaitable[WorkflowEnvironment]]) -> WorkflowEnvironment:
    """The server of the test before, unless that has left it with a clock that stands still."""
    return await sound_server()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def second_server(time_skipping_server: Path) -> AsyncIterator[WorkflowEnvironment]:
    async with await time_skipping.start(time_skipping_server) as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def bench(
    request: pytest.FixtureRequest, skipping_server: WorkflowEnvironment, second_server: WorkflowEnvironment
) -> AsyncIterator[Bench]:
    """Workers and fakes; every order of the test is held to the invariants when it has passed."""
    is_second = request.module.__name__.rpartition(".")[2] in ENDING_RUNS_IN_MID_ACTIVITY
    async with running(Bench(second_server if is_second else skipping_server)) as bench:
        yield bench
    bench.check()


@pytest.fixture
def order_id() -> str:
    """An order of this test alone."""
    return f"o-{uuid.uuid4().hex[:12]}"
