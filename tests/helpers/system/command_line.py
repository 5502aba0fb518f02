"""The command line within this process: as users call it, without the second that each new interpreter takes."""

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from subprocess import CompletedProcess
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from orders.cli.app import app
from tests.helpers.system.processes import clean_environment


async def run_in_process(
    arguments: Sequence[str], settings: Mapping[str, str], *, stdin: str = ""
) -> CompletedProcess[str]:
    """Runs an ``orders`` command that ends by itself; one at a time, as output and environment are the process's own.

    Args:
        arguments: Of ``orders``.
        settings: Its environment variables, and no other ones of ours.
        stdin: What is typed.
    """
    return await asyncio.to_thread(_run, list(arguments), dict(settings), stdin)


@contextmanager
def logging_as_it_was() -> Iterator[None]:
    """Takes back what a command does to this process's logging: for commands that talk to a person it is silenced.

    A process keeps each logger as it was set up at its first line, for speed, and nothing takes that back: later tests
    would not see what such a logger says. So none is kept here.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    structlog_configure = structlog.configure

    def configure(**settings: Any) -> None:
        structlog_configure(**{**settings, "cache_logger_on_first_use": False})

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(structlog, "configure", configure)
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


@contextmanager
def environment_of_python(variables: Mapping[str, str]) -> Iterator[None]:
    """Lets Python's code see these environment variables and no others, and leaves the process's own alone.

    ``os.environ`` is a view of the C library's table, and each change of it may move that table. Threads that Python
    does not hold back read it meanwhile, such as those of Temporal's SDK and every look-up of a host's name, and may
    crash by it (setenv(3): not thread-safe). So the view is exchanged, and no variable is ever set.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", dict(variables))
        yield


def _run(arguments: list[str], settings: dict[str, str], stdin: str) -> CompletedProcess[str]:
    kept = {name: os.environ[name] for name in clean_environment({}) if name in os.environ}
    with logging_as_it_was(), environment_of_python({**kept, **settings}):
        result = CliRunner().invoke(app, arguments, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)
