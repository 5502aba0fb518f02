"""Fixtures for every kind of test: the servers, once per session."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.endpoints import Endpoints
from stack.java import time_skipping_server as make_time_skipping_server

# Fixtures of tests that need what is downloaded or built once.
_PREPARED_FIXTURES = {"endpoints", "time_skipping_server", "own_servers_only"}


def pytest_configure() -> None:
    """Lets the processes that tests start be interrupted, also where the tests themselves run in the background.

    A shell without job control starts what it puts in the background with SIGINT ignored, and that is inherited.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _make_say(config: pytest.Config) -> Callable[[str], None]:
    capture = config.pluginmanager.getplugin("capturemanager")

    def say_line(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    return say_line


def pytest_collection_finish(session: pytest.Session) -> None:
    """Makes what the servers need before the first test, whose time-out would end a first start half-way."""
    fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
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
def endpoints(tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]) -> Iterator[Endpoints]:
    """Kafka, Temporal and PostgreSQL: those that the environment names, else our own for this session."""
    named = Endpoints.from_environment()
    if named is not None:
        yield named
        return
    import stack  # noqa: PLC0415 -- only where servers are to be started

    running = stack.up(
        name="tests",
        state_dir=tmp_path_factory.mktemp("stack"),
        durable=False,
        progress=say,
    )
    try:
        yield running.endpoints
    finally:
        running.down()


@pytest.fixture(scope="session")
def time_skipping_server(say: Callable[[str], None]) -> Path:
    """The launcher for ``WorkflowEnvironment.start_time_skipping(test_server_existing_path=...)``."""
    return make_time_skipping_server(say)


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
    status = config.stash.get(_exit_status, None)
    if status is not None and "temporalio.bridge.temporal_sdk_bridge" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
