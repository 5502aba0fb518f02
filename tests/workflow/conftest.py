"""One time-skipping server for the session, and a bench with fresh fakes and task queues for each test."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.workflow.bench import Bench, running
from workflows.converter import DATA_CONVERTER


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def time_skipping(time_skipping_server: Path) -> AsyncIterator[WorkflowEnvironment]:
    """Hours pass in milliseconds while a result is awaited."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(time_skipping_server), data_converter=DATA_CONVERTER
    ) as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def bench(time_skipping: WorkflowEnvironment) -> AsyncIterator[Bench]:
    """Workers and fakes; every order of the test is held to the invariants when it has passed."""
    async with running(Bench(time_skipping)) as bench:
        yield bench
    bench.check()


@pytest.fixture
def order_id() -> str:
    """An order of this test alone."""
    return f"o-{uuid.uuid4().hex[:12]}"
