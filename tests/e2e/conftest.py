"""One running system for all tests of this folder: they use orders of their own, and meet nowhere else."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator

import pytest

from stack import Endpoints, Tools, make_tools
from tests.helpers.checker.checker import assert_no_violations
from tests.helpers.messages.generator import AMOUNT_MAX
from tests.helpers.system.campaign import orders_from_environment, patience_seconds
from tests.helpers.system.system import OrderSystem, order_system

TIME_OUT_SECONDS = 40
"""For approvals and for early events: above what two console producers, a JVM each, take on a machine that is busy with
something else (12 s were not enough at a load of 20), and short enough to wait for."""


@pytest.fixture(scope="session")
def tools(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]) -> Tools:
    """The servers' own command-line tools."""
    return make_tools(endpoints, tmp_path_factory.mktemp("tools"), say)


@pytest.fixture(scope="session")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    """A bridge and both workers, with short waits; what all tests together left behind is checked at the end."""
    time_out = patience_seconds(TIME_OUT_SECONDS, orders_from_environment(0))
    async with order_system(
        endpoints,
        tmp_path_factory.mktemp("system"),
        ORDER_APPROVAL_TIMEOUT_SECONDS=time_out,
        ORDER_EARLY_EVENT_TTL_SECONDS=time_out,
        ORDER_SHIPPING_RETRY_DELAY_SECONDS="0.5",
        ORDER_AMOUNT_MAX=str(AMOUNT_MAX),
    ) as running:
        yield running
        await running.wait_until_idle()
        assert_no_violations(await running.evidence())
        for process in running.processes:
            await process.terminate()


@pytest.fixture(autouse=True)
def logs_of_a_failed_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Shows what the processes logged while a test failed."""
    yield
    report = request.node.stash.get(REPORT, None)
    if report is not None and report.failed and "system" in request.fixturenames:
        print(request.getfixturevalue("system").log_tails)  # noqa: T201 -- pytest shows it with the failure


REPORT = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keeps the outcome of the test's own part, for the fixture above."""
    report = yield
    if report.when == "call":
        item.stash[REPORT] = report
    return report
