"""Fixtures for every kind of test: the servers, once per session."""

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from xdist import is_xdist_controller
from xdist.workermanage import NodeManager, WorkerController

from stack.endpoints import Endpoints
from stack.java import time_skipping_server as make_time_skipping_server
from tests.helpers.progress import report_progress
from tests.helpers.shares import ByFile, sort_by_weight

if TYPE_CHECKING:
    from tests.helpers.servers.secure.rooms import SecureServers
    from tests.helpers.system.secured import SecuredSystem

# Fixtures of tests that need what is downloaded or built once.
_PREPARED_FIXTURES = {"endpoints", "time_skipping_server", "own_servers_only"}
_BROWSER_FIXTURE = "browser_program"

# With `--numprocesses` the first process, which runs no test, has the servers, and hands their addresses to the others.
_running_servers = pytest.StashKey[contextlib.ExitStack]()
_endpoints = pytest.StashKey[Endpoints]()
_HANDED_OVER = "endpoints"

# How long an example takes says how busy the machine is, and fails no test; each has its time-out all the same.
hypothesis.settings.register_profile("ours", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("ours")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Lets the processes that tests start be interrupted, also where the tests themselves run in the background.

    A shell without job control starts what it puts in the background with SIGINT ignored, and that is inherited.
    """
    report_progress(config)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _make_say(config: pytest.Config) -> Callable[[str], None]:
    capture = config.pluginmanager.getplugin("capturemanager")

    def say_line(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    return say_line


def _handed_over(config: pytest.Config) -> Mapping[str, Any] | None:
    """What the first process gives to this one; None in a process that gives, or has all to itself."""
    return getattr(config, "workerinput", None)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Starts the servers for the processes that will run the tests, before these are started."""
    config = session.config
    if not is_xdist_controller(session) or all(Path(one).is_relative_to("tests/unit") for one in config.args):
        return
    import stack  # noqa: PLC0415 -- only where servers are to be started
    from tests.helpers.servers.guarded_stack import guarded_stack  # noqa: PLC0415 -- the same

    # Told to end early, as by Ctrl-C, the others have this long to end what their tests have started.
    NodeManager.EXIT_TIMEOUT = 60
    say = _make_say(config)
    stack.prepare(progress=say, test_server=True, native=True)
    if any(
        Path("tests/browser").is_relative_to(one) or Path(one).is_relative_to("tests/browser") for one in config.args
    ):
        from tests.helpers.browser import chromium  # noqa: PLC0415 -- only where a browser is to be there

        chromium(say)
    endpoints = Endpoints.from_environment()
    if endpoints is None:
        folder = config._tmp_path_factory.mktemp("stack")  # type: ignore[attr-defined] # No fixtures in this process.
        running = config.stash[_running_servers] = contextlib.ExitStack()
        endpoints = running.enter_context(guarded_stack(folder, durable=False, progress=say)).endpoints
    config.stash[_endpoints] = endpoints


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tells a process that will run tests where the servers are."""
    endpoints = node.config.stash.get(_endpoints, None)
    if endpoints is not None:
        node.workerinput[_HANDED_OVER] = endpoints.as_environment()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """Shares the tests out by file."""
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts what takes long first, where several processes share the tests."""
    if _handed_over(config) is not None:
        sort_by_weight(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes what the servers need before the first test, whose time-out would end a first start half-way."""
    if _handed_over(session.config) is not None:
        return
    fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if _BROWSER_FIXTURE in fixtures and not session.config.option.collectonly:
        from tests.helpers.browser import chromium  # noqa: PLC0415 -- only where a browser is to be there

        chromium(_make_say(session.config))
    if session.config.option.collectonly or not fixtures & _PREPARED_FIXTURES:
        return
    if Endpoints.from_environment() is not None and fixtures & _PREPARED_FIXTURES == {"endpoints"}:
        return
    import stack  # noqa: PLC0415 -- only where servers are to be started

    stack.prepare(
        progress=_make_say(session.config),
        test_server="time_skipping_server" in fixtures,
        native="own_servers_only" in fixtures,
    )


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Prints a line past pytest's capture: a start of the servers must not be silent."""
    return _make_say(pytestconfig)


@pytest.fixture(scope="session")
def endpoints(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]
) -> Iterator[Endpoints]:
    """Kafka, Temporal and PostgreSQL: those that the environment names, else our own for this session."""
    handed_over = (_handed_over(pytestconfig) or {}).get(_HANDED_OVER)
    named = Endpoints.from_environment(handed_over)
    if named is not None:
        yield named
        return
    from tests.helpers.servers.guarded_stack import guarded_stack  # noqa: PLC0415 -- only where servers are to be started

    with guarded_stack(tmp_path_factory.mktemp("stack"), durable=False, progress=say) as running:
        yield running.endpoints


@pytest.fixture(scope="session")
def time_skipping_server(say: Callable[[str], None]) -> Path:
    """The launcher for ``WorkflowEnvironment.start_time_skipping(test_server_existing_path=...)``."""
    return make_time_skipping_server(say)


@pytest.fixture(scope="module")
async def tls_servers(
    endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]
) -> AsyncIterator["SecureServers"]:
    """Servers that demand TLS, for the files that ask for them."""
    from tests.helpers.servers.secure.rooms import secure_servers  # noqa: PLC0415 - slow to import

    async with secure_servers(tmp_path_factory.mktemp("secure"), endpoints, say) as running:
        yield running


@pytest.fixture
async def secured(
    tls_servers: "SecureServers", tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator["SecuredSystem"]:
    """Processes of ours on them."""
    from tests.helpers.system.secured import secured_system  # noqa: PLC0415 - likewise

    async with secured_system(tls_servers, tmp_path_factory.mktemp("processes")) as system:
        yield system


_exit_status = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keeps the status that the run ends with, for ``pytest_unconfigure``."""
    session.config.stash[_exit_status] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the run with its own status where Temporal's client was used.

    Its threads may abort the interpreter as that ends (status 134; sdk-python issue 300), which would turn a run whose
    tests all passed into a failed one. Everything has been closed and reported by now.
    """
    running = config.stash.get(_running_servers, None)
    if running is not None:
        running.close()
    status = config.stash.get(_exit_status, None)
    if status is not None and "temporalio.bridge.temporal_sdk_bridge" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
